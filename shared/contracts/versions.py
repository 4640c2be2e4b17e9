"""Versions: their order, which one a policy takes, and the state of a connector that has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

from shared.contracts.commands import ConnectorState
from shared.contracts.lifecycle import best_state
from shared.contracts.projections import VersionState

_STATES: Final[Sequence[VersionState]] = ("published", "deprecated", "unpublished", "retired")
OFFERED: Final[frozenset[VersionState]] = frozenset({"published", "deprecated"})
"""States in which a version takes new connections."""
USABLE: Final[frozenset[VersionState]] = OFFERED | {"unpublished"}
"""States in which a version serves the connections that it has."""


class HasVersion(Protocol):
    @property
    def version(self) -> str: ...

    @property
    def state(self) -> VersionState: ...


class HasTerms(HasVersion, Protocol):
    @property
    def terms(self) -> str: ...


T = TypeVar("T", bound=HasTerms)
V = TypeVar("V", bound=HasVersion)


def number(version: str) -> tuple[int, ...]:
    """`1.10.0` as numbers that compare as versions do."""
    return tuple(int(part) for part in version.split("."))


def in_order(versions: Iterable[V]) -> list[V]:
    """Oldest first."""
    return sorted(versions, key=lambda each: number(each.version))


def latest(versions: Iterable[V]) -> V | None:
    """The highest published version, else the highest in the best other state."""
    return max(versions, key=lambda each: (-_STATES.index(each.state), number(each.version)), default=None)


def chosen(versions: Iterable[V], policy: str, states: frozenset[VersionState] = OFFERED) -> V | None:
    """The version that a connection with `policy` (`^1`, or `1.2.0`) takes now, of those in `states`."""
    major = policy.removeprefix("^")
    return latest(
        each
        for each in versions
        if each.state in states and (each.version == policy or each.version.split(".")[0] == major)
    )


def agreed(terms: str, version: HasTerms) -> bool:
    """Whether a connection that has consented to `terms` may take the version up; what is not known is no hindrance."""
    return not terms or not version.terms or version.terms == terms


def running(versions: Sequence[T], policy: str, terms: str, consented: str | None) -> T | None:
    """What a connection runs: the version that its policy takes of those it agrees to, else the one it consented to."""
    taken = chosen([each for each in versions if agreed(terms, each)], policy, USABLE)
    if taken is not None:
        return taken
    return next((each for each in versions if each.version == consented and each.state in USABLE), None)


def unagreed(versions: Sequence[T], policy: str, terms: str) -> T | None:
    """The version that the policy would take and that the connection's owner has to consent to first."""
    wanted = chosen(versions, policy, USABLE)
    return wanted if wanted is not None and not agreed(terms, wanted) else None


def connector_state(versions: Iterable[HasVersion]) -> ConnectorState:
    """The best state of any version; `draft` where there is none."""
    return best_state(each.state for each in versions) or "draft"
