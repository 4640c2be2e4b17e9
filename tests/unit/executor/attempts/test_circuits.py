"""The circuit during a request: opened, probed, reported."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from shared.contracts.errors import DibopError
from tests.unit.executor.attempts.pipeline import DENIED, OK, REFUSED, Pipeline, status

FRAGILE = {"circuit_breaker_threshold": 2, "max_retries": 3, "circuit_breaker_recovery_seconds": 10}


@pytest.mark.case(29)
async def test_retries_stop_when_the_circuit_opens(pipe: Pipeline) -> None:
    pipe.answers(status(500))
    sent = await pipe.send(resilience=FRAGILE)
    assert (len(sent.attempts), sent.response.status, sent.retry_stopped) == (2, 500, "circuit-open")
    assert [change.circuit for change in pipe.watcher.changes] == ["open"]
    others = await pipe.refused(resilience=FRAGILE)
    assert (others.code, others.retry_after_ms, others.outcome) == ("circuit-open", 10_000, "not_sent")
    assert "status 500" in others.detail
    assert len(pipe.transport.urls) == 2


@pytest.mark.case(29)
async def test_a_circuit_that_others_open_during_the_wait_ends_in_the_own_response(pipe: Pipeline) -> None:
    pipe.answers(status(500))

    async def sleep(seconds: float) -> None:
        (circuit,) = pipe.state.circuits.values()
        circuit.opened = pipe.clock.now

    sent = await pipe.send(resilience={**FRAGILE, "circuit_breaker_threshold": 9}, sleep=sleep)
    assert (len(sent.attempts), sent.response.status, sent.retry_stopped) == (1, 500, "circuit-open")
    assert sent.retry_after_ms == 10_000


async def test_without_a_response_an_opened_circuit_ends_in_the_last_error(pipe: Pipeline) -> None:
    pipe.answers(REFUSED)
    error = await pipe.refused(resilience=FRAGILE)
    assert (error.code, len(error.attempts), error.outcome) == ("upstream-unreachable", 2, "not_sent")
    assert "the circuit is open" in error.detail


@pytest.mark.case(18)
async def test_a_probe_that_succeeds_is_reported_before_the_reply(pipe: Pipeline) -> None:
    pipe.answers(status(500), status(500), OK)
    await pipe.send(resilience=FRAGILE)
    pipe.clock.now += 10
    assert (await pipe.send(resilience=FRAGILE)).response == OK
    assert [change.circuit for change in pipe.watcher.changes] == ["open", "closed"]
    assert (pipe.state.later, pipe.counters.probes) == (0, 1)


@pytest.mark.case(13)
async def test_a_success_after_failures_is_reported_before_the_reply(pipe: Pipeline) -> None:
    pipe.answers(status(500), OK)
    await pipe.send(resilience=FRAGILE)
    assert [outcome for outcome, _, _ in pipe.state.reported] == ["failure", "success"]
    assert pipe.state.later == 0


@pytest.mark.case(60)
async def test_a_waiter_sends_nothing_once_the_circuit_is_open(pipe: Pipeline) -> None:
    limits = {"rate_limit_per_minute": 1, "circuit_breaker_recovery_seconds": 100}
    await pipe.send(resilience=limits)

    async def sleep(seconds: float) -> None:
        await pipe.clock.sleep(seconds)
        (circuit,) = pipe.state.circuits.values()
        circuit.opened, circuit.cause = pipe.clock.now, "status 503"

    error = await pipe.refused(resilience=limits, sleep=sleep)
    assert (error.code, len(pipe.transport.urls)) == ("circuit-open", 1)
    assert "status 503" in error.detail


@pytest.mark.case(23)
@pytest.mark.parametrize("answer", [status(429, "1"), status(425), DENIED, asyncio.CancelledError()])
async def test_a_probe_without_an_outcome_is_freed(pipe: Pipeline, answer: Any) -> None:
    pipe.answers(status(500), status(500), answer)
    await pipe.send(resilience=FRAGILE)
    pipe.clock.now += 10
    (circuit,) = pipe.state.circuits.values()
    with contextlib.suppress(DibopError, asyncio.CancelledError):
        await pipe.send(resilience={**FRAGILE, "max_retries": 0})
    assert pipe.state.reported[2][0] == "neutral"
    assert not circuit.probing


async def test_a_probe_whose_permit_is_void_is_freed_before_it_asks_again(pipe: Pipeline) -> None:
    pipe.answers(status(500), status(500), OK)
    await pipe.send(resilience=FRAGILE)
    pipe.clock.now += 10
    pipe.transport.connecting = [0.6, 0.0]
    assert (await pipe.send(resilience=FRAGILE)).response == OK
    assert [outcome for outcome, _, _ in pipe.state.reported] == ["failure", "failure", "neutral", "success"]


@pytest.mark.case(48)
async def test_a_cancelled_attempt_is_neutral_and_leaves_nothing_behind(pipe: Pipeline) -> None:
    pipe.answers(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await pipe.send()
    assert (pipe.state.reported, len(pipe.bulkhead)) == ([], 0)
