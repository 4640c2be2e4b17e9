"""base_url is filled without surprises, and an origin is written one way only."""

from __future__ import annotations

import pytest

from shared.contracts.errors import DibopError
from shared.contracts.template import credential_origin, fill_base_url, origin_of
from tests.unit.contracts.template.documents import valid


@pytest.mark.parametrize(
    ("base_url", "values", "filled"),
    [
        ("https://api.example.com", {}, "https://api.example.com"),
        ("https://API.Example.com/", {}, "https://api.example.com"),
        ("https://api.example.com:443/v1/", {}, "https://api.example.com/v1"),
        ("http://api.example.com:8080/v1", {}, "http://api.example.com:8080/v1"),
        ("https://{tenant}.example.com", {"tenant": "acme"}, "https://acme.example.com"),
        ("https://{tenant}.example.com", {"tenant": "ACME-1"}, "https://acme-1.example.com"),
        ("https://api-{region}.example.com", {"region": "eu"}, "https://api-eu.example.com"),
        ("https://a.com/{org}/v1", {"org": "a b/c"}, "https://a.com/a%20b%2Fc/v1"),
        ("https://a.com/{org}", {"org": "Zoë?#%"}, "https://a.com/Zo%C3%AB%3F%23%25"),
        ("https://a.com/{a}/{b}/{a}", {"a": "1", "b": "2"}, "https://a.com/1/2/1"),
        ("https://bücher.example", {}, "https://xn--bcher-kva.example"),
        ("http://[2001:DB8:0::1]:8080/x", {}, "http://[2001:db8::1]:8080/x"),
        ("http://127.0.0.1:9/x", {}, "http://127.0.0.1:9/x"),
    ],
)
def test_placeholders_are_filled(base_url: str, values: dict[str, str], filled: str) -> None:
    assert fill_base_url(base_url, values) == filled


@pytest.mark.parametrize(
    ("base_url", "values", "names"),
    [
        ("https://{t}.example.com", {}, ["t"]),
        ("https://{t}.example.com", {"t": ""}, ["t"]),
        ("https://{t}.example.com", {"t": "evil.com/"}, ["t"]),
        ("https://{t}.example.com", {"t": "a.b"}, ["t"]),
        ("https://{t}.example.com", {"t": "a@b"}, ["t"]),
        ("https://{t}.example.com", {"t": "a:80"}, ["t"]),
        ("https://{t}.example.com", {"t": "-a"}, ["t"]),
        ("https://{t}.example.com", {"t": "a\n"}, ["t"]),
        ("https://{t}.example.com", {"t": "ä"}, ["t"]),
        ("https://{t}.example.com", {"t": "a" * 64}, ["t"]),
        ("https://x{t}.example.com", {"t": "a" * 63}, ["base_url"]),
        ("https://a.com/{p}", {"p": ""}, ["p"]),
        ("https://a.com/{p}", {"p": "."}, ["p"]),
        ("https://a.com/{p}/x", {"p": ".."}, ["p"]),
        ("https://a.com/{p}{q}", {"p": "%2e", "q": "."}, ["p", "q"]),
        ("https://a.com/{p}", {"p": "\ud800"}, ["p"]),
        ("https://{t}.a.com/{p}", {"t": ".", "p": "."}, ["t", "p"]),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(base_url: str, values: dict[str, str], names: list[str]) -> None:
    with pytest.raises(DibopError) as caught:
        fill_base_url(base_url, values)

    assert caught.value.code == "invalid-parameters"
    assert [error["name"] for error in caught.value.errors] == names
    assert all(error["problem"] and error["allowed"] for error in caught.value.errors)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.COM", "https://example.com:443"),
        ("http://example.com/a?b#c", "http://example.com:80"),
        ("HTTPS://example.com:8443/x", "https://example.com:8443"),
        ("https://example.com:", "https://example.com:443"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[0:0:0:0:0:0:0:1]:81/x", "http://[::1]:81"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example:443"),
        ("https://MÜNCHEN.example/", "https://xn--mnchen-3ya.example:443"),
    ],
)
def test_an_origin_is_written_one_way(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https://user@example.com",
        "https://user:pw@example.com",
        "https://example.com\\@evil.com",
        "https://exa mple.com",
        "https://example.com\n",
        "https://example.com:port",
        "https://example.com:٤٤٣",
        "https://example.com:65536",
        "https://[::1",
        "https://[::1%eth0]",
        "https://[nope]",
        "https://1.2.3",
        "https://0x7f.1",
        "https://127.0.0.256",
        "https://-a.com",
        "https://a..b",
        "https://{tenant}.example.com",
        "https://\u200b.example",
    ],
)
def test_what_has_no_clear_origin_is_refused(url: str) -> None:
    with pytest.raises(DibopError) as caught:
        origin_of(url)

    assert caught.value.code == "invalid-parameters"


def test_credentials_go_to_the_filled_base_url() -> None:
    template = valid(
        {
            "/auth_type": "bearer",
            "/base_url": "https://{tenant}.example.com/{area}",
            "/credential_schema": {
                "token": {"label": "T", "type": "password"},
                "tenant": {"label": "Tenant"},
                "area": {"label": "Area", "default": "main"},
            },
        }
    )

    assert credential_origin(template, {"tenant": "acme"}) == "https://acme.example.com:443"
    with pytest.raises(DibopError, match="tenant"):
        credential_origin(template, {})


def test_oauth2_credentials_go_to_the_token_url() -> None:
    changes = {"/auth_type": "oauth2", "/grant_type": "client_credentials"}
    fixed = valid({**changes, "/token_url": "https://auth.example.com/token"})
    asked = valid(
        {
            **changes,
            "/credential_schema": {
                "client_id": {"label": "I"},
                "client_secret": {"label": "S"},
                "token_url": {"label": "U", "default": "https://default.example.com/token"},
            },
        }
    )

    assert credential_origin(fixed, {"token_url": "https://evil.example.com"}) == "https://auth.example.com:443"
    assert credential_origin(asked, {}) == "https://default.example.com:443"
    assert credential_origin(asked, {"token_url": "http://own.example.com:81/t"}) == "http://own.example.com:81"


def test_a_connection_without_a_token_url_is_told_so() -> None:
    template = valid(
        {
            "/auth_type": "oauth2",
            "/grant_type": "client_credentials",
            "/credential_schema": {
                "client_id": {"label": "I"},
                "client_secret": {"label": "S"},
                "token_url": {"label": "U"},
            },
        }
    )

    with pytest.raises(DibopError, match="no token_url"):
        credential_origin(template, {})
