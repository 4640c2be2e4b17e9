"""The loop of attempts: what is repeated, when, and in what a request ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.executor import attempts
from services.executor.attempts import Sender, Sent
from services.executor.domain.plan import OperationPlan, ResiliencePlan
from services.executor.domain.scope import Scope
from services.executor.resilience import guard, turn
from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.guard import Guard
from services.executor.resilience.schedule import jittered_delay
from services.executor.resilience.scopes import OuterRates, hold_of
from services.executor.resilience.types import Ask, Change, Decision
from services.executor.transport.interface import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportTimeout,
)
from shared.contracts.errors import DibopError
from tests.unit.executor.memory_state import WINDOW, Clock, MemoryState

SCOPE = Scope("acme", "platform", "shop", None)
GET = HttpRequest("GET", "https://api.example.com/a")
OK = HttpResponse(200, {}, b"ok")
BROKEN = TransportError("receiving", "It broke.", sent=True)
REFUSED = TransportError("connect", "No connection.", sent=False)
DENIED = TransportError("egress", "Not allowed.", sent=False)


def status(code: int, retry_after: str | None = None, **headers: str) -> HttpResponse:
    return HttpResponse(code, headers if retry_after is None else {"retry-after": retry_after, **headers}, b"")


class FakeTransport:
    """Answers what it is told, in order; the last answer again and again. `connecting` is how long that takes."""

    def __init__(self, clock: Clock, *answers: HttpResponse | BaseException) -> None:
        self.clock = clock
        self.answers = list(answers)
        self.urls: list[str] = []
        self.timeouts: list[float] = []
        self.sent_at: list[float] = []
        self.requests: list[HttpRequest] = []
        self.connecting = [0.0]
        self.during: Callable[[], Any] | None = None

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the interface's
        max_bytes: int,
        before_send: BeforeSend | None = None,
    ) -> HttpResponse:
        self.urls.append(request.url)
        self.timeouts.append(timeout)
        self.clock.now += self.connecting.pop(0) if len(self.connecting) > 1 else self.connecting[0]
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, TransportError) and not answer.sent:
            raise answer
        try:
            waiting = before_send() if before_send is not None else None
            if waiting is not None:
                await waiting
        except BaseException:
            self.answers.insert(0, answer)
            raise
        self.sent_at.append(self.clock.now)
        self.requests.append(request)
        if self.during is not None:
            self.during()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None: ...


class Watcher:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.successes = 0

    def changed(self, hold: object, change: Change) -> None:
        self.changes.append(change)

    def succeeded(self, hold: object, epoch: int) -> None:
        self.successes += 1


class Pipeline:
    """A sender on a clock of its own, before a transport that is told what to answer."""

    def __init__(self, operation_plan: Callable[..., OperationPlan], monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        for module in (attempts, guard, turn):
            monkeypatch.setattr(module, "monotonic", lambda: self.clock.now)
        monkeypatch.setattr(attempts, "jittered_delay", _without_jitter)
        self.state = MemoryState(self.clock)
        self.watcher = Watcher()
        self.counters = ResilienceCounters()
        self.bulkhead = Bulkhead(2)
        self.transport = FakeTransport(self.clock, OK)
        self._operation_plan = operation_plan

    def answers(self, *answers: HttpResponse | BaseException) -> None:
        self.transport.answers = list(answers)

    async def send(
        self,
        *,
        left: float = 120,
        limit: float | None = None,
        resilience: dict[str, Any] | None = None,
        request: HttpRequest = GET,
        sleep: Callable[[float], Any] | None = None,
        **operation: Any,
    ) -> Sent:
        plan = self._operation_plan(resilience={"retry_backoff": "none", **(resilience or {})}, **operation)
        plan = msgspec.structs.replace(plan, scoped=False, rated=False)
        sender = Sender(
            self.transport,
            Guard(self.state, self.watcher, self.counters),
            self.bulkhead,
            max_bytes=1000,
            sleep=sleep or self.clock.sleep,
        )
        hold = hold_of(SCOPE, plan, OuterRates())
        return await sender.send(request, plan, hold, limit=limit, deadline=self.clock.now + left)

    async def refused(self, **options: Any) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.send(**options)
        return caught.value


def _without_jitter(plan: ResiliencePlan, repeat: int) -> float:
    return jittered_delay(plan, repeat, lambda: 0.5)


@pytest.fixture
def pipe(operation_plan: Callable[..., OperationPlan], monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return Pipeline(operation_plan, monkeypatch)


POST: dict[str, Any] = {"method": "POST"}


# ---- one attempt ------------------------------------------------------------------------------
async def test_a_response_comes_with_its_attempt(pipe: Pipeline) -> None:
    sent = await pipe.send()
    (attempt,) = sent.attempts
    assert (sent.response, attempt.status_code, attempt.error, sent.retry_stopped) == (OK, 200, None, None)
    assert (pipe.state.later, pipe.state.reported, pipe.watcher.successes) == (1, [], 1)


@pytest.mark.parametrize("code", [404, 429, 500])
async def test_every_status_is_a_result(pipe: Pipeline, code: int) -> None:
    pipe.answers(status(code, "2"))
    sent = await pipe.send(resilience={"max_retries": 0})
    assert (sent.response.status, sent.retry_after_ms) == (code, 2000)


async def test_no_response_is_an_error_with_its_attempt(pipe: Pipeline) -> None:
    pipe.answers(BROKEN)
    error = await pipe.refused(**POST)
    assert (error.code, error.outcome, error.attempts[0].error) == ("upstream-timeout", "unknown", "upstream-timeout")
    assert pipe.state.reported == [("failure", 0, "upstream-timeout")]


async def test_what_was_no_attempt_is_none(pipe: Pipeline) -> None:
    pipe.answers(DENIED)
    error = await pipe.refused()
    assert (error.code, error.attempts, pipe.state.reported, len(pipe.bulkhead)) == ("egress-denied", (), [], 0)


@pytest.mark.parametrize(("limit", "left", "allowed"), [(None, 60, 30), (2, 60, 2), (2, 1, 1), (None, 5, 5)])
async def test_an_attempt_gets_the_time_that_there_is(
    pipe: Pipeline, limit: float | None, left: float, allowed: float
) -> None:
    await pipe.send(limit=limit, left=left)
    assert pipe.transport.timeouts == [allowed]


async def test_nothing_is_asked_after_the_deadline(pipe: Pipeline) -> None:
    error = await pipe.refused(left=0)
    assert (error.code, pipe.transport.urls, pipe.state.asked) == ("deadline-exceeded", [], [])


@pytest.mark.case(47)
async def test_a_timeout_that_the_deadline_shortened_before_sending(pipe: Pipeline) -> None:
    pipe.answers(TransportTimeout("connect", "Late.", sent=False))
    error = await pipe.refused(left=1)
    assert (error.code, error.outcome, len(error.attempts)) == ("deadline-exceeded", "not_sent", 1)


@pytest.mark.case(47)
@pytest.mark.parametrize(("lasted", "left", "reported"), [(4, 4, "neutral"), (16, 16, "failure"), (6, 6, "failure")])
async def test_a_timeout_that_the_deadline_shortened_counts_where_it_says_enough(
    pipe: Pipeline, lasted: float, left: float, reported: str
) -> None:
    pipe.answers(TransportTimeout("receiving", "Late.", sent=True))
    pipe.transport.connecting = [0.0]
    pipe.transport.during = lambda: setattr(pipe.clock, "now", pipe.clock.now + lasted)
    error = await pipe.refused(left=left)
    assert (error.code, error.outcome, len(pipe.transport.urls)) == ("upstream-timeout", "unknown", 1)
    assert [outcome for outcome, _, _ in pipe.state.reported] == ([reported] if reported != "neutral" else [])


# ---- redirects --------------------------------------------------------------------------------
async def test_redirects_within_the_origin_are_followed(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="/b"), status(302, location="c"), OK)
    sent = await pipe.send()
    assert (sent.response, len(sent.attempts)) == (OK, 1)
    assert pipe.transport.urls == [GET.url, "https://api.example.com/b", "https://api.example.com/c"]


async def test_a_redirect_to_another_origin_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="https://evil.example/b"), OK)
    assert (await pipe.send()).response.status == 302
    assert len(pipe.transport.urls) == 1


@pytest.mark.case(44)
async def test_a_redirect_loop_ends(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="/b"))
    sent = await pipe.send()
    assert (sent.response.status, len(pipe.transport.urls), pipe.state.later) == (302, 6, 1)


# ---- retries ----------------------------------------------------------------------------------
@pytest.mark.case(33)
async def test_without_retries_there_is_one_attempt(pipe: Pipeline) -> None:
    pipe.answers(status(500), OK)
    sent = await pipe.send(resilience={"max_retries": 0})
    assert (sent.response.status, len(sent.attempts), sent.retry_stopped) == (500, 1, "exhausted")


@pytest.mark.case(43)
async def test_retries_end_in_the_last_response(pipe: Pipeline) -> None:
    pipe.answers(status(500), status(502), status(504))
    sent = await pipe.send(resilience={"max_retries": 2, "retry_delay_seconds": 3})
    assert [attempt.status_code for attempt in sent.attempts] == [500, 502, 504]
    assert (sent.response.status, sent.retry_stopped, pipe.clock.slept) == (504, "exhausted", [3, 3])
    assert [attempt.waited_ms for attempt in sent.attempts] == [0, 3000, 3000]


async def test_a_retry_that_succeeds_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(500), REFUSED, OK)
    sent = await pipe.send()
    assert (sent.response, sent.retry_stopped, len(sent.attempts)) == (OK, None, 3)
    assert [outcome for outcome, _, _ in pipe.state.reported] == ["failure", "failure", "success"]


async def test_a_request_that_had_a_response_ends_in_it_whatever_comes_after(pipe: Pipeline) -> None:
    pipe.answers(status(500), REFUSED)
    sent = await pipe.send(resilience={"max_retries": 2})
    assert [attempt.error or attempt.status_code for attempt in sent.attempts] == [
        500,
        "upstream-unreachable",
        "upstream-unreachable",
    ]
    assert (sent.response.status, sent.retry_stopped) == (500, "exhausted")


@pytest.mark.case(34)
async def test_a_post_that_broke_after_sending_is_not_repeated(pipe: Pipeline) -> None:
    pipe.answers(BROKEN, OK)
    error = await pipe.refused(**POST)
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-timeout", "unknown", 1)


@pytest.mark.case(35)
async def test_a_post_of_which_nothing_was_sent_is_repeated(pipe: Pipeline) -> None:
    pipe.answers(REFUSED, OK)
    assert len((await pipe.send(**POST)).attempts) == 2


@pytest.mark.case(36, 37)
@pytest.mark.parametrize("operation", [{"idempotent": True}, {"idempotency_header": "X-Key"}])
async def test_a_post_that_is_idempotent_is_repeated_as_it_was(pipe: Pipeline, operation: dict[str, Any]) -> None:
    pipe.answers(BROKEN, status(500), OK)
    sent = await pipe.send(**POST, **operation)
    assert len(sent.attempts) == 3
    assert all(request is GET for request in pipe.transport.requests)


async def test_a_post_that_failed_says_no_reason_for_not_being_repeated(pipe: Pipeline) -> None:
    pipe.answers(status(500))
    sent = await pipe.send(**POST)
    assert (len(sent.attempts), sent.retry_stopped) == (1, None)


async def test_an_error_after_an_unknown_outcome_is_unknown_too(pipe: Pipeline) -> None:
    pipe.answers(BROKEN, REFUSED)
    error = await pipe.refused(resilience={"max_retries": 1})
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-unreachable", "unknown", 2)
    assert "An earlier attempt may have reached" in error.detail
    assert "No retry is left" in error.detail


async def test_a_repeat_that_comes_after_the_deadline_is_not_waited_for(pipe: Pipeline) -> None:
    pipe.answers(status(500), OK)
    sent = await pipe.send(left=10, resilience={"retry_delay_seconds": 10})
    assert (sent.response.status, sent.retry_stopped, pipe.clock.slept) == (500, "deadline", [])


# ---- cooldown ---------------------------------------------------------------------------------
@pytest.mark.case(38)
@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_replaces_a_shorter_delay_for_every_method(pipe: Pipeline, code: int) -> None:
    pipe.answers(status(code, "7"), OK)
    started = pipe.clock.now
    sent = await pipe.send(**POST)
    assert [attempt.status_code for attempt in sent.attempts] == [code, 200]
    assert pipe.transport.sent_at == [started, started + 7]
    assert pipe.state.reported[0] == ("neutral" if code == 429 else "failure", 7000, f"status {code}")


async def test_a_longer_delay_replaces_retry_after(pipe: Pipeline) -> None:
    pipe.answers(status(503, "2"), OK)
    started = pipe.clock.now
    await pipe.send(resilience={"retry_delay_seconds": 5})
    assert pipe.transport.sent_at == [started, started + 5]


async def test_a_429_without_retry_after_pauses_all_for_the_retry_delay(pipe: Pipeline) -> None:
    pipe.answers(status(429), OK)
    started = pipe.clock.now
    await pipe.send(resilience={"retry_delay_seconds": 5})
    assert pipe.state.reported[0] == ("neutral", 5000, "status 429")
    assert pipe.transport.sent_at == [started, started + 5]


@pytest.mark.case(41)
@pytest.mark.parametrize(("asked", "left"), [("3600", 3000), ("61", 3000), ("30", 20)])
async def test_a_cooldown_that_is_too_long_ends_the_request_and_refuses_others(
    pipe: Pipeline, asked: str, left: float
) -> None:
    pipe.answers(status(429, asked), OK)
    sent = await pipe.send(left=left)
    assert (sent.response.status, sent.retry_stopped) == (429, "rate-limited")
    assert (sent.retry_after_ms, pipe.clock.slept) == (int(asked) * 1000, [])
    refused = await pipe.refused(left=left)
    assert (refused.code, refused.outcome, refused.attempts) == ("rate-limited", "not_sent", ())
    assert refused.retry_after_ms == int(asked) * 1000
    assert "asked to be left alone" in refused.detail


# ---- permits ----------------------------------------------------------------------------------
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


# ---- circuit ----------------------------------------------------------------------------------
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


# ---- bulkhead ---------------------------------------------------------------------------------
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
