"""Sending: one request through its attempts, under the caller's deadline.

From the outside in: deadline, retries, bulkhead, permit (circuit, cooldown and rate, decided together), the attempt's
own time, HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Final, Protocol

import msgspec

from services.executor.domain.classify import Repeat, error_of, of_failure, of_status
from services.executor.domain.plan import OperationPlan
from services.executor.domain.redirects import MAX_REDIRECTS, redirected
from services.executor.domain.retry_after import retry_after_ms
from services.executor.domain.timing import AttemptTime, attempt_time
from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.guard import MAX_WAIT, Guard
from services.executor.resilience.schedule import cooldown_ms, jittered_delay
from services.executor.resilience.scopes import Hold
from services.executor.resilience.turn import NO_PLACE, MustWait, NoPermit, Place, Sleep, Turn
from services.executor.transport.interface import HttpRequest, HttpResponse, Transport, TransportError, TransportTimeout
from shared.contracts.errors import DibopError, ErrorCode
from shared.contracts.execution import Attempt, RetryStopped

_LAST: Final[frozenset[Repeat]] = frozenset({"never", "after-renewal"})
"""What is not repeated by itself."""
_STATUS_CLASSES: Final = tuple(f"{number}xx" for number in range(10))
_STOPPED_BY: Final[Mapping[ErrorCode, RetryStopped]] = {
    "rate-limited": "rate-limited",
    "circuit-open": "circuit-open",
    "deadline-exceeded": "deadline",
}
_WHY_STOPPED: Final[Mapping[RetryStopped, str]] = {
    "exhausted": "No retry is left.",
    "circuit-open": "There was no further attempt: the circuit is open.",
    "rate-limited": "There was no further attempt: its permit would have come too late.",
    "deadline": "There was no further attempt: the caller's deadline came first.",
}


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The last response and the attempts that led to it.

    `retry_after_ms` says when to come again, where that is known; `retry_stopped` why there was no further attempt.
    """

    response: HttpResponse
    attempts: list[Attempt]
    retry_after_ms: int | None
    retry_stopped: RetryStopped | None = None


class Renewal(Protocol):
    """What a request authenticates with, where that can be renewed."""

    def expired(self, response: HttpResponse) -> bool:
        """Whether `response` asks for a renewal, and one may help. It must not be so for ever."""
        ...

    async def renew(self) -> HttpRequest | None:
        """The request, authenticated anew; None where that cannot be."""
        ...


