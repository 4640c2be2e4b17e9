"""Which connection, owner and version a request means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.executor.domain.resolution import Ask, Choice, Found, check_headers, choose
from shared.contracts.errors import DibopError
from shared.contracts.projections import CatalogueEntry, CatalogueVersion, ConnectionEntry


def entry(owner: str, *versions: str) -> CatalogueEntry:
    """Versions as `1.0.0` or `1.0.0 deprecated`; the digest is made of owner and version."""
    made = []
    for text in versions:
        version, _, state = text.partition(" ")
        made.append(CatalogueVersion(version, f"{owner}/{version}", state or "published", "now"))  # type: ignore[arg-type]
    return CatalogueEntry("shop", owner, 1, made)


def connection(
    owner: str = "platform", policy: str = "^1", *, sealed: bool = True, name: str = "default"
) -> ConnectionEntry:
    secrets = {"api_key": "…"} if sealed else {}
    return ConnectionEntry("id", "acme", "shop", owner, name, 1, policy, "https://a:443", "k", {}, secrets)


def chosen(ask: Ask, *, own: Any = None, platform: Any = None, connection: Any = None) -> Choice:
    return choose(
        ask,
        Found(connection, own, platform),
        connectors=lambda: ["shop", "weather"],
        connections=lambda: ["default", "north"],
    )


ASK = Ask("acme", "shop", "run")


def test_the_enterprises_own_connector_wins() -> None:
    assert chosen(ASK, own=entry("acme", "1.0.0"), platform=entry("platform", "2.0.0")).owner == "acme"


def test_a_connection_stays_with_its_owner() -> None:
    choice = chosen(ASK, own=entry("acme", "1.0.0"), platform=entry("platform", "1.5.0"), connection=connection())
    assert (choice.owner, choice.version.version) == ("platform", "1.5.0")


def test_without_a_connection_the_highest_published_version_runs() -> None:
    versions = entry("platform", "1.0.0", "1.10.0", "1.9.0", "2.0.0 unpublished", "3.0.0 retired", "4.0.0 deprecated")
    assert chosen(ASK, platform=versions).version.version == "1.10.0"


def test_a_deprecated_version_runs_where_nothing_better_is() -> None:
    assert chosen(ASK, platform=entry("platform", "1.0.0 deprecated")).version.version == "1.0.0"


@pytest.mark.parametrize(
    ("policy", "version"),
    [("^1", "1.2.0"), ("^2", "2.0.0"), ("1.0.0", "1.0.0"), ("^3", "3.0.0"), ("^4", "4.0.0")],
)
def test_a_connection_follows_its_policy(policy: str, version: str) -> None:
    versions = entry("platform", "1.0.0", "1.2.0", "2.0.0", "3.0.0 deprecated", "4.0.0 unpublished")
    assert chosen(ASK, platform=versions, connection=connection(policy=policy)).version.version == version


@pytest.mark.parametrize(
    ("header", "version"),
    [("1.0.0", "1.0.0"), ("^1", "1.2.0"), ("^2", "2.0.0"), ("2.0.0", "2.0.0"), ("3.0.0", "3.0.0"), ("^3", "3.0.0")],
)
def test_a_named_version_runs(header: str, version: str) -> None:
    versions = entry("platform", "1.0.0", "1.2.0", "2.0.0", "3.0.0 unpublished")
    ask = Ask("acme", "shop", "run", version=header)
    assert chosen(ask, platform=versions).version.version == version
    assert chosen(ask, platform=versions, connection=connection(sealed=False)).version.version == version


def test_credentials_never_go_to_another_major_version() -> None:
    versions = entry("platform", "1.0.0", "1.2.0", "2.0.0")
    same = Ask("acme", "shop", "run", version="1.0.0")
    assert chosen(same, platform=versions, connection=connection(policy="1.2.0")).version.version == "1.0.0"
    with pytest.raises(DibopError, match="another major version") as caught:
        chosen(Ask("acme", "shop", "run", version="2.0.0"), platform=versions, connection=connection())
    assert caught.value.code == "unknown-version"


@pytest.mark.parametrize(
    ("ask", "found", "code", "words"),
    [
        (Ask("acme", "xyz", "run"), {}, "unknown-connector", "There is: shop, weather"),
        (Ask("acme", "shopp", "run"), {}, "unknown-connector", "'shop'"),
        (ASK, {"connection": connection()}, "unknown-connector", "no published version"),
        (ASK, {"platform": entry("platform")}, "unknown-connector", "no published connector"),
        (Ask("acme", "shop", "run", "nort"), {"platform": entry("platform", "1.0.0")}, "unknown-connection", "'north'"),
        (Ask("acme", "shop", "run", version="9.0.0"), {"platform": entry("platform", "1.0.0")}, "unknown-version",
         "There is: 1.0.0"),
        (Ask("acme", "shop", "run", version="^9"), {"platform": entry("platform", "1.0.0")}, "unknown-version", "^9"),
        (Ask("acme", "shop", "run", version="1.0.0"), {"platform": entry("platform", "1.0.0 retired")},
         "unknown-version", "Version 1.0.0 is retired, and what is retired runs no more. There is: none that"),
        (Ask("acme", "shop", "run", version="^1"),
         {"platform": entry("platform", "1.0.0 retired", "1.1.0 retired", "2.0.0")},
         "unknown-version", "Versions 1.1.0, 1.0.0 are retired, and what is retired runs no more. There is: 2.0.0."),
        (Ask("acme", "shop", "run", version="3.0.0"), {"platform": entry("platform", "1.0.0 retired", "2.0.0")},
         "unknown-version", "has no version 3.0.0. There is: 2.0.0."),
        (ASK, {"platform": entry("platform", "1.0.0 unpublished")}, "unknown-version", "offered to new callers"),
        (ASK, {"platform": entry("platform", "2.0.0"), "connection": connection()}, "unknown-version",
         "policy ^1 of the connection 'default'"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused_with_what_is(ask: Ask, found: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(DibopError) as caught:
        chosen(ask, **found)
    assert caught.value.code == code
    assert words in caught.value.detail


@pytest.mark.parametrize(
    "version", ["", "1", "1.0", "^1.0", "v1.0.0", "1.0.0\n", "^", "latest", "\u0661.0.0", "1.0.0-rc1"]
)
def test_a_version_header_that_names_none_is_refused(version: str) -> None:
    with pytest.raises(DibopError, match="Dibop-Version") as caught:
        check_headers(Ask("acme", "shop", "run", version=version))
    assert caught.value.code == "invalid-request"


@pytest.mark.parametrize("name", ["", "Default", "a.b", "a*", ">", "a b", "é", "x" * 64])
def test_a_connection_header_that_names_none_is_refused(name: str) -> None:
    with pytest.raises(DibopError, match="Dibop-Connection") as caught:
        check_headers(Ask("acme", "shop", "run", connection=name))
    assert caught.value.code == "invalid-request"


TERMS = {"1.0.0": "here", "1.1.0": "here", "2.0.0": "there", "2.1.0": ""}


@pytest.mark.parametrize(
    ("versions", "policy", "terms", "consented", "runs"),
    [
        (("1.0.0", "1.1.0", "2.0.0"), "^1", "here", "1.0.0", "1.1.0"),
        (("1.0.0", "1.1.0", "2.0.0"), "^2", "here", "1.0.0", "1.0.0"),
        (("1.0.0 deprecated", "2.0.0"), "^2", "here", "1.0.0", "1.0.0"),
        (("1.0.0", "2.0.0"), "^2", "there", "2.0.0", "2.0.0"),
        (("1.0.0", "2.0.0"), "^2", "", "", "2.0.0"),
        (("1.0.0", "2.1.0"), "^2", "here", "1.0.0", "2.1.0"),
        (("1.0.0 retired", "2.0.0"), "^2", "here", "1.0.0", "credentials-rejected"),
        (("2.0.0",), "^2", "here", "", "credentials-rejected"),
    ],
)
def test_a_connection_takes_up_no_version_on_other_terms_than_it_has_consented_to(
    versions: tuple[str, ...], policy: str, terms: str, consented: str, runs: str
) -> None:
    made = entry("platform", *versions)
    for each in made.versions:
        msgspec.structs.force_setattr(each, "terms", TERMS[each.version])
    kept = msgspec.structs.replace(connection(policy=policy), terms=terms, consented=consented)

    try:
        assert chosen(ASK, platform=made, connection=kept).version.version == runs
    except DibopError as error:
        assert error.code == runs  # noqa: PT017  # the table says which it is
