"""A sender whose clock, state and transport are the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.executor import attempts
from services.executor.attempts import Renewal, Sender, Sent
from services.executor.domain.plan import OperationPlan, ResiliencePlan
from services.executor.domain.scope import Scope
from services.executor.resilience import guard, turn
from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.guard import Guard
from services.executor.resilience.schedule import jittered_delay
from services.executor.resilience.scopes import OuterRates, hold_of
from services.executor.resilience.types import Change
from services.executor.transport.interface import BeforeSend, HttpRequest, HttpResponse, TransportError
from shared.contracts.errors import DibopError
from tests.unit.executor.memory_state import Clock, MemoryState

POST: dict[str, Any] = {"method": "POST"}
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

    def found_open(self, hold: object, epoch: int, cause: str) -> None: ...

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
        renewal: Renewal | None = None,
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
        return await sender.send(request, plan, hold, limit=limit, deadline=self.clock.now + left, renewal=renewal)

    async def refused(self, **options: Any) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.send(**options)
        return caught.value


def _without_jitter(plan: ResiliencePlan, repeat: int) -> float:
    return jittered_delay(plan, repeat, lambda: 0.5)
