"""The publisher dies at every point of a publication, and is started again: one version, one entry, one event."""

from __future__ import annotations

import asyncio

import pytest
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from services.publisher.handlers.saga import Point
from shared.contracts.commands import DraftSaved
from tests.integration.publisher.conftest import (
    Author,
    ServeRegistry,
    StartPublisher,
    catalogue_entry,
    events,
)
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor

KILLED = 137


async def prepared(author: Author) -> DraftSaved:
    """A draft that is saved and tested."""
    saved = await author.save()
    report = await author.test(parameters={"now": {"q": "x"}, "tomorrow": {"q": "x"}})
    assert {tested.outcome for tested in report.operations} == {"pass"}
    return saved


@pytest.mark.parametrize("point", list(Point))
async def test_dead_at_any_point_and_started_again_it_ends_published_once(
    point: Point,
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    first = start_publisher(fault_point=point.value)
    saved = await prepared(platform)
    lost = asyncio.create_task(platform.publish())
    assert await asyncio.to_thread(first.wait) == KILLED
    lost.cancel()

    await asyncio.to_thread(start_publisher)
    again = await platform.publish()

    assert (again.version, again.digest, again.changed) == ("1.0.0", saved.digest, False)
    connector = await platform.connector()
    assert [(v.version, v.digest) for v in connector.versions] == [("1.0.0", saved.digest)]
    entry = await catalogue_entry(js)
    assert [(v.version, v.digest, v.state) for v in entry.versions] == [("1.0.0", saved.digest, "published")]
    (told,) = await eventually(lambda: events(js, "version_published"))
    assert (told.data["version"], told.data["digest"]) == ("1.0.0", saved.digest)
    await eventually(lambda: platform.last_audit("connector.publish"))
    assert [entry.action for entry in await platform.audit()].count("connector.publish") == 1
    assert (await platform.publish()).changed is False
    assert len(await events(js, "version_published")) == 1


async def test_it_ends_by_itself_without_another_command(
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    first = start_publisher(fault_point=Point.APPLIED.value)
    await prepared(platform)
    lost = asyncio.create_task(platform.publish())
    await asyncio.to_thread(first.wait)
    lost.cancel()
    with pytest.raises(KeyNotFoundError):
        await catalogue_entry(js)

    await asyncio.to_thread(start_publisher)

    await eventually(lambda: events(js, "version_published"))
    assert [v.version for v in (await catalogue_entry(js)).versions] == ["1.0.0"]


async def test_it_drains_and_exits_cleanly_when_told_to_stop(
    start_publisher: StartPublisher, registry: None, executor: StandInExecutor, platform: Author
) -> None:
    process = start_publisher()
    await prepared(platform)
    publishing = asyncio.create_task(platform.publish())
    await eventually(lambda: platform.last_audit("version.add"))

    assert await asyncio.to_thread(process.stop) == 0

    assert (await publishing).version == "1.0.0"


async def test_a_publication_waits_for_a_registry_that_is_away(
    start_publisher: StartPublisher,
    serve_registry: ServeRegistry,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    async with serve_registry():
        first = start_publisher(fault_point=Point.RECORDED.value)
        await prepared(platform)
        lost = asyncio.create_task(platform.publish())
        await asyncio.to_thread(first.wait)
        lost.cancel()

    second = await asyncio.to_thread(start_publisher)
    await eventually(lambda: "A move waits" in second.output)
    assert await events(js, "version_published") == []

    async with serve_registry():
        await eventually(lambda: events(js, "version_published"), timeout=30)
        assert [v.version for v in (await catalogue_entry(js)).versions] == ["1.0.0"]
