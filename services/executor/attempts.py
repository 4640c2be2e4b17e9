"""Sending: attempts under the caller's deadline. Limits, circuits and repeats have their place here.

Everything that decides whether an attempt may go out is behind `Guard`; everything that decides whether another
follows is in `send`.
"""

from __future__ import annotations

from time import monotonic
from typing import Final, Protocol

import msgspec

from services.executor.domain.classify import Effect, Failure, error_of, of_failure, of_status
from services.executor.domain.plan import OperationPlan
from services.executor.domain.redirects import MAX_REDIRECTS, redirected
from services.executor.domain.retry_after import retry_after_ms
from services.executor.domain.scope import Scope
from services.executor.domain.timing import AttemptTime, attempt_time
from services.executor.transport.interface import HttpRequest, HttpResponse, Transport, TransportError, TransportTimeout
from shared.contracts.errors import DibopError
from shared.contracts.execution import Attempt


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one attempt, after a wait."""

    waited_ms: float = 0.0


class Guard(Protocol):
    """Says when an attempt may go out, and hears how it went."""

    async def acquire(self, scope: Scope, operation: OperationPlan, max_wait: float) -> Permit:
        """Wait for a permit at most `max_wait` seconds. Raises `rate-limited` and `circuit-open`."""
        ...

    async def report(self, scope: Scope, permit: Permit, effect: Effect) -> None: ...


_AT_ONCE: Final = Permit()


class OpenGuard:
    """Lets everything through."""

    async def acquire(self, scope: Scope, operation: OperationPlan, max_wait: float) -> Permit:  # noqa: ARG002
        return _AT_ONCE

    async def report(self, scope: Scope, permit: Permit, effect: Effect) -> None: ...


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A response and the attempts that led to it; `retry_after_ms` where it says when to come again."""

    response: HttpResponse
    attempts: list[Attempt]
    retry_after_ms: int | None


class Sender:
    """Sends requests through a transport, asking a guard before each attempt."""

    def __init__(self, transport: Transport, guard: Guard, *, max_bytes: int) -> None:
        self._transport = transport
        self._guard = guard
        self._max_bytes = max_bytes

    async def send(
        self, request: HttpRequest, operation: OperationPlan, scope: Scope, *, limit: float | None, deadline: float
    ) -> Sent:
        """Send `request`; any response is a result, and no response a DibopError with the attempts made.

        `limit` is the request's own attempt timeout in seconds, `deadline` a time of `monotonic`.
        """
        permit = await self._guard.acquire(scope, operation, deadline - monotonic())
        time = attempt_time(operation.resilience, limit, deadline - monotonic())
        effect: Effect = "neutral"
        begun = monotonic()
        try:
            response = await self._exchange(request, time)
            waits = retry_after_ms(response.headers)
            effect = of_status(response.status, says_when=waits is not None).effect
        except TransportError as error:
            lasted = monotonic() - begun
            failure = of_failure(error, lasted=lasted, attempt_timeout=time.timeout, shortened=time.shortened)
            effect = failure.effect
            raise _ended(failure, error, lasted, permit) from error
        finally:
            await self._guard.report(scope, permit, effect)
        attempt = Attempt(_milliseconds(monotonic() - begun), permit.waited_ms, response.status)
        return Sent(response, [attempt], waits)

    async def _exchange(self, request: HttpRequest, time: AttemptTime) -> HttpResponse:
        """One attempt: the request, and the redirects that are followed, within the attempt's time."""
        transport, max_bytes = self._transport, self._max_bytes
        response = await transport.send(request, timeout=time.limit, max_bytes=max_bytes)
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
            response = await transport.send(request, timeout=left, max_bytes=max_bytes)
        return response


def _ended(failure: Failure, error: TransportError, lasted: float, permit: Permit) -> DibopError:
    ended = error_of(failure, error.detail)
    if failure.effect != "none":
        ended.attempts = (Attempt(_milliseconds(lasted), permit.waited_ms, error=failure.code),)
    return ended


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