class Sender:
    """Sends requests through a transport, in turn with all others that go to the same external system."""

    def __init__(
        self, transport: Transport, guard: Guard, bulkhead: Bulkhead, *, max_bytes: int, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.transport = transport
        self.max_bytes = max_bytes
        self._guard = guard
        self._bulkhead = bulkhead
        self._sleep = sleep

    async def send(
        self,
        request: HttpRequest,
        operation: OperationPlan,
        hold: Hold,
        *,
        limit: float | None,
        deadline: float,
        place: Place = NO_PLACE,
        renewal: Renewal | None = None,
    ) -> Sent:
        """Send `request` until it is answered for good; without any response a DibopError with the attempts made.

        `limit` is the request's own attempt timeout in seconds, `deadline` a time of `monotonic`. With `renewal`,
        a response that asks for it is followed by one more attempt, which counts for no retry.
        """
        turn = Turn(
            self._guard,
            self._bulkhead,
            hold,
            attempt_ms=int((limit or operation.resilience.timeout_seconds) * 1000),
            deadline=deadline,
            place=place,
            sleep=self._sleep,
        )
        sending = _Sending(self, turn, request, operation, limit=limit, deadline=deadline, renewal=renewal)
        return await sending.run()


class _Ended(msgspec.Struct, frozen=True, gc=False):
    """What follows from an attempt. A repeat starts `delay` seconds later at the earliest.

    Of those `pause` are waited for here; the scope's cooldown sees to the others, in the order of arrival.
    """

    repeat: Repeat
    delay: float = 0.0
    pause: float = 0.0
    opened: bool = False
    stopped: RetryStopped | None = None


class _Sending:
    """One request on its way. `response` is the last one, `error` the last attempt's where that had none."""

    __slots__ = (
        "_deadline",
        "_limit",
        "_operation",
        "_renewal",
        "_renewals",
        "_request",
        "_sender",
        "_turn",
        "_unknown",
        "asked_ms",
        "attempts",
        "error",
        "response",
        "since",
    )

    def __init__(
        self,
        sender: Sender,
        turn: Turn,
        request: HttpRequest,
        operation: OperationPlan,
        *,
        limit: float | None,
        deadline: float,
        renewal: Renewal | None,
    ) -> None:
        self._sender = sender
        self._turn = turn
        self._request = request
        self._operation = operation
        self._limit = limit
        self._deadline = deadline
        self._renewal = renewal
        self._renewals = 0
        self._unknown = False
        self.attempts: list[Attempt] = []
        self.response: HttpResponse | None = None
        self.asked_ms: int | None = None
        self.error: DibopError | None = None
        self.since = monotonic()

    async def run(self) -> Sent:
        while True:
            try:
                ended = await self._attempt()
            except DibopError as refusal:
                stopped = _STOPPED_BY.get(refusal.code)
                if stopped is None or not self.attempts:
                    raise
                return self._finish(stopped, refusal.retry_after_ms)
            finally:
                await self._turn.end()
            if ended.repeat == "after-renewal" and await self._renew():
                continue
            if ended.stopped is not None or not self._may_repeat(ended.repeat):
                return self._finish(ended.stopped)
            stopped = await self._wait_to_repeat(ended)
            if stopped is not None:
                return self._finish(stopped)

    async def _attempt(self) -> _Ended:
        turn = self._turn
        await turn.take()
        while True:
            time = attempt_time(self._operation.resilience, self._limit, self._deadline - monotonic())
            begun = monotonic()
            try:
                response = await self._exchange(time)
            except TransportError as error:
                return await self._failed(error, time, begun)
            except MustWait:
                await turn.wait_until_due()
            else:
                return await self._answered(response, begun)

    async def _exchange(self, time: AttemptTime) -> HttpResponse:
        """The request, and the redirects that are followed, within the attempt's time."""
        transport, max_bytes, request = self._sender.transport, self._sender.max_bytes, self._request
        before_send = self._turn.before_send
        response = await transport.send(request, timeout=time.limit, max_bytes=max_bytes, before_send=before_send)
        if not 300 <= response.status < 400:
            return response
        end = monotonic() + time.limit
        for _ in range(MAX_REDIRECTS):
            following = redirected(request, response)
            if following is None:
                return response
            request, left = following, end - monotonic()
            if left <= 0:
                raise TransportTimeout("receiving", "Following redirects took too long.", sent=True)
            try:
                response = await transport.send(
                    request, timeout=left, max_bytes=max_bytes, before_send=partial(self._turn.before_redirect, end)
                )
            except NoPermit:
                return response
        return response

    async def _answered(self, response: HttpResponse, begun: float) -> _Ended:
        status = response.status
        self._ended(begun, _STATUS_CLASSES[status // 100 % 10], status=status)
        self.response, self.asked_ms = response, retry_after_ms(response.headers)
        if self._renewal is not None and self._renewal.expired(response):
            await self._turn.report("success")
            return _Ended("after-renewal")
        verdict = of_status(status, says_when=self.asked_ms is not None)
        if verdict.repeat == "never":
            await self._turn.report(verdict.effect)
            return _Ended("never")
        delay = self._delay()
        cooldown = cooldown_ms(self.asked_ms, delay) if verdict.repeat == "after-cooldown" else 0
        opened = await self._turn.report(verdict.effect, cooldown_ms=cooldown, cause=f"status {status}")
        delay = max(delay, (self.asked_ms or 0) / 1000)
        return _Ended(verdict.repeat, delay, delay if cooldown < round(delay * 1000) else 0.0, opened)

    async def _failed(self, error: TransportError, time: AttemptTime, begun: float) -> _Ended:
        lasted = monotonic() - begun
        failure = of_failure(error, lasted=lasted, attempt_timeout=time.timeout, shortened=time.shortened)
        self.error = error_of(failure, error.detail)
        self.error.__cause__ = error
        if failure.effect == "none":
            self._turn.leave_slot()
        else:
            self._ended(begun, failure.code, error=failure.code)
            self._unknown = self._unknown or failure.outcome == "unknown"
        opened = await self._turn.report(failure.effect, cause=failure.code)
        cut = time.shortened and isinstance(error, TransportTimeout)
        delay = self._delay()
        return _Ended(failure.repeat, delay, delay, opened, "deadline" if cut else None)

    def _ended(self, begun: float, outcome: str, *, status: int | None = None, error: str | None = None) -> None:
        self._turn.leave_slot()
        now = monotonic()
        self.attempts.append(Attempt(_milliseconds(now - begun), _milliseconds(begun - self.since), status, error))
        self.since = now
        self._turn.guard.counters.attempts[outcome] += 1

    def _delay(self) -> float:
        return jittered_delay(self._operation.resilience, max(self._tries, 1))

    @property
    def _tries(self) -> int:
        """The attempts that count."""
        return len(self.attempts) - self._renewals

    async def _renew(self) -> bool:
        renewed = await self._renewal.renew() if self._renewal is not None else None
        if renewed is None:
            return False
        self._renewals += 1
        self._request = renewed
        return True

    def _may_repeat(self, repeat: Repeat) -> bool:
        if repeat == "if-idempotent":
            return self._operation.idempotent
        return repeat not in _LAST

    async def _wait_to_repeat(self, ended: _Ended) -> RetryStopped | None:
        """Wait until the next attempt may ask for its turn; else say why there is none."""
        if self._tries > self._operation.resilience.max_retries:
            return "exhausted"
        if ended.opened:
            return "circuit-open"
        left = self._deadline - monotonic()
        if ended.repeat == "after-cooldown":
            if ended.delay >= min(left, MAX_WAIT):
                return "rate-limited"
        elif ended.delay >= left:
            return "deadline"
        if ended.pause > 0:
            await self._turn.pause(ended.pause)
        self._turn.guard.counters.retries += 1
        return None

    def _finish(self, stopped: RetryStopped | None, retry_after_ms: int | None = None) -> Sent:
        """The last response as a result; the last error where there was none."""
        if stopped is not None:
            self._turn.guard.counters.retries_stopped[stopped] += 1
        if self.response is not None:
            after = self.asked_ms if self.asked_ms is not None else retry_after_ms
            return Sent(self.response, self.attempts, after, stopped)
        if self.error is None:
            raise RuntimeError("a request ended without an attempt")
        raise self._final_error(self.error, stopped, retry_after_ms) from self.error.__cause__

    def _final_error(self, error: DibopError, stopped: RetryStopped | None, retry_after_ms: int | None) -> DibopError:
        sentences = [error.detail]
        if stopped is not None and self._operation.resilience.max_retries:
            sentences.append(_WHY_STOPPED[stopped])
        if self._unknown and error.outcome != "unknown":
            sentences.append("An earlier attempt may have reached the external system.")
        return DibopError(
            error.code,
            " ".join(sentences),
            outcome="unknown" if self._unknown else error.outcome,
            attempts=self.attempts,
            retry_after_ms=retry_after_ms,
        )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
