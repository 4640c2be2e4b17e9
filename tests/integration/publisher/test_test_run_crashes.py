"""The publisher dies in the middle of a test run and is started again: the run has an end, and the next one begins."""

from __future__ import annotations

import asyncio

from nats.js import JetStreamContext

from tests.integration.publisher.conftest import Author, StartPublisher, events
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor


async def test_a_run_whose_publisher_is_killed_is_interrupted_after_the_next_start(
    start_publisher: StartPublisher,
    registry: None,
    executor: StandInExecutor,
    platform: Author,
    js: JetStreamContext,
) -> None:
    first = await asyncio.to_thread(start_publisher)
    await platform.save()
    executor.silent = {"tomorrow"}
    run_id = await platform.start_test()

    async def first_is_done() -> bool:
        return (await platform.show_test(run_id)).operations[0].outcome == "pass"

    await eventually(first_is_done)
    await asyncio.to_thread(first.kill)

    await asyncio.to_thread(start_publisher)
    executor.silent = set()
    run = await platform.ended_test(run_id)

    assert (run.state, run.reason) == ("interrupted", "The publisher that was at the run is gone. Start it again.")
    assert [step.outcome for step in run.operations] == ["pass", "skip"]
    (told,) = await eventually(lambda: events(js, "test_completed"))
    assert told.data["state"] == "interrupted"
    assert (await platform.test()).state == "passed"
