"""The publisher dies at every point of every other move, and is started again: one change, one entry, one event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from nats.js import JetStreamContext

from services.publisher.handlers.saga import Point
from shared.contracts.commands import Moved, Published, ReviewDecided
from tests.integration.publisher.conftest import (
    Author,
    ServePublisher,
    StartPublisher,
    catalogue_entry,
    events,
)
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor

KILLED = 137
Command = Callable[[Author], Coroutine[Any, Any, Moved | Published]]

MOVES: dict[str, tuple[Command, str, dict[str, str]]] = {
    "rollback": (
        lambda author: author.roll_back("1.0.0"),
        "version_published",
        {"1.0.0": "published", "1.0.1": "published", "1.0.2": "published"},
    ),
    "deprecate": (
        lambda author: author.move("deprecate", version="1.0.0", successor="1.0.1", date="2030-01-31"),
        "version_deprecated",
        {"1.0.0": "deprecated", "1.0.1": "published"},
    ),
    "unpublish": (
        lambda author: author.move("unpublish", version="1.0.0"),
        "unpublished",
        {"1.0.0": "unpublished", "1.0.1": "published"},
    ),
    "retire": (
        lambda author: author.move("retire", version="1.0.0"),
        "retired",
        {"1.0.0": "retired", "1.0.1": "published"},
    ),
}


async def published(author: Author, js: JetStreamContext, *, unpublished: bool) -> None:
    """1.0.0 and 1.0.1, told of, which differ in words alone; the first unpublished where that is wanted."""
    for revision, description in ((None, "The weather."), (1, "The weather, told anew.")):
        await author.save(revision, description=description)
        await author.test(parameters={"now": {"q": "x"}, "tomorrow": {"q": "x"}})
        await author.publish()
    if unpublished:
        await author.move("unpublish", version="1.0.0")

    async def told() -> bool:
        return len(await events(js, "version_published")) == len(("1.0.0", "1.0.1"))

    await eventually(told)


@pytest.mark.parametrize("point", list(Point))
@pytest.mark.parametrize("verb", MOVES)
async def test_dead_at_any_point_and_started_again_it_ends_done_once(
    verb: str,
    point: Point,
    serve_publisher: ServePublisher,
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    command, told_as, states = MOVES[verb]
    async with serve_publisher():
        await published(platform, js, unpublished=verb == "retire")
    earlier = len(await events(js, told_as))
    dying = await asyncio.to_thread(start_publisher, point.value)
    lost = asyncio.create_task(command(platform))
    assert await asyncio.to_thread(dying.wait) == KILLED
    lost.cancel()

    async with serve_publisher():

        async def told() -> bool:
            return len(await events(js, told_as)) > earlier

        await eventually(told)
        assert {v.version: v.state for v in (await catalogue_entry(js)).versions} == states
        again = await command(platform)

        assert not again.changed
        assert {v.version: v.state for v in (await platform.connector()).versions} == states
        assert {v.version: v.state for v in (await catalogue_entry(js)).versions} == states
        await eventually(lambda: platform.last_audit(f"connector.{verb}"))
        assert [entry.action for entry in await platform.audit()].count(f"connector.{verb}") == 1
    assert len(await events(js, told_as)) == earlier + 1


@pytest.mark.parametrize("point", list(Point))
async def test_dead_while_it_publishes_what_a_review_let_through_it_ends_published_once(
    point: Point,
    serve_publisher: ServePublisher,
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    acme: Author,
    js: JetStreamContext,
) -> None:
    async with serve_publisher():
        saved = await acme.save()
        await acme.test(parameters={"now": {"q": "x"}, "tomorrow": {"q": "x"}})
        asked = await acme.publish("catalogue")
    body = {"id": asked.review}
    dying = await asyncio.to_thread(start_publisher, point.value)
    lost = asyncio.create_task(platform.ask("publisher", "review.approve", body, ReviewDecided))
    assert await asyncio.to_thread(dying.wait) == KILLED
    lost.cancel()

    async with serve_publisher():
        await eventually(lambda: events(js, "version_published"))
        again = await platform.ask("publisher", "review.approve", body, ReviewDecided)

        assert again.published is not None
        assert (again.state, again.published.version, again.published.changed) == ("approved", "1.0.0", False)
        assert [(v.version, v.digest) for v in (await catalogue_entry(js)).versions] == [("1.0.0", saved.digest)]
    assert [len(await events(js, what)) for what in ("review_decided", "version_published")] == [1, 1]
