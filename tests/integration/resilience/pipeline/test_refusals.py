"""What a circuit, a limit or a full bulkhead keeps from the external system, and how a refusal explains itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec
import pytest

from services.executor.app import Executor
from tests.integration.executor.world import Bus
from tests.integration.resilience.pipeline.calls import STATUS, ask, limits, outcome, outcomes
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually

FRAGILE = limits(circuit_breaker_threshold=3, circuit_breaker_recovery_seconds=30)


async def statistics(bus: Bus) -> dict[str, Any]:
    """What the one worker says of its limits and circuits."""
    answer = await bus.raw("$SRV.STATS.dibop-executor")
    told: dict[str, Any] = msgspec.json.decode(answer.data)["endpoints"][0]["data"]["resilience"]
    return told


@pytest.mark.case(14, 16)
async def test_an_open_circuit_refuses_without_a_call_and_says_why(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", STATUS, resilience=FRAGILE)
    for _ in range(3):
        assert await outcome(bus, "shop", "status", status=503) == "503"
    await asyncio.sleep(0.01)  # so that it has been open for a while
    started = monotonic()
    error = await bus.refused("shop", "status")
    assert monotonic() - started < 0.9
    assert (error.code, error.outcome, error.attempts) == ("circuit-open", "not_sent", ())
    assert error.retry_after_ms is not None
    assert 25_000 < error.retry_after_ms <= 30_000
    assert "connector 'shop' has been open for" in error.detail
    assert "(status 503)" in error.detail
    assert upstream.sends("/late") == 3
    told = await statistics(bus)
    assert (told["circuits"], told["refusals"], told["attempts"]) == ({"open": 1}, {"circuit-open": 1}, {"5xx": 3})


@pytest.mark.case(17, 18)
async def test_after_recovery_one_call_goes_out_and_closes_the_circuit(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    for _ in range(3):
        await start()
    await bus.publish("shop", STATUS, resilience={**FRAGILE, "circuit_breaker_recovery_seconds": 1})
    await outcomes(bus, 3, "shop", "status", status=500)
    assert await outcome(bus, "shop", "status") == "circuit-open"
    await asyncio.sleep(1)  # recovery is time that must pass
    found = await outcomes(bus, 20, "shop", "status", after=0.5)
    assert found == {"200": 1, "circuit-open": 19}
    assert await outcomes(bus, 20, "shop", "status") == {"200": 20}
    assert upstream.sends("/late") == 24


@pytest.mark.case(26, 27)
@pytest.mark.parametrize("status", [404, 429, 401, 501, 425])
async def test_answers_that_blame_the_caller_never_open_a_circuit(bus: Bus, executor: Executor, status: int) -> None:
    await bus.publish("shop", STATUS, resilience={**FRAGILE, "retry_delay_seconds": 0})
    for _ in range(8):
        assert await outcome(bus, "shop", "status", status=status) == str(status)


@pytest.mark.case(28)
async def test_a_404_between_500s_keeps_the_circuit_closed(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", STATUS, resilience=FRAGILE)
    for status in (500, 500, 404) * 4:
        assert await outcome(bus, "shop", "status", status=status) == str(status)
    await outcome(bus, "shop", "status", status=500)
    await outcome(bus, "shop", "status", status=500)
    assert await outcome(bus, "shop", "status", status=500) == "500"
    assert await outcome(bus, "shop", "status") == "circuit-open"


@pytest.mark.case(60)
async def test_waiters_send_nothing_once_the_circuit_has_opened(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish(
        "shop", STATUS, resilience={**FRAGILE, "circuit_breaker_threshold": 1, "rate_limit_per_minute": 2}
    )
    failing = asyncio.create_task(outcome(bus, "shop", "status", status=500, after=0.5))
    await eventually(lambda: upstream.sends("/late") == 1)
    assert await outcome(bus, "shop", "status") == "200"
    waiters = asyncio.create_task(outcomes(bus, 4, "shop", "status", deadline=10))
    assert await failing == "500"
    assert await waiters == {"circuit-open": 4}
    assert upstream.sends("/late") == 2


@pytest.mark.case(5)
async def test_a_wait_beyond_the_deadline_is_refused_at_once_with_the_time(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", STATUS, resilience=limits(rate_limit_per_minute=2))
    assert await outcomes(bus, 2, "shop", "status") == {"200": 2}
    started = monotonic()
    error = await bus.refused("shop", "status", headers={"Dibop-Deadline-Ms": "1000"})
    assert monotonic() - started < 0.5
    assert (error.code, error.outcome) == ("rate-limited", "not_sent")
    assert error.retry_after_ms is not None
    assert 1_000 < error.retry_after_ms <= 2_000
    assert "The limit of 2 attempts a minute on connector 'shop' is used up." in error.detail
    assert "the caller waits" in error.detail
    # Nothing was reserved: who can wait gets the very next permit.
    assert await outcome(bus, "shop", "status", deadline=10) == "200"
    assert upstream.arrivals[2].at - upstream.arrivals[0].at < 2.9


async def test_an_operation_with_its_own_limits_has_its_own_circuit(bus: Bus, executor: Executor) -> None:
    own = ask("own", "/status/500", resilience={"circuit_breaker_threshold": 1})
    await bus.publish("shop", own, STATUS, resilience=FRAGILE)
    assert await outcome(bus, "shop", "own") == "500"
    error = await bus.refused("shop", "own")
    assert (error.code, "operation 'own' of connector 'shop'" in error.detail) == ("circuit-open", True)
    assert await outcomes(bus, 5, "shop", "status") == {"200": 5}


async def test_an_operation_with_its_own_rate_leaves_the_others_theirs(bus: Bus, executor: Executor) -> None:
    own = ask("own", "/json", resilience={"rate_limit_per_minute": 1})
    await bus.publish("shop", own, STATUS, resilience=limits(rate_limit_per_minute=3))
    assert await outcomes(bus, 3, "shop", "own", deadline=0.5) == {"200": 1, "rate-limited": 2}
    assert await outcomes(bus, 5, "shop", "status", deadline=0.5) == {"200": 3, "rate-limited": 2}


@pytest.mark.case(12)
async def test_operators_limit_enterprises_and_all_of_them_together(bus: Bus, start: Callable[..., Any]) -> None:
    await start(enterprise_rates="platform.shop=2", platform_rates="*=3")
    await bus.publish("shop", STATUS, resilience=limits(rate_limit_per_minute=10))
    brief = {"Dibop-Deadline-Ms": "500"}
    assert await outcomes(bus, 4, "shop", "status", deadline=0.5) == {"200": 2, "rate-limited": 2}
    error = await bus.refused("shop", "status", headers=brief)
    assert "The limit of 2 attempts a minute that operators have set" in error.detail
    assert "for each enterprise" in error.detail
    await bus.execute("shop", "status", headers=brief, enterprise="globex")
    error = await bus.refused("shop", "status", headers=brief, enterprise="globex")
    assert "for all enterprises together" in error.detail


async def test_one_slow_system_does_not_starve_the_others(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    await start(max_in_flight=4, max_in_flight_per_connection=2, queue_size=100)
    await bus.publish("slow", STATUS, resilience=limits())
    await bus.publish("fast", STATUS, resilience=limits())
    flood = asyncio.create_task(outcomes(bus, 12, "slow", "status", after=0.5))
    await eventually(lambda: upstream.sends("/late") == 2)
    started = monotonic()
    assert await outcomes(bus, 4, "fast", "status") == {"200": 4}
    assert monotonic() - started < 1
    assert await flood == {"200": 12}
    assert (await statistics(bus))["slots_waited"] >= 10


async def test_a_full_bulkhead_waits_to_the_deadline(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    await start(max_in_flight_per_connection=1)
    await bus.publish("shop", STATUS, resilience=limits())
    first = asyncio.create_task(outcome(bus, "shop", "status", after=1))
    await eventually(lambda: upstream.sends("/late") == 1)
    error = await bus.refused("shop", "status", headers={"Dibop-Deadline-Ms": "300"})
    assert (error.code, error.outcome) == ("deadline-exceeded", "not_sent")
    assert "1 attempts in flight" in error.detail
    assert await first == "200"


async def test_a_worker_starts_and_serves_without_redis(bus: Bus, start: Callable[..., Any], closed_port: int) -> None:
    await start(redis_url=f"redis://127.0.0.1:{closed_port}/0")
    await bus.publish("shop", STATUS, resilience=FRAGILE)
    assert await outcomes(bus, 5, "shop", "status") == {"200": 5}
    told = await statistics(bus)
    assert (told["state"], told["local_decisions"]) == ("degraded_state", 5)
    assert await outcomes(bus, 3, "shop", "status", status=500) == {"500": 3}
    assert await outcome(bus, "shop", "status") == "circuit-open"
