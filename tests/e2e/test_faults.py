"""Parts of a running stack are killed, one after the other, while requests go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from dibop.client import Client
from dibop.errors import NoServiceError
from shared.contracts.commands import PublishConnector, Published
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.servers import NatsServer
from tests.support.stack import Stack
from tests.support.streams import stored_events

pytestmark = pytest.mark.timeout(180)

CONCURRENCY: Final = 16
DELAY: Final = {"seconds": 0.2}
NOTICED_SECONDS: Final = 1.0
"""How long after a kill a request may still have been on its way to the part that died."""


def slow_connector(url: str, slug: str = "slow") -> dict[str, Any]:
    return {
        "name": slug.title(),
        "slug": slug,
        "type": "General",
        "description": "Answers after a while.",
        "base_url": url,
        "auth_type": "none",
        "resilience": {"rate_limit_per_minute": 0},
        "operations": [
            {
                "operation": "wait",
                "description": "Wait, then answer.",
                "method": "GET",
                "path": "/delay",
                "parameters": [{"name": "seconds", "location": "query", "type": "number", "default": 0.01}],
                "response_schema": {},
            }
        ],
    }


@pytest.fixture
def slow_stack(own_stack: Callable[..., Stack], fault_url: str, tmp_path: Path) -> Stack:
    stack = own_stack(workers=2)
    stack.publish(slow_connector(fault_url), directory=tmp_path)
    return stack


async def test_a_killed_worker_takes_only_its_own_requests_with_it(slow_stack: Stack) -> None:
    async with slow_stack.client() as client, Load(client, "slow", "wait", DELAY, CONCURRENCY) as load:
        await eventually(lambda: load.succeeded >= 2 * CONCURRENCY, 30)
        old = slow_stack.kill("executor-1")
        killed_at = time.monotonic()
        before = load.succeeded
        await eventually(lambda: load.succeeded >= before + 4 * CONCURRENCY, 30, what="the other worker goes on")
        await slow_stack.restarted("executor-1", old)

    assert len(load.failed) <= CONCURRENCY, load.failed
    late = [outcome for outcome in load.failed if outcome.begin > killed_at + NOTICED_SECONDS]
    assert not late, f"requests that came after the kill, at {killed_at}, were lost: {late}"
    assert load.succeeded >= 6 * CONCURRENCY


@pytest.mark.parametrize("part", ["registry", "publisher", "redis"])
async def test_executions_do_not_notice_the_restart_of_what_they_do_not_need(
    slow_stack: Stack, part: str, fault_url: str, tmp_path: Path
) -> None:
    async with slow_stack.client() as client, Load(client, "slow", "wait", {}, 4) as load:
        await eventually(lambda: load.succeeded >= 8, 30)
        old = slow_stack.kill(part)
        await slow_stack.restarted(part, old)
        before = load.succeeded
        await eventually(lambda: load.succeeded >= before + 8, 30)

    assert load.failed == []
    slow_stack.publish(slow_connector(fault_url, "second"), directory=tmp_path)
    assert slow_stack.json("exec", "second", "wait")["status_code"] == 200


async def test_everything_goes_on_after_a_restart_of_nats(slow_stack: Stack, fault_url: str, tmp_path: Path) -> None:
    async with slow_stack.client() as client, Load(client, "slow", "wait", {}, 4, deadline=2.0) as load:
        await eventually(lambda: load.succeeded >= 8, 30)
        old = slow_stack.kill("nats")
        await slow_stack.restarted("nats", old)
        back_at = time.monotonic()
        before = load.succeeded
        await eventually(lambda: load.succeeded >= before + 40, 60, what="executions succeed again")

    settled = [outcome for outcome in load.outcomes if outcome.begin > back_at + 10]
    assert all(outcome.error is None for outcome in settled)
    slow_stack.publish(slow_connector(fault_url, "second"), directory=tmp_path)
    assert slow_stack.json("exec", "second", "wait")["status_code"] == 200
    assert slow_stack.json("connector", "show", "slow")["latest_version"] == "1.0.0"


async def test_a_publisher_killed_while_it_publishes_finishes_once(
    own_stack: Callable[..., Stack], fault_url: str, tmp_path: Path
) -> None:
    stack = own_stack(workers=1)
    moments = (0.0, 0.01, 0.02, 0.04)
    for number, moment in enumerate(moments):
        document = slow_connector(fault_url, f"slow-{number}")
        stack.draft(document, directory=tmp_path)
        stack.test(document)
        async with stack.client() as client:
            command = PublishConnector(slug=document["slug"], scope="catalogue")
            publishing = asyncio.create_task(publish(client, command))
            await asyncio.sleep(moment)
            old = stack.kill("publisher")
            await stack.restarted("publisher", old)
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            published = await publish(client, command)
        assert published.version == "1.0.0"

    operator = stack.operator()
    await operator.open(10)
    events = await stored_events(operator.jetstream())
    await operator.close()
    announced = [event.identifier for event in events if event.what == "version_published"]
    assert sorted(announced) == [f"slow-{number}" for number in range(len(moments))]
    for slug in announced:
        assert [v["version"] for v in stack.json("connector", "show", slug)["versions"]] == ["1.0.0"]
        assert stack.json("exec", slug, "wait")["status_code"] == 200


async def publish(client: Client, command: PublishConnector) -> Published:
    return await client.command("publisher", "platform", "connector", "publish", command, Published)


async def test_without_any_worker_the_caller_is_told_at_once(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats").start()
    try:
        async with Client.connect(nats_url=server.url, enterprise="local") as client:
            began = time.monotonic()
            with pytest.raises(NoServiceError, match="running"):
                await client.execute("weather", "now", deadline=30)
    finally:
        server.stop()

    assert time.monotonic() - began < 10
