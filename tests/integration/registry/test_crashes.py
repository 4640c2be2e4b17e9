"""The registry dies before every act of a command that the publisher repeats: one change, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from nats.js import JetStreamContext

from shared.contracts import commands
from tests.integration.registry.conftest import People, Person
from tests.support.mortal import Death, ForkedService, outlived
from tests.support.tokens import Tokens

FEWEST: Final = 8
"""Acts that any of these commands has at least: else they were not counted."""

Fork = Callable[[Death | None], ForkedService]
Ask = Callable[[int], Coroutine[Any, Any, commands.CatalogueEntryModel]]


@pytest.fixture
def fork(nats_url: str, js: JetStreamContext, database_url: str, tokens: Tokens, tmp_path: Path) -> Iterator[Fork]:
    """Starts a registry in place of the last one."""
    forked: list[ForkedService] = []
    environment = {
        "DIBOP_NATS_URL": nats_url,
        "DIBOP_DATABASE_URL": database_url,
        "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
    }

    def start(death: Death | None) -> ForkedService:
        for service in forked:
            service.kill()
        forked.append(ForkedService("registry", environment, log=tmp_path / f"{len(forked)}.log", death=death))
        forked[-1].start()
        return forked[-1]

    yield start
    for service in forked:
        service.kill()


async def die_at_every_act(fork: Fork, command: str, ask: Ask) -> int:
    """Command number n meets a registry that dies before act n; the next registry is asked for it again.

    The answer is the number of the first command that came through.
    """
    number = 0
    while True:
        service = fork(Death(command, act=number, mark=f'"id-{number}"'))
        if number:
            await ask(number - 1)
        if await outlived(service, asyncio.create_task(ask(number))):
            return number
        number += 1


@pytest.mark.timeout(300)
async def test_it_dies_at_every_act_of_adding_a_version_and_of_moving_one(fork: Fork, people: People) -> None:
    fork(None)
    saved = await people.author.save()
    entries: dict[int, commands.CatalogueEntryModel] = {}

    async def add(number: int) -> commands.CatalogueEntryModel:
        adding = commands.AddVersion(
            publication_id=f"id-{number}",
            slug="weather",
            version=f"1.0.{number}",
            digest=saved.digest,
            scope="enterprise",
            revision=saved.revision,
            actor="ada",
        )
        entries[number] = await people.publisher.ask("version.add", adding, commands.VersionAdded)
        return entries[number]

    last = await die_at_every_act(fork, "version.add", add)

    assert last >= FEWEST
    names = [f"1.0.{number}" for number in range(last + 1)]
    for number, entry in entries.items():
        assert (entry.generation, [each.version for each in entry.versions]) == (number + 1, names[: number + 1])
    assert await told(people.author, "version.add", "publication_id") == [f"id-{number}" for number in range(last + 1)]

    async def move(number: int) -> commands.CatalogueEntryModel:
        moving = commands.SetVersionState(
            move_id=f"id-{number}", slug="weather", versions=[names[number]], state="unpublished", actor="ada"
        )
        return await people.publisher.ask("version.set-state", moving, commands.VersionStateSet)

    moved = await die_at_every_act(fork, "version.set-state", move)

    assert FEWEST <= moved <= last
    entry = await move(moved)
    assert entry.generation == last + 1 + moved + 1
    assert [each.state for each in entry.versions] == ["unpublished"] * (moved + 1) + ["published"] * (last - moved)
    assert await told(people.author, "version.set-state", "move_id") == [f"id-{number}" for number in range(moved + 1)]


async def told(person: Person, action: str, label: str) -> list[str]:
    """What the audit entries of an action carry under a label, oldest first."""
    entries = [entry for entry in await person.audit(limit=200) if entry.action == action]
    return [entry.details[label] for entry in reversed(entries)]
