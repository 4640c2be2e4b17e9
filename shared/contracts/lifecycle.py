"""The life of a version: which state may follow which. Registry and publisher ask this one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from shared.contracts.errors import DibopError
from shared.contracts.projections import VersionState

LaterState = Literal["deprecated", "unpublished", "retired"]
"""What a published version can become. Nothing leads back: old content returns as a new version."""

MAY_BECOME: Final[Mapping[LaterState, frozenset[VersionState]]] = {
    "deprecated": frozenset({"published", "deprecated"}),
    "unpublished": frozenset({"published", "deprecated"}),
    "retired": frozenset({"deprecated", "unpublished"}),
}
"""For each state, those that lead to it. A deprecation may be told anew, with another successor or date."""

_BEST_FIRST: Final[tuple[VersionState, ...]] = ("published", "deprecated", "unpublished", "retired")
_MENDS: Final[Mapping[tuple[LaterState, VersionState], str]] = {
    ("deprecated", "unpublished"): "It takes no new connections any more; retire it once no connection uses it.",
    ("retired", "published"): "Deprecate or unpublish it first, so that its users hear of it.",
}


def require_may_become(slug: str, version: str, state: VersionState, wanted: LaterState) -> None:
    """Refuse with `conflict` a move that the table does not have."""
    if state not in MAY_BECOME[wanted]:
        mend = _MENDS.get((wanted, state), "Publish its content as a new version instead, by a rollback.")
        if state == "retired":
            mend = "What is retired does not come back."
        raise DibopError("conflict", f"Version {version} of {slug!r} is {state} and cannot become {wanted}. {mend}")


def best_state(states: Iterable[VersionState]) -> VersionState | None:
    """The state of a connector whose versions have these; None where it has none."""
    return min(states, key=_BEST_FIRST.index, default=None)
