"""The publisher dies before every act of publish, unpublish and rollback: each happens once, and is told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import pytest
from nats.js import JetStreamContext

from shared.contracts.commands import Moved, Published
from tests.integration.publisher.conftest import (
    SLUG,
    Author,
    StartPublisher,
    catalogue_entry,
    events,
)
from tests.support.mortal import Death, outlived
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor

FEWEST: Final = 10
"""Acts that any of these commands has at least: else they were not counted."""

Ask = Callable[[int], Coroutine[Any, Any, object]]


async def die_at_every_act(
    start: StartPublisher, command: str, ask: Ask, *, prepare: Callable[[int], Awaitable[object]] | None = None
) -> int:
    """Command number n meets a publisher that dies before act n; the next publisher is asked for it again.

    The answer is how many commands there were; the last came through.
    """
    number = 0
    while True:
        publisher = await asyncio.to_thread(start, death=Death(command, act=number, mark=mark(number)))
        if number:
            await ask(number - 1)
        if prepare is not None:
            await prepare(number)
        survived = await outlived(publisher, asyncio.create_task(ask(number)))
        publisher.kill()
        number += 1
        if survived:
            assert number > FEWEST
            return number


def mark(number: int) -> str:
    return f"Command {number}."


@pytest.mark.timeout(300)
async def test_it_dies_at_every_act_and_everything_happens_once(
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    async def change(number: int) -> None:
        await platform.save(number or None, description=f"The weather, told for time {number}.")
        await platform.test(parameters={"now": {"q": "x"}, "tomorrow": {"q": "x"}})

    async def publish(number: int) -> None:
        body = {"slug": SLUG, "scope": "catalogue", "notes": mark(number)}
        answer = await platform.ask("publisher", "connector.publish", body, Published)
        assert answer.version == f"1.0.{number}"

    async def unpublish(number: int) -> None:
        body = {"slug": SLUG, "version": f"1.0.{number}", "notes": mark(number)}
        await platform.ask("publisher", "connector.unpublish", body, Moved)

    async def roll_back(number: int) -> None:
        body = {"slug": SLUG, "version": f"1.0.{number % 2}", "notes": mark(number)}
        answer = await platform.ask("publisher", "connector.rollback", body, Published)
        assert answer.version == f"1.0.{published + number}"

    published = await die_at_every_act(start_publisher, "connector.publish", publish, prepare=change)
    unpublished = await die_at_every_act(start_publisher, "connector.unpublish", unpublish)
    rolled_back = await die_at_every_act(start_publisher, "connector.rollback", roll_back)

    assert unpublished < published
    names = [f"1.0.{number}" for number in range(published + rolled_back)]
    states = ["unpublished"] * unpublished + ["published"] * (len(names) - unpublished)
    for found in (await platform.connector()).versions, (await catalogue_entry(js)).versions:
        assert [(each.version, each.state) for each in in_order(found)] == list(zip(names, states, strict=True))
    start_publisher()
    for what, versions in (("version_published", names), ("unpublished", names[:unpublished])):
        assert await eventually(lambda: told(js, what, versions)), what  # noqa: B023
    wanted = {"publish": published, "unpublish": unpublished, "rollback": rolled_back}
    assert await eventually(lambda: audited(platform, wanted))


def in_order(versions: list[Any]) -> list[Any]:
    return sorted(versions, key=lambda each: [int(part) for part in each.version.split(".")])


async def told(js: JetStreamContext, what: str, versions: list[str]) -> bool:
    assert [event.data["version"] for event in await events(js, what)] == versions
    return True


async def audited(author: Author, wanted: dict[str, int]) -> bool:
    counted = Counter(entry.action for entry in await author.audit(limit=1000))
    assert {verb: counted[f"connector.{verb}"] for verb in wanted} == wanted
    return True
