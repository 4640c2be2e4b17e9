"""Withdrawals: which versions a wish to deprecate, unpublish or retire means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from services.publisher.domain.moves import Withdrawal
from services.publisher.domain.versioning import VersionNumber, version_named
from shared.contracts.commands import Connector, VersionSummary
from shared.contracts.errors import DibopError
from shared.contracts.lifecycle import LaterState, require_may_become


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: of one version, or of the whole connector."""

    state: LaterState
    version: str | None
    successor: str | None = None
    date: dt.date | None = None

    def is_of(self, withdrawal: Withdrawal) -> bool:
        """Whether this withdrawal is what is asked for."""
        told = (withdrawal.state, withdrawal.successor, withdrawal.date)
        same = told == (self.state, self.successor, self.date.isoformat() if self.date else None)
        return same and (self.version is None or withdrawal.versions == (self.version,))


def to_withdraw(connector: Connector, wish: Wish) -> Withdrawal | None:
    """What fulfils the wish; None where it is fulfilled already.

    Without a version it is about all of the connector: a deprecation leaves out what is deprecated already, and its
    own successor. Raises `not-found` for what is not there and `conflict` for a move that there is not.
    """
    versions = [version_named(connector, wish.version)] if wish.version else _all(connector, wish)
    moving = [version for version in versions if not _is_so(version, wish)]
    for version in moving:
        require_may_become(connector.slug, version.version, version.state, wish.state)
    if not moving:
        return None
    names = sorted((version.version for version in moving), key=VersionNumber.parse)
    return Withdrawal(tuple(names), wish.state, wish.successor, wish.date.isoformat() if wish.date else None)


def _all(connector: Connector, wish: Wish) -> Sequence[VersionSummary]:
    if not connector.versions:
        raise DibopError("not-found", f"{connector.slug!r} has no version yet, so there is nothing to withdraw.")
    match wish.state:
        case "deprecated":
            return [each for each in connector.versions if each.state == "published" and each.version != wish.successor]
        case "unpublished":
            return [each for each in connector.versions if each.state in {"published", "deprecated"}]
        case "retired":
            return [each for each in connector.versions if each.state != "retired"]


def _is_so(version: VersionSummary, wish: Wish) -> bool:
    if version.state != wish.state:
        return False
    told = version.deprecation
    return told is None or (told.successor, told.date) == (wish.successor, wish.date)
