"""The subjects that an executor serves: a bounded number at work, a bounded queue behind it, one reply for each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from services.executor.callers import Callers
from services.executor.calls import CallLog
from services.executor.domain.timing import read_deadline
from services.executor.handlers import Answer, Call, Ports, execute, execute_draft
from shared.contracts.errors import DibopError
from shared.contracts.execution import (
    AUTHORIZATION_HEADER,
    CONNECTION_HEADER,
    DEADLINE_HEADER,
    IDEMPOTENCY_HEADER,
    VERSION_HEADER,
)
from shared.contracts.subjects import (
    DRAFT_PATTERN,
    DRAFT_PLANE,
    EXEC_PATTERN,
    EXEC_PLANE,
    EXECAS_PATTERN,
    EXECAS_PLANE,
    EXECUTORS_QUEUE,
    enterprise_of,
)
from shared.messaging.replies import as_dibop_error, problem_bytes, request_id_of
from shared.messaging.reply_guard import DroppedRequests, reply_allowed

_log = structlog.get_logger(__name__)

Handler = Callable[[Call, Ports], Awaitable[Answer]]
_NO_HEADERS: Final[dict[str, str]] = {}
_EXEC: Final = f"{EXEC_PLANE}."
_EXECAS: Final = f"{EXECAS_PLANE}."
_DRAFT: Final = f"{DRAFT_PLANE}."


class Counters(msgspec.Struct):
    """What a worker has done since it started, and what it is doing."""

    requests: int = 0
    results: int = 0
    errors: int = 0
    overloaded: int = 0
    without_reply: int = 0
    foreign_reply: int = 0
    undelivered: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    queued: int = 0
    waiting: int = 0


class _Place:
    """A request's place among those at work: while the request only waits, the next in the queue has it."""

    __slots__ = ("_intake", "may_have_gone_out")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.may_have_gone_out = False

    def give_up(self) -> None:
        self._intake.step_aside()

    def take_back(self) -> None:
        self._intake.step_back()

    def sent(self) -> None:
        self.may_have_gone_out = True


