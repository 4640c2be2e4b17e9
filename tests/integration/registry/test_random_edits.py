"""Several authors edit one draft at once, at random: what was acknowledged stays, what was not is refused by name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Any, Final

import pytest

from shared.contracts.commands import Draft, DraftSaved, GetDraft, PatchDraft
from shared.contracts.errors import DibopError
from tests.integration.registry.conftest import People, Person
from tests.support.connectors import document

pytestmark = pytest.mark.usefixtures("registry")

FIELDS: Final = [f"x-{number}" for number in range(6)]
EDITS: Final = 8


@pytest.mark.parametrize("authors", [2, 3])
async def test_acknowledged_edits_follow_on_each_other_and_the_others_are_refused(people: People, authors: int) -> None:
    chance = random.Random(authors)
    await people.author.save()
    taken: dict[int, dict[str, Any]] = {}

    async def edit(person: Person, name: str) -> None:
        base = 1
        for number in range(EDITS):
            patch = dict.fromkeys(chance.sample(FIELDS, chance.randint(1, 2)), f"{name}{number}")
            command = PatchDraft(slug="weather", patch=patch, base_revision=base)
            saved = await _outcome(person.ask("draft.patch", command, DraftSaved))
            if isinstance(saved, DibopError):
                both = {error["path"].removeprefix("/") for error in saved.errors if error["both"]}
                assert (saved.code, bool(both), both <= patch.keys()) == ("conflict", True, True)
                base = (await person.ask("draft.get", GetDraft(slug="weather"), Draft)).revision
            else:
                assert saved.revision not in taken
                taken[saved.revision] = patch
                base = saved.revision if chance.random() < 0.7 else base

    writers = [people.author, people.colleague, people.author][:authors]
    await asyncio.gather(*(edit(person, f"author-{number}-") for number, person in enumerate(writers)))

    assert sorted(taken) == list(range(2, len(taken) + 2))
    wanted = document()
    for revision, patch in sorted(taken.items()):
        wanted = wanted | patch
        found = await people.author.ask("draft.get", GetDraft(slug="weather", revision=revision), Draft)
        assert found.document == wanted


async def _outcome(asked: Awaitable[DraftSaved]) -> DraftSaved | DibopError:
    try:
        return await asked
    except DibopError as refusal:
        return refusal
