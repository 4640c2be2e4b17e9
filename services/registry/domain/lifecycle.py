"""Moves of published versions: who is in the way of one, and what may take a version's place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.lifecycle import LaterState, require_may_become
from shared.contracts.versions import HasTerms, HasVersion, in_order, running

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """How many connections, of how many enterprises, follow one version policy, with one consent.

    `terms` tells what they have consented to (empty: not known), `consented` for which version.
    """

    policy: str
    connections: int
    enterprises: int
    terms: str = ""
    consented: str | None = None


def moving(slug: str, versions: Sequence[HasVersion], names: Collection[str], wanted: LaterState) -> None:
    """Refuse names that are no versions, and versions that cannot become `wanted`."""
    states = {each.version: each.state for each in versions}
    for name in names:
        if name not in states:
            there = ", ".join(each.version for each in in_order(versions)[-_SHOWN:]) or "none"
            raise DibopError("not-found", f"{slug!r} has no version {name}. It has: {there}. Name one of these.")
        require_may_become(slug, name, states[name], wanted)


def require_unused(slug: str, versions: Sequence[HasTerms], names: Collection[str], uses: Sequence[PolicyUse]) -> None:
    """Refuse to retire what some connection runs now."""
    for use in uses:
        runs = running(versions, use.policy, use.terms, use.consented)
        if runs is not None and runs.version in names:
            count = f"{use.connections} connection{'' if use.connections == 1 else 's'}"
            of = f" of {use.enterprises} enterprises" if use.enterprises > 1 else ""
            raise DibopError(
                "conflict",
                f"Version {runs.version} of {slug!r} cannot be retired: {count}{of} with the version policy "
                f"{use.policy} use it. Have them follow another version, or delete them, first.",
            )


def require_successor(
    slug: str, successor: str, versions: Sequence[HasVersion], names: Collection[str], *, other_is_offered: bool
) -> None:
    """Refuse a successor that is not there to be used: a version, or another connector's slug."""
    if successor[0].isdigit():
        found = next((each for each in versions if each.version == successor), None)
        fits = found is not None and found.state == "published" and successor not in names
        what = f"a published version of {slug!r} that stays"
    else:
        fits = successor != slug and other_is_offered
        what = "another connector that takes new connections"
    if not fits:
        raise DibopError("invalid-request", f"{successor!r} cannot take the place: it is not {what}. Name one that is.")