class Intake:
    """Takes requests off the bus. `max_in_flight` run at once, `queue_size` more wait, others are `overloaded`.

    Those that wait are in the queue, or have begun and wait for a permit, a slot or their next attempt: these go on as
    soon as they may, and for a moment more than `max_in_flight` are at work. `calls` is told of every execution that
    was begun, drafts' tests left out.
    """

    def __init__(
        self,
        nc: Client,
        ports: Ports,
        callers: Callers,
        *,
        max_in_flight: int,
        queue_size: int,
        calls: CallLog | None = None,
    ) -> None:
        self._nc = nc
        self._ports = ports
        self._callers = callers
        self._calls = calls
        self._max_in_flight = max_in_flight
        self._queue_size = queue_size
        self._queue: deque[tuple[Msg, Handler, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._dropped = DroppedRequests()
        self.counters = Counters()

    async def start(self) -> None:
        """Return once the server knows the subscriptions."""
        self._subscriptions = [
            await self._nc.subscribe(EXEC_PATTERN, queue=EXECUTORS_QUEUE, cb=self._on_execute),
            await self._nc.subscribe(EXECAS_PATTERN, queue=EXECUTORS_QUEUE, cb=self._on_execute),
            await self._nc.subscribe(DRAFT_PATTERN, queue=EXECUTORS_QUEUE, cb=self._on_draft),
        ]
        await self._nc.flush()

    async def drain(self, seconds: float) -> None:
        """Take no more, and answer what was taken: within `seconds` as usual, then with an error."""
        end = monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*map(_drain, self._subscriptions))
        except (NatsError, TimeoutError) as error:
            _log.warning("NATS does not answer while draining", error=str(error) or type(error).__name__)
        try:
            async with asyncio.timeout(max(0.0, end - monotonic())):
                await self._idle.wait()
        except TimeoutError:
            _log.error(
                "Requests are ended unfinished; allow more time with DIBOP_DRAIN_SECONDS", count=self._unanswered
            )
            await self._end_all()

    @property
    def _unanswered(self) -> int:
        return len(self._tasks) + len(self._queue)

    async def _end_all(self) -> None:
        while self._queue:
            message, _, _ = self._queue.popleft()
            await self._refuse(message, _stopping())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_execute(self, message: Msg) -> None:
        await self._take(message, execute)

    async def _on_draft(self, message: Msg) -> None:
        await self._take(message, execute_draft)

    async def _take(self, message: Msg, handler: Handler) -> None:
        counters = self.counters
        counters.requests += 1
        if not message.reply:
            counters.without_reply += 1
        elif not reply_allowed(enterprise_of(message.subject), message.reply):
            self._dropped.add(message.subject, message.reply)
            counters.foreign_reply = self._dropped.count
        elif counters.in_flight < self._max_in_flight and counters.waiting <= self._queue_size:
            self._begin(message, handler, monotonic())
        elif len(self._queue) + counters.waiting < self._queue_size:
            self._queue.append((message, handler, monotonic()))
            counters.queued = len(self._queue)
        else:
            counters.overloaded += 1
            await self._refuse(message, _overloaded(self._max_in_flight + self._queue_size))

    def step_aside(self) -> None:
        """A request that is at work only waits from now on: let the next of the queue begin."""
        counters = self.counters
        counters.in_flight -= 1
        counters.waiting += 1
        if self._queue and counters.in_flight < self._max_in_flight:
            self._begin(*self._queue.popleft())
            counters.queued = len(self._queue)

    def step_back(self) -> None:
        counters = self.counters
        counters.waiting -= 1
        counters.in_flight += 1
        counters.most_in_flight = max(counters.most_in_flight, counters.in_flight)

    def _begin(self, message: Msg, handler: Handler, arrived: float) -> None:
        counters = self.counters
        counters.in_flight += 1
        counters.most_in_flight = max(counters.most_in_flight, counters.in_flight)
        self._idle.clear()
        task = asyncio.create_task(self._work(message, handler, arrived))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()

    async def _work(self, message: Msg, handler: Handler, arrived: float) -> None:
        """Answer a request, then those that wait for a free place.

        The place is given up in the same step that finds the queue empty, so that no request waits for nobody; and
        where requests that had waited have come back meanwhile, until there are no more at work than may be.
        """
        try:
            while True:
                await self._serve(message, handler, arrived)
                if not self._queue or self.counters.in_flight > self._max_in_flight:
                    return
                message, handler, arrived = self._queue.popleft()
                self.counters.queued = len(self._queue)
        finally:
            self.counters.in_flight -= 1

    async def _serve(self, message: Msg, handler: Handler, arrived: float) -> None:
        headers = message.headers or _NO_HEADERS
        request_id = request_id_of(headers)
        place = _Place(self)
        caller: str | None = None
        admitted = False
        try:
            if AUTHORIZATION_HEADER in headers or message.subject.startswith(_EXECAS):
                caller = await self._callers.admit(headers.get(AUTHORIZATION_HEADER), message.subject)
            admitted = True
            call = _read(message, headers, request_id, arrived, place)
            answer = await handler(call, self._ports)
        except asyncio.CancelledError:
            error = _interrupted() if place.may_have_gone_out else _stopping()
            await self._refuse(message, error, request_id)
            if admitted:
                self._note_refusal(message, caller, request_id, error, arrived)
            raise
        except Exception as raised:  # noqa: BLE001 - whatever a request holds, it is answered and the worker lives on
            error = as_dibop_error(raised, request_id)
            await self._refuse(message, error, request_id)
            if admitted:  # others write nothing into an enterprise's log
                self._note_refusal(message, caller, request_id, error, arrived)
        else:
            self.counters.results += 1
            await self._send(message, answer.body, None)
            if self._calls is not None and not message.subject.startswith(_DRAFT):
                self._calls.result(message.subject, caller, answer.result, _since(arrived), len(answer.body))

    def _note_refusal(
        self, message: Msg, caller: str | None, request_id: str, error: DibopError, arrived: float
    ) -> None:
        if self._calls is not None and not message.subject.startswith(_DRAFT):
            connection = (message.headers or _NO_HEADERS).get(CONNECTION_HEADER)
            self._calls.refusal(
                message.subject,
                error,
                caller=caller,
                connection=connection,
                request_id=request_id,
                duration_ms=_since(arrived),
            )

    async def _refuse(self, message: Msg, error: DibopError, request_id: str | None = None) -> None:
        self.counters.errors += 1
        request_id = request_id or request_id_of(message.headers)
        _log.debug("Refused", subject=message.subject, request_id=request_id, code=error.code)
        body, headers = problem_bytes(error, request_id)
        await self._send(message, body, headers)

    async def _send(self, message: Msg, body: bytes, headers: dict[str, str] | None) -> None:
        try:
            await self._nc.publish(message.reply, body, headers=headers)
        except (NatsError, OSError, ValueError) as error:
            self.counters.undelivered += 1
            _log.error("A reply could not be sent", subject=message.subject, error=str(error) or type(error).__name__)


def _read(message: Msg, headers: dict[str, str], request_id: str, arrived: float, place: _Place) -> Call:
    subject = message.subject
    if subject.startswith(_EXECAS):
        subject = _EXEC + subject.removeprefix(_EXECAS)
    if headers:
        key = (subject, headers.get(CONNECTION_HEADER), headers.get(VERSION_HEADER))
        waits = read_deadline(headers.get(DEADLINE_HEADER))
        return Call(request_id, key, message.data, arrived, waits, headers.get(IDEMPOTENCY_HEADER), place)
    return Call(request_id, (subject, None, None), message.data, arrived, None, None, place)


def _since(arrived: float) -> float:
    return round((monotonic() - arrived) * 1000, 3)


async def _drain(subscription: Subscription) -> None:
    await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py has no annotation here


def _overloaded(capacity: int) -> DibopError:
    return DibopError(
        "overloaded",
        f"This worker has {capacity:,} requests already. Nothing was sent; repeat in a moment, or run more workers.",
        outcome="not_sent",
    )


def _stopping() -> DibopError:
    return DibopError(
        "overloaded", "This worker is stopping. Nothing was sent; repeat the request.", outcome="not_sent"
    )


def _interrupted() -> DibopError:
    return DibopError(
        "upstream-timeout",
        "This worker had to stop before the external system answered. The operation may have happened: repeat it only "
        "where that does no harm.",
        outcome="unknown",
    )
