"""Retries, as the external system sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from tests.integration.executor.world import Bus
from tests.integration.resilience.pipeline.calls import STATUS, ask, limits, outcome, outcomes
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually

RETRYING = limits(max_retries=2)
ON_ITS_WAY = 0.2
"""Seconds that the first of two requests may have been on its way longer than the second."""


def post(name: str, path: str, **changes: Any) -> dict[str, Any]:
    return ask(name, path, method="POST", **changes)


@pytest.mark.case(34)
async def test_a_post_that_was_reset_after_sending_is_sent_once(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", post("run", "/reset-after-send"), resilience=RETRYING)
    error = await bus.refused("shop", "run")
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-timeout", "unknown", 1)
    assert upstream.sends("/reset-after-send") == 1


@pytest.mark.case(35)
async def test_a_post_to_a_closed_port_is_repeated(bus: Bus, executor: Executor, closed_port: int) -> None:
    await bus.publish("shop", post("run", "/a"), resilience=RETRYING, base_url=f"http://127.0.0.1:{closed_port}")
    error = await bus.refused("shop", "run")
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-unreachable", "not_sent", 3)
    assert "No retry is left" in error.detail


@pytest.mark.case(36)
@pytest.mark.parametrize(("flag", "sends"), [({}, 1), ({"idempotent": True}, 3)])
async def test_a_post_is_repeated_where_it_is_called_idempotent(
    bus: Bus, executor: Executor, upstream: FaultServer, flag: dict[str, Any], sends: int
) -> None:
    await bus.publish("shop", post("run", "/flaky/a?fail=2", **flag), resilience=RETRYING)
    result = await bus.execute("shop", "run")
    assert (result["status_code"], upstream.sends("/flaky/a")) == (200 if sends == 3 else 500, sends)


@pytest.mark.case(37)
async def test_all_attempts_of_a_request_carry_its_idempotency_key(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", post("run", "/reset-after-send", idempotency_header="X-Key"), resilience=RETRYING)
    for _ in range(2):
        await bus.refused("shop", "run")
    await bus.refused("shop", "run", headers={"Idempotency-Key": "mine"})
    keys = [arrival.headers["x-key"] for arrival in upstream.arrivals]
    assert len(keys) == 9
    assert [keys[:3], keys[3:6], keys[6:]] == [[keys[0]] * 3, [keys[3]] * 3, ["mine"] * 3]
    assert len(set(keys)) == 3


@pytest.mark.case(43)
async def test_retries_that_end_in_a_500_are_a_result(bus: Bus, executor: Executor, upstream: FaultServer) -> None:
    await bus.publish("shop", ask("run", "/status/500"), resilience=RETRYING)
    result = await bus.execute("shop", "run")
    assert (result["status_code"], result["retry_stopped"]) == (500, "exhausted")
    assert [attempt["status_code"] for attempt in result["attempts"]] == [500, 500, 500]
    assert all(attempt["waited_ms"] >= 35 for attempt in result["attempts"][1:])
    assert upstream.sends("/status/500") == 3


async def test_a_retry_that_succeeds_says_nothing_of_stopping(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", ask("run", "/flaky/b?fail=1"), resilience=RETRYING)
    result = await bus.execute("shop", "run")
    assert (result["status_code"], result["retry_stopped"], len(result["attempts"])) == (200, None, 2)


@pytest.mark.case(6)
async def test_retries_take_permits(bus: Bus, executor: Executor, upstream: FaultServer) -> None:
    await bus.publish("shop", ask("run", "/status/500"), resilience=limits(max_retries=2, rate_limit_per_minute=2))
    result = await bus.execute("shop", "run")
    assert len(result["attempts"]) == 3
    first, _, third = (arrival.at for arrival in upstream.arrivals)
    assert third - first >= 2.0 - ON_ITS_WAY


@pytest.mark.case(38)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_is_kept_to(
    bus: Bus, executor: Executor, upstream: FaultServer, code: int, method: str
) -> None:
    await bus.publish(
        "shop", ask("run", f"/status/{code}?retry_after=1", method=method), resilience=limits(max_retries=1)
    )
    result = await bus.execute("shop", "run")
    assert (result["status_code"], result["retry_stopped"], result["retry_after_ms"]) == (code, "exhausted", 1000)
    first, second = (arrival.at for arrival in upstream.arrivals)
    assert second - first >= 1.0 - ON_ITS_WAY


@pytest.mark.case(41)
async def test_a_retry_after_of_an_hour_is_a_result_for_one_and_a_refusal_for_others(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", ask("run", "/status/429?retry_after=3600"), resilience=RETRYING)
    result = await bus.execute("shop", "run")
    assert (result["status_code"], result["retry_stopped"]) == (429, "rate-limited")
    assert result["retry_after_ms"] == 3_600_000
    error = await bus.refused("shop", "run")
    assert (error.code, error.outcome, error.attempts) == ("rate-limited", "not_sent", ())
    assert error.retry_after_ms is not None
    assert 3_590_000 < error.retry_after_ms <= 3_600_000
    assert "asked to be left alone (status 429)" in error.detail
    assert upstream.sends("/status/429") == 1


@pytest.mark.case(42)
async def test_a_429_that_one_worker_sees_pauses_all(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    for _ in range(3):
        await start()
    await bus.publish("shop", STATUS, resilience=limits())
    assert await outcome(bus, "shop", "status", status=429, retry_after="30") == "429"
    assert await outcomes(bus, 20, "shop", "status") == {"rate-limited": 20}
    assert upstream.sends("/late") == 1


@pytest.mark.case(61)
async def test_waiters_send_nothing_before_a_cooldown_ends_that_came_meanwhile(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", STATUS, resilience=limits(rate_limit_per_minute=2))
    pausing = asyncio.create_task(outcome(bus, "shop", "status", status=429, after=0.5, retry_after="3"))
    await eventually(lambda: upstream.sends("/late") == 1)
    assert await outcome(bus, "shop", "status", deadline=10) == "200"
    waiters = [asyncio.create_task(outcome(bus, "shop", "status", deadline=15)) for _ in range(2)]
    assert await pausing == "429"
    assert await asyncio.gather(*waiters) == ["200", "200"]
    assert min(arrival.at for arrival in upstream.arrivals[2:]) - upstream.arrivals[0].at >= 3.5 - ON_ITS_WAY


@pytest.mark.case(29)
async def test_a_circuit_that_opens_during_a_retry_wait_ends_the_request_in_its_own_response(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    fragile = limits(max_retries=3, retry_delay_seconds=1, circuit_breaker_threshold=3,
                     circuit_breaker_recovery_seconds=30)  # fmt: skip
    await bus.publish("shop", ask("run", "/status/502"), STATUS, ask("post", "/status/500", method="POST"),
                      resilience=fragile)  # fmt: skip
    waiting = asyncio.create_task(bus.execute("shop", "run"))
    await eventually(lambda: upstream.sends("/status/502") == 1)
    assert await outcomes(bus, 2, "shop", "post") == {"500": 2}
    result = await waiting
    assert (result["status_code"], result["retry_stopped"], len(result["attempts"])) == (502, "circuit-open", 1)
    assert await outcomes(bus, 5, "shop", "status") == {"circuit-open": 5}
    assert upstream.sends("/late") == 0


@pytest.mark.case(44)
async def test_a_redirect_loop_ends_and_each_step_takes_a_permit(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish(
        "shop", ask("run", "/redirect-loop"), ask("json", "/json"), resilience=limits(rate_limit_per_minute=8)
    )
    result = await bus.execute("shop", "run")
    assert (result["status_code"], upstream.sends("/redirect-loop"), len(result["attempts"])) == (302, 6, 1)
    assert await outcomes(bus, 3, "shop", "json") == {"200": 3}
    assert upstream.arrivals[8].at - upstream.arrivals[0].at >= 2.0 - ON_ITS_WAY


async def test_a_redirect_that_gets_no_permit_in_time_is_the_result(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    redirecting = ask("run", "/redirect?to=/json")
    await bus.publish("shop", redirecting, resilience=limits(rate_limit_per_minute=1, timeout_seconds=1))
    assert (await bus.execute("shop", "run"))["status_code"] == 302
    assert len(upstream.arrivals) == 1
