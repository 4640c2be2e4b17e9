"""The FastStream middleware that keeps the promise of one reply for every request, where a reply may go.

FastStream itself answers nothing when a handler raises or a body cannot be read: the caller would
hang until its time is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import structlog
from faststream import BaseMiddleware
from faststream.message import StreamMessage
from faststream.nats import NatsResponse
from nats.aio.msg import Msg

from shared.contracts.execution import REQUEST_ID_HEADER
from shared.contracts.subjects import enterprise_of
from shared.messaging.replies import as_dibop_error, problem_bytes, request_id_of
from shared.messaging.reply_guard import DroppedRequests, reply_allowed

_log = structlog.get_logger(__name__)


class Tally:
    """Counts the requests that a service has begun and finished, so that draining knows when all are answered."""

    def __init__(self) -> None:
        self.begun = 0
        self.finished = 0
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return self.begun - self.finished

    def begin(self) -> None:
        self.begun += 1

    def finish(self) -> None:
        self.finished += 1
        self._changed.set()

    async def reached(self, count: int) -> None:
        """Wait until `count` requests are finished."""
        while self.finished < count:
            self._changed.clear()
            await self._changed.wait()


class _AnswerErrors(BaseMiddleware[Any, Msg]):
    def __init__(self, msg: Msg, /, *, context: Any, tally: Tally, dropped: DroppedRequests) -> None:
        super().__init__(msg, context=context)
        self._tally = tally
        self._dropped = dropped

    async def on_receive(self) -> None:
        self._tally.begin()

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,  # noqa: ARG002
    ) -> bool | None:
        self._tally.finish()
        if exc_val is not None and isinstance(exc_val, Exception):
            _log.error("A reply could not be sent", subject=self.msg.subject, exc_info=exc_val)
        return False

    async def consume_scope(
        self, call_next: Callable[[StreamMessage[Msg]], Awaitable[Any]], msg: StreamMessage[Msg]
    ) -> NatsResponse:
        if msg.reply_to and not reply_allowed(enterprise_of(self.msg.subject), msg.reply_to):
            self._dropped.add(self.msg.subject, msg.reply_to)
            msg.reply_to = ""  # FastStream answers nowhere then
            return NatsResponse(b"")
        request_id = request_id_of(msg.headers)
        with structlog.contextvars.bound_contextvars(request_id=request_id, subject=self.msg.subject[:200]):
            try:
                body = await call_next(msg)
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its one reply
                failure = as_dibop_error(error, request_id)
                _log.info("Refused", code=failure.code, detail=failure.detail)
                problem, headers = problem_bytes(failure, request_id)
                return NatsResponse(problem, headers=headers)
        return NatsResponse(body, headers={REQUEST_ID_HEADER: request_id, "content-type": "application/json"})


def answer_errors(tally: Tally, dropped: DroppedRequests) -> Callable[..., _AnswerErrors]:
    """The middleware as FastStream wants it: something that makes one for each message."""

    def make(msg: Msg, /, *, context: Any) -> _AnswerErrors:
        return _AnswerErrors(msg, context=context, tally=tally, dropped=dropped)

    return make
