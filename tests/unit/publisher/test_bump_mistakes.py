"""Mistakes about bumps, in both directions: a wrong table is noticed by the pairs, a wrong wish is told its author."""

from __future__ import annotations

import functools
from typing import Final

import pytest

from services.publisher.domain.versioning import BUMPS, Bump, Change, ChangeKind, bump_of
from services.publisher.handlers.releasing import next_after
from shared.contracts.commands import Version, VersionSummary
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.contracts.template import document_digest
from tests.unit.publisher.bump_pairs import ROWS, Pair
from tests.unit.publisher.documents import Document, edited
from tests.unit.publisher.fakes import AT, World, caller
from tests.unit.publisher.test_bump_rows import PAIRS, between

LAST: Final = "2.3.4"
NEXT: Final = {Bump.PATCH: "2.3.5", Bump.MINOR: "2.4.0", Bump.MAJOR: "3.0.0"}


@functools.cache
def _told() -> list[tuple[list[Change], Bump]]:
    """What changes in each pair, forward and back, with the bump that it has to make."""
    told = []
    for pair in (pair for pairs in ROWS.values() for pair in pairs):
        old = pair.base()
        new = edited(old, pair.edits)
        told += [(between(old, new), pair.bump), (between(new, old), pair.back)]
    return told


@pytest.mark.parametrize("wrong", list(Bump))
@pytest.mark.parametrize("kind", list(ChangeKind))
def test_a_kind_of_change_with_a_larger_or_smaller_bump_fails_some_pair(
    kind: ChangeKind, wrong: Bump, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = BUMPS[kind]
    monkeypatch.setitem(BUMPS, kind, wrong)

    fitting = all(bump_of(found) is bump for found, bump in _told())

    assert fitting is (wrong is right)


def _version(document: Document) -> Version:
    return Version(
        slug="weather",
        owner=PLATFORM,
        version=LAST,
        state="published",
        digest=document_digest(document),
        scope="catalogue",
        revision=1,
        document=document,
        published_at=AT,
        notes="",
    )


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_smaller_bump_than_the_pair_makes_is_refused_and_a_larger_one_is_taken(pair: Pair) -> None:
    old = pair.base()
    before, after = _version(old), _version(edited(old, pair.edits))
    world = World()
    world.registry.versions[PLATFORM, "weather"] = [before]
    last = VersionSummary(version=LAST, state="published", digest=before.digest, scope="catalogue", published_at=AT)

    for wish in Bump:
        asked = next_after(caller(), after, last, world.ports, owner=PLATFORM, bump=wish.word)
        if wish < pair.bump:
            with pytest.raises(DibopError, match=f"needs a {pair.bump.word} version") as refusal:
                await asked
            assert refusal.value.code == "not-publishable"
            assert refusal.value.errors
        else:
            assert await asked == NEXT[wish]
    assert await next_after(caller(), after, last, world.ports, owner=PLATFORM, bump=None) == NEXT[pair.bump]
