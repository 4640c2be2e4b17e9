"""Which connection, version and document a request means, from what catalogue and connections say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from shared.contracts.errors import DibopError
from shared.contracts.execution import CONNECTION_HEADER, VERSION_HEADER
from shared.contracts.names import did_you_mean, require_token
from shared.contracts.projections import CatalogueEntry, CatalogueVersion, ConnectionEntry, VersionState

_EXACT: Final = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})\Z", re.ASCII)
_MAJOR: Final = re.compile(r"\^(\d{1,9})\Z", re.ASCII)
_SHOWN_VERSIONS: Final = 10

Names = Callable[[], Iterable[str]]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What a request names; `connection` and `version` are its headers, None where it has none."""

    enterprise: str
    connector: str
    operation: str
    connection: str | None = None
    version: str | None = None


class Found(msgspec.Struct, frozen=True, gc=False):
    """What the projections hold for a request: its connection, the enterprise's own connector, the platform's."""

    connection: ConnectionEntry | None
    own: CatalogueEntry | None
    platform: CatalogueEntry | None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The version to run. `connection` is None where the enterprise has none."""

    owner: str
    version: CatalogueVersion
    connection: ConnectionEntry | None


def check_headers(ask: Ask) -> None:
    """Refuse a connection or version header that cannot name anything."""
    if ask.connection is not None:
        require_token(ask.connection, f"connection name ({CONNECTION_HEADER})")
    if ask.version is not None and not _EXACT.match(ask.version) and not _MAJOR.match(ask.version):
        raise DibopError(
            "invalid-request",
            f"The header {VERSION_HEADER} is {ask.version[:40]!r}. Send an exact version such as 1.2.0, "
            "or ^1 for the highest version of major 1.",
        )


def choose(ask: Ask, found: Found, *, connectors: Names, connections: Names) -> Choice:
    """The owner, version and connection that `ask` means.

    `connectors` and `connections` give the names there are, for an error. Raises `unknown-connection`,
    `unknown-connector` and `unknown-version`.
    """
    connection = found.connection
    if connection is None and ask.connection is not None:
        raise DibopError(
            "unknown-connection",
            f"Enterprise {ask.enterprise!r} has no connection {ask.connection!r} to connector {ask.connector!r}. "
            f"{did_you_mean(ask.connection, connections(), 'connection')}",
        )
    if connection is None:
        entry = found.own or found.platform
    else:
        entry = found.own if connection.owner == ask.enterprise else found.platform
    if entry is None or not entry.versions:
        raise _unknown_connector(ask, connection, connectors)
    return Choice(entry.owner, pick_version(ask, entry, connection), connection)


def pick_version(ask: Ask, entry: CatalogueEntry, connection: ConnectionEntry | None) -> CatalogueVersion:
    """The version that the header names, else the connection's policy, else the highest.

    A `^major` takes the highest version in the best state there is: published, then deprecated, then unpublished.
    An unpublished one is for who names it and for connections; a retired one is for nobody. A connection takes up none
    whose terms differ from those that its owner has consented to, and stays with the version of its consent.
    """
    if connection is not None and ask.version is not None:
        _check_policy(ask, entry, connection)
    terms = connection.terms if connection is not None else ""
    wanted = ask.version or (connection.version_policy if connection is not None else None)
    states: tuple[VersionState, ...] = ("published", "deprecated", "unpublished")
    if wanted is None:
        states = states[:2]
    fitting = [version for version in entry.versions if version.state in states and _fits(version.version, wanted)]
    for state in states:
        taken = [each for each in fitting if each.state == state and _agreed(terms, each)]
        if taken:
            return max(taken, key=lambda version: _numbers(version.version))
    if fitting and connection is not None:
        return _consented(ask, entry, connection)
    raise _unknown_version(ask, entry, wanted, connection)


def _agreed(terms: str, version: CatalogueVersion) -> bool:
    return not terms or not version.terms or version.terms == terms


def _consented(ask: Ask, entry: CatalogueEntry, connection: ConnectionEntry) -> CatalogueVersion:
    """The version of the connection's consent, for a request that names none."""
    if ask.version is None:
        for version in entry.versions:
            if version.version == connection.consented and version.state != "retired":
                return version
    raise DibopError(
        "credentials-rejected",
        f"{ask.version or connection.version_policy} of connector {entry.slug!r} sends credentials elsewhere or "
        f"otherwise than the owner of the connection {connection.name!r} has consented to. Look at what is different "
        f"and consent: dibop connection consent {entry.slug} --name {connection.name}",
        outcome="not_sent",
    )


def _check_policy(ask: Ask, entry: CatalogueEntry, connection: ConnectionEntry) -> None:
    """Another major may send the credentials elsewhere or otherwise, which takes the connection owner's consent."""
    if not connection.sealed or _major(str(ask.version)) == _major(connection.version_policy):
        return
    raise DibopError(
        "unknown-version",
        f"The connection {connection.name!r} follows {connection.version_policy} of connector {entry.slug!r}, and "
        f"{ask.version} is another major version. Use one within the policy, or create a connection for it.",
    )


def _fits(version: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return _major(version) == _major(wanted) if wanted.startswith("^") else version == wanted


def _major(version: str) -> int:
    return int(version.removeprefix("^").partition(".")[0])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _unknown_connector(ask: Ask, connection: ConnectionEntry | None, connectors: Names) -> DibopError:
    if connection is not None:
        detail = (
            f"The connector {ask.connector!r} of the connection {connection.name!r} has no published version. "
            "Publish it, then repeat the request."
        )
    else:
        detail = (
            f"Enterprise {ask.enterprise!r} has no published connector {ask.connector[:80]!r}. "
            f"{did_you_mean(ask.connector, connectors(), 'connector')}"
        )
    return DibopError("unknown-connector", detail)


def _unknown_version(
    ask: Ask, entry: CatalogueEntry, wanted: str | None, connection: ConnectionEntry | None
) -> DibopError:
    usable = [version.version for version in entry.versions if version.state != "retired"]
    usable.sort(key=_numbers, reverse=True)
    there = ", ".join(usable[:_SHOWN_VERSIONS]) or "none that can still be used"
    if wanted is None:
        what = "has no version that is offered to new callers"
    elif ask.version is None and connection is not None:
        what = f"has no version for the policy {wanted} of the connection {connection.name!r}"
    else:
        what = f"has no version {wanted}"
    retired = [each.version for each in entry.versions if each.state == "retired" and _fits(each.version, wanted)]
    ended = f" {_listed(retired)} retired, and what is retired runs no more." if retired else ""
    return DibopError("unknown-version", f"The connector {entry.slug!r} {what}.{ended} There is: {there}.")


def _listed(versions: list[str]) -> str:
    latest = sorted(versions, key=_numbers, reverse=True)[:_SHOWN_VERSIONS]
    return f"Version {latest[0]} is" if len(versions) == 1 else f"Versions {', '.join(latest)} are"
