"""Which redirects are followed, and what Retry-After says."""

from __future__ import annotations

import pytest

from services.executor.domain.redirects import redirected
from services.executor.domain.retry_after import retry_after_ms
from services.executor.transport.interface import HttpRequest, HttpResponse

GET = HttpRequest("GET", "https://api.example.com/a/b?x=1", [("X-API-Key", "k")])


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c?y=2", "https://api.example.com/c?y=2"),
        ("c", "https://api.example.com/a/c"),
        ("?z=3", "https://api.example.com/a/b?z=3"),
        ("https://api.example.com/c#part", "https://api.example.com/c"),
        ("https://API.example.com:443/c", "https://API.example.com:443/c"),
        ("//api.example.com/c", "https://api.example.com/c"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed(location: str, url: str, status: int) -> None:
    following = redirected(GET, HttpResponse(status, {"location": location}, b""))
    assert following is not None
    assert (following.url, following.headers) == (url, GET.headers)


@pytest.mark.parametrize(
    "location",
    [
        "http://api.example.com/c",
        "https://other.example.com/c",
        "https://api.example.com:8443/c",
        "//evil.example/c",
        "https://ada@api.example.com/c",
        "https://api.example.com\\@evil.example/c",
        "\\\\evil.example/c",
        "/\\evil.example/c",
        "https://[bad/c",
        "https://api.example.com:port/c",
        "/with space",
        "/é",
        "ftp://api.example.com/c",
        "javascript:alert(1)",
        "",
    ],
)
def test_any_other_redirect_is_the_result(location: str) -> None:
    assert redirected(GET, HttpResponse(302, {"location": location}, b"")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_get_is_followed(method: str) -> None:
    request = HttpRequest(method, GET.url)
    assert redirected(request, HttpResponse(307, {"location": "/c"}, b"")) is None


@pytest.mark.parametrize("status", [200, 300, 304, 404])
def test_only_redirects_are_followed(status: int) -> None:
    assert redirected(GET, HttpResponse(status, {"location": "/c"}, b"")) is None


DATE = "Wed, 25 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "milliseconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5000),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "3600"}, 3_600_000),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9" * 30}, None),
        ({"retry-after": "Wed, 25 Nov 2026 10:00:07 GMT", "date": DATE}, 7000),
        ({"retry-after": "Wed, 25 Nov 2026 09:00:00 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 99 Nov 2026 10:00:07 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 25 Nov 9999999 10:00:07 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 25 Nov 2999 10:00:07 GMT", "date": "garbage"}, None),
        ({"retry-after": "Wed, 25 Nov 2999 10:00:07 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], milliseconds: int | None) -> None:
    assert retry_after_ms(headers) == milliseconds
