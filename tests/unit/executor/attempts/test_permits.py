"""Permits and slots: taken in turn, void when they come too late."""

from __future__ import annotations

import asyncio

import pytest

from services.executor.resilience.types import Ask, Decision
from services.executor.transport.interface import BeforeSend, HttpResponse, TransportTimeout
from tests.unit.executor.attempts.pipeline import OK, Pipeline, status
from tests.unit.executor.memory_state import WINDOW


@pytest.mark.case(6)
async def test_retries_take_permits(pipe: Pipeline) -> None:
    pipe.answers(status(500), status(500), OK)
    await pipe.send()
    assert len(pipe.state.asked) == 3
    assert len(pipe.state.granted["res:{platform.shop}:acme.-"]) == 3


async def test_a_permit_that_has_to_be_waited_for_is_confirmed(pipe: Pipeline) -> None:
    limits = {"rate_limit_per_minute": 1}
    await pipe.send(resilience=limits)
    started = pipe.clock.now
    sent = await pipe.send(resilience=limits)
    assert pipe.transport.sent_at == [started, started + WINDOW]
    assert (pipe.state.confirmed, sent.attempts[0].waited_ms) == (1, WINDOW * 1000)


@pytest.mark.case(5)
async def test_a_wait_beyond_the_deadline_is_refused_at_once_and_explained(pipe: Pipeline) -> None:
    limits = {"rate_limit_per_minute": 1}
    await pipe.send(resilience=limits)
    error = await pipe.refused(resilience=limits, left=10)
    assert (error.code, error.retry_after_ms, pipe.clock.slept) == ("rate-limited", WINDOW * 1000, [])
    assert "The limit of 1 attempts a minute on connector 'shop' is used up" in error.detail
    assert "the caller waits 10 s" in error.detail
    assert pipe.counters.refusals == {"rate-limited": 1}


async def test_a_permit_that_is_not_used_in_time_is_void_and_another_is_taken_on_the_open_connection(
    pipe: Pipeline,
) -> None:
    pipe.transport.connecting = [0.6, 0.0]
    sent = await pipe.send()
    assert (sent.response, len(pipe.transport.urls), len(pipe.state.asked)) == (OK, 1, 2)
    assert pipe.counters.permits_void == 1


async def test_an_attempt_whose_time_runs_out_while_it_asks_for_another_permit_says_nothing_of_the_circuit(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = pipe.state.acquire

    async def once(ask: Ask) -> Decision:
        if pipe.state.asked:
            await asyncio.Event().wait()
        return await answer(ask)

    async def send(*_: object, before_send: BeforeSend, **__: object) -> HttpResponse:
        pipe.clock.now += 0.6
        waiting = before_send()
        assert waiting is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.01)
        raise TransportTimeout("connect", "Late.", sent=False)

    monkeypatch.setattr(pipe.state, "acquire", once)
    monkeypatch.setattr(pipe.transport, "send", send)
    error = await pipe.refused(resilience={"max_retries": 0})
    assert (error.code, error.outcome, pipe.state.reported) == ("upstream-unreachable", "not_sent", [])


async def test_where_the_other_permit_must_be_waited_for_the_attempt_begins_anew(pipe: Pipeline) -> None:
    pipe.transport.connecting = [0.6, 0.0]
    started = pipe.clock.now
    sent = await pipe.send(resilience={"rate_limit_per_minute": 1})
    assert (sent.response, len(pipe.transport.urls), len(sent.attempts)) == (OK, 2, 1)
    assert pipe.transport.sent_at == [started + WINDOW]
    assert pipe.transport.timeouts == [30, 30]


async def test_a_permit_that_a_cooldown_overtook_is_void(pipe: Pipeline) -> None:
    limits = {"rate_limit_per_minute": 1}
    await pipe.send(resilience=limits)
    (circuit,) = pipe.state.circuits.values()
    started = pipe.clock.now

    async def sleep(seconds: float) -> None:
        await pipe.clock.sleep(seconds)
        if len(pipe.clock.slept) == 1:
            circuit.cooldown = pipe.clock.now + 5

    sent = await pipe.send(resilience=limits, sleep=sleep, left=200)
    assert sent.response == OK
    assert (pipe.counters.permits_void, pipe.transport.sent_at) == (1, [started, started + 2 * WINDOW])


async def test_no_slot_is_held_while_waiting(pipe: Pipeline) -> None:
    limits = {"rate_limit_per_minute": 1}
    held = []

    async def sleep(seconds: float) -> None:
        held.append(len(pipe.bulkhead))
        await pipe.clock.sleep(seconds)

    pipe.answers(status(500), OK)
    pipe.transport.during = lambda: held.append(len(pipe.bulkhead) * 10)
    await pipe.send(resilience=limits, sleep=sleep)
    assert held == [10, 0, 0, 10]
    assert len(pipe.bulkhead) == 0


async def test_a_full_bulkhead_waits_to_the_deadline(pipe: Pipeline) -> None:
    slots = "res:{platform.shop}:acme.-"
    assert pipe.bulkhead.take(slots)
    assert pipe.bulkhead.take(slots)
    error = await pipe.refused(left=0.05)
    assert (error.code, error.outcome, pipe.transport.urls) == ("deadline-exceeded", "not_sent", [])
    assert "2 attempts in flight" in error.detail
