"""Attempts: what goes out, in which time, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import pytest

from services.executor.attempts import OpenGuard, Permit, Sender, Sent
from services.executor.domain.classify import Effect
from services.executor.domain.plan import OperationPlan
from services.executor.domain.scope import Scope
from services.executor.transport.interface import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportTimeout,
)
from shared.contracts.errors import DibopError

SCOPE = Scope("acme", "platform", "shop", None)
GET = HttpRequest("GET", "https://api.example.com/a")
OK = HttpResponse(200, {}, b"ok")


def redirect(to: str) -> HttpResponse:
    return HttpResponse(302, {"location": to}, b"")


class FakeTransport:
    """Answers what it is told, in order; the last answer again and again."""

    def __init__(self, *answers: HttpResponse | BaseException) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []
        self.timeouts: list[float] = []

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
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None: ...


class WatchedGuard(OpenGuard):
    def __init__(self, waited_ms: float = 0.0) -> None:
        self.waited_ms = waited_ms
        self.effects: list[Effect] = []

    async def acquire(self, scope: Scope, operation: OperationPlan, max_wait: float) -> Permit:
        return Permit(self.waited_ms)

    async def report(self, scope: Scope, permit: Permit, effect: Effect) -> None:
        self.effects.append(effect)


@pytest.fixture
def send(operation_plan: Callable[..., OperationPlan]) -> Callable[..., asyncio.Future[Sent]]:
    def go(
        transport: FakeTransport,
        guard: WatchedGuard | None = None,
        *,
        request: HttpRequest = GET,
        left: float = 60,
        limit: float | None = None,
    ) -> asyncio.Future[Sent]:
        sender = Sender(transport, guard or WatchedGuard(), max_bytes=1000)
        return asyncio.ensure_future(
            sender.send(request, operation_plan(), SCOPE, limit=limit, deadline=monotonic() + left)
        )

    return go


Send = Callable[..., asyncio.Future[Sent]]


async def test_a_response_comes_with_its_attempt(send: Send) -> None:
    guard = WatchedGuard(waited_ms=12.5)
    sent = await send(FakeTransport(OK), guard)
    (attempt,) = sent.attempts
    assert (sent.response, attempt.status_code, attempt.waited_ms, attempt.error) == (OK, 200, 12.5, None)
    assert guard.effects == ["success"]


@pytest.mark.parametrize(("status", "effect"), [(404, "success"), (500, "failure"), (429, "neutral")])
async def test_every_status_is_a_result(send: Send, status: int, effect: str) -> None:
    guard = WatchedGuard()
    sent = await send(FakeTransport(HttpResponse(status, {"retry-after": "2"}, b"")), guard)
    assert (sent.response.status, sent.retry_after_ms, guard.effects) == (status, 2000, [effect])


async def test_no_response_is_an_error_with_its_attempt(send: Send) -> None:
    guard = WatchedGuard()
    with pytest.raises(DibopError) as caught:
        await send(FakeTransport(TransportError("receiving", "It broke.", sent=True)), guard)
    error = caught.value
    assert (error.code, error.outcome, error.attempts[0].error) == ("upstream-timeout", "unknown", "upstream-timeout")
    assert guard.effects == ["failure"]


async def test_what_was_no_attempt_is_none(send: Send) -> None:
    guard = WatchedGuard()
    with pytest.raises(DibopError) as caught:
        await send(FakeTransport(TransportError("egress", "Not allowed.", sent=False)), guard)
    assert (caught.value.code, caught.value.attempts, guard.effects) == ("egress-denied", (), ["none"])


@pytest.mark.parametrize(("limit", "left", "allowed"), [(None, 60, 30), (2, 60, 2), (2, 1, 1), (None, 5, 5)])
async def test_an_attempt_gets_the_time_that_there_is(
    send: Send, limit: float | None, left: float, allowed: float
) -> None:
    transport = FakeTransport(OK)
    await send(transport, limit=limit, left=left)
    assert transport.timeouts[0] == pytest.approx(allowed, abs=0.5)


async def test_nothing_goes_out_after_the_deadline(send: Send) -> None:
    transport = FakeTransport(OK)
    with pytest.raises(DibopError) as caught:
        await send(transport, left=-1)
    assert (caught.value.code, transport.urls) == ("deadline-exceeded", [])


async def test_a_timeout_that_the_deadline_shortened_before_sending(send: Send) -> None:
    with pytest.raises(DibopError) as caught:
        await send(FakeTransport(TransportTimeout("connect", "Late.", sent=False)), left=1)
    assert (caught.value.code, caught.value.outcome) == ("deadline-exceeded", "not_sent")


async def test_redirects_within_the_origin_are_followed(send: Send) -> None:
    transport = FakeTransport(redirect("/b"), redirect("c"), OK)
    sent = await send(transport)
    assert (sent.response, len(sent.attempts)) == (OK, 1)
    assert transport.urls == [GET.url, "https://api.example.com/b", "https://api.example.com/c"]


async def test_a_redirect_to_another_origin_is_the_result(send: Send) -> None:
    transport = FakeTransport(redirect("https://evil.example/b"), OK)
    assert (await send(transport)).response.status == 302
    assert len(transport.urls) == 1


async def test_a_redirect_loop_ends(send: Send) -> None:
    transport = FakeTransport(redirect("/b"))
    assert (await send(transport)).response.status == 302
    assert len(transport.urls) == 6


async def test_a_cancelled_attempt_is_neutral(send: Send) -> None:
    guard = WatchedGuard()
    with pytest.raises(asyncio.CancelledError):
        await send(FakeTransport(asyncio.CancelledError()), guard)
    assert guard.effects == ["neutral"]
