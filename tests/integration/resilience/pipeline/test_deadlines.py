"""Time: attempts that are cut, deadlines that bound the whole, bodies that are not read to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
import redis.asyncio

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from tests.integration.executor.world import Bus, read
from tests.integration.resilience.pipeline.calls import ask, limits
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually

SLACK = 1.0
"""Ten times what the benchmark allows."""
BRIEF = limits(timeout_seconds=0.5, circuit_breaker_threshold=5)


@pytest.fixture
async def failures(redis_url: str) -> Callable[[], Any]:
    """`await failures()`: failures in a row that the connector's circuit counts."""

    async def count() -> int:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            return int(await client.hget("res:{platform.shop}:acme.-:c", "f") or 0)

    return count


@pytest.mark.case(45, 46)
@pytest.mark.parametrize("path", ["/drip", "/drip-headers", "/never"])
async def test_an_attempt_is_cut_at_its_limit(
    bus: Bus, executor: Executor, failures: Callable[[], Any], path: str
) -> None:
    await bus.publish("shop", ask("run", path), resilience=BRIEF)
    started = monotonic()
    error = await bus.refused("shop", "run")
    took = monotonic() - started
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-timeout", "unknown", 1)
    assert 0.5 <= took < 0.5 + SLACK
    assert await failures() == 1


@pytest.mark.case(47)
async def test_a_deadline_shorter_than_the_timeout_ends_the_attempt_and_says_nothing(
    bus: Bus, executor: Executor, failures: Callable[[], Any], upstream: FaultServer
) -> None:
    await bus.publish("shop", ask("run", "/never"), resilience={**BRIEF, "timeout_seconds": 30, "max_retries": 3})
    started = monotonic()
    error = await bus.refused("shop", "run", headers={"Dibop-Deadline-Ms": "400"})
    assert monotonic() - started < 0.4 + SLACK
    assert (error.code, error.outcome, upstream.sends("/never")) == ("upstream-timeout", "unknown", 1)
    assert "the caller's deadline came first" in error.detail
    assert await failures() == 0


@pytest.mark.case(47)
async def test_a_deadline_that_leaves_more_than_half_the_timeout_counts(
    bus: Bus, executor: Executor, failures: Callable[[], Any]
) -> None:
    await bus.publish("shop", ask("run", "/never"), resilience={**BRIEF, "timeout_seconds": 1})
    await bus.refused("shop", "run", headers={"Dibop-Deadline-Ms": "700"})
    assert await failures() == 1


async def test_the_deadline_bounds_all_attempts_and_delays(bus: Bus, executor: Executor, upstream: FaultServer) -> None:
    await bus.publish(
        "shop", ask("run", "/status/500"), resilience={**BRIEF, "max_retries": 10, "retry_delay_seconds": 0.3}
    )
    started = monotonic()
    result = await bus.execute("shop", "run", headers={"Dibop-Deadline-Ms": "1000"})
    assert monotonic() - started <= 1.0
    assert (result["status_code"], result["retry_stopped"]) == (500, "deadline")
    assert 1 <= len(result["attempts"]) == upstream.sends("/status/500") <= 4


async def test_without_a_deadline_the_schedule_is_the_bound(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", ask("run", "/json"), resilience=limits(timeout_seconds=0.5, rate_limit_per_minute=1))
    await bus.execute("shop", "run")
    error = await bus.refused("shop", "run")
    assert error.code == "rate-limited"


@pytest.mark.case(48)
async def test_an_attempt_that_outlasts_the_drain_is_neutral_and_its_caller_is_told(
    bus: Bus, settings: ExecutorSettings, failures: Callable[[], Any], upstream: FaultServer
) -> None:
    executor = Executor(settings.model_copy(update={"drain_seconds": 0.2}))
    await executor.start()
    await bus.publish("shop", ask("run", "/never"), ask("status", "/status/500"), resilience=BRIEF)
    await bus.execute("shop", "status")
    asked = asyncio.create_task(bus.raw(subjects.execute("acme", "shop", "run"), b'{"timeout": 30}'))
    await eventually(lambda: upstream.sends("/never") == 1)
    await executor.drain_and_stop()
    with pytest.raises(DibopError) as caught:
        read(await asked)
    assert (caught.value.code, caught.value.outcome) == ("upstream-timeout", "unknown")
    assert await failures() == 1


@pytest.mark.case(49)
async def test_a_response_over_the_cap_is_not_read_to_its_end(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    await start(max_response_bytes=100_000)
    await bus.publish("shop", ask("run", "/endless"), resilience=limits(max_retries=3))
    error = await bus.refused("shop", "run")
    assert (error.code, error.outcome, len(error.attempts)) == ("response-too-large", "unknown", 1)
    written = upstream.counts["endless"]
    assert written < 1_000
    await eventually(lambda: upstream.open_connections == 0)


@pytest.mark.case(50)
async def test_the_cap_counts_decoded_bytes(bus: Bus, start: Callable[..., Any]) -> None:
    await start(max_response_bytes=1_000_000)
    await bus.publish("shop", ask("run", "/bomb?bytes=50000000"), resilience=limits(max_retries=3))
    error = await bus.refused("shop", "run")
    assert (error.code, len(error.attempts)) == ("response-too-large", 1)
