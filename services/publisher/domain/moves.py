"""Moves: the steps of a connector's life, each recorded before its first effect and resumed by its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.contracts.commands import Scope
from shared.contracts.errors import ErrorCode
from shared.contracts.lifecycle import LaterState
from shared.contracts.projections import CatalogueEntry

_NAMED: Final = 5


class MoveKind(StrEnum):
    """What a move does, as its command is called. The first two make a version, the others withdraw some."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"
    DEPRECATE = "deprecate"
    UNPUBLISH = "unpublish"
    RETIRE = "retire"


class MoveState(StrEnum):
    """How far a move has come. The first two are open: at most one move for each owner and slug."""

    RECORDED = "recorded"
    APPLIED = "applied"
    """The registry has made the change, and its answer is noted."""
    DONE = "done"
    FAILED = "failed"


OPEN_STATES: Final = (MoveState.RECORDED, MoveState.APPLIED)
WITHDRAWALS: Final[Mapping[LaterState, MoveKind]] = {
    "deprecated": MoveKind.DEPRECATE,
    "unpublished": MoveKind.UNPUBLISH,
    "retired": MoveKind.RETIRE,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A document that becomes `version`; `base_version` is the version it was compared with.

    `revision` is the draft's that holds it: the owner's, or that of the enterprise `source`, whose draft the platform
    takes over. A rollback names the version whose content it is: `content_of`.
    """

    version: str
    digest: str
    scope: Scope
    revision: int
    base_version: str | None
    content_of: str | None = None
    source: str | None = None
    reviewed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Versions that get a later state; `successor` and `date` (ISO 8601) are a deprecation's."""

    versions: tuple[str, ...]
    state: LaterState
    successor: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a move failed for good."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a connector's life. `entry` is the catalogue entry that the registry answered, from `APPLIED` on."""

    id: str
    kind: MoveKind
    owner: str
    slug: str
    content: Release | Withdrawal
    actor: str
    notes: str
    request_id: str
    created_at: str
    state: MoveState = MoveState.RECORDED
    entry: CatalogueEntry | None = None
    refusal: Refusal | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def release(self) -> Release:
        """The content of a move that makes a version."""
        if not isinstance(self.content, Release):
            raise TypeError(f"move {self.id} makes no version: it is to {self.kind}")
        return self.content

    @property
    def published_at(self) -> str:
        """When the registry took the version; empty before that."""
        versions = self.entry.versions if self.entry else []
        return next((row.published_at for row in versions if row.version == self.release.version), "")

    @property
    def title(self) -> str:
        """As sentences about it begin."""
        match self.content:
            case Release(version=version, content_of=None):
                return f"The publication of version {version} of {self.slug!r}"
            case Release(version=version, content_of=content_of):
                return f"The rollback of {self.slug!r} to {content_of}, as version {version},"
            case Withdrawal(versions=versions, state=state):
                return f"The move of {named(versions)} of {self.slug!r} to {state}"


def named(versions: Sequence[str]) -> str:
    """`version 1.0.0`, `versions 1.0.0, 1.1.0`, and of very many the first."""
    more = f" and {len(versions) - _NAMED} more" if len(versions) > _NAMED else ""
    return f"version{'s' if len(versions) > 1 else ''} {', '.join(versions[:_NAMED])}{more}"
