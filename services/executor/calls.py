"""The call log's beginning: what was answered is noted in memory and told in batches, away from the executions."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict, deque
from time import time
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from services.executor.domain.reply import Result
from shared.contracts.calls import FAILED, SUCCEEDED, ExecutedCall
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.execution import Attempt
from shared.contracts.names import is_token
from shared.contracts.subjects import CALLS
from shared.messaging.events import publish_event
from shared.tasks import end

_EVERY_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 1.0
_MOST_WAITING: Final = 20_000
_MOST_TOGETHER: Final = 1_000
"""Calls in one event, which then has about 300 KiB."""
_SIDE_BY_SIDE: Final = 32
_MOST_CHARACTERS: Final = 200
"""Of a caller's name."""
_PASSING: Final = (NatsError, OSError, TimeoutError, ValueError)
_FAILURE_STATUS: Final = 400

_log = structlog.get_logger(__name__)


class CallLog:
    """Notes what was answered, and tells it four times a second: one event for each enterprise, of up to 1,000 calls.

    At most 20,000 calls wait, as while NATS is away: what comes beyond is counted as lost.
    """

    def __init__(self, js: JetStreamContext, worker: str) -> None:
        self._js = js
        self._worker = worker
        self._boot = uuid.uuid4().hex[:12]
        self._number = 0
        self._waiting = 0
        self._noted: defaultdict[str, list[ExecutedCall]] = defaultdict(list)
        self._untold: deque[Event] = deque()
        self._teller: asyncio.Task[None] | None = None
        self._lost = 0

    def start(self) -> None:
        self._teller = asyncio.create_task(self._tell())

    async def stop(self, seconds: float) -> None:
        """Tell what is left within `seconds`; how much NATS did not take by then is logged."""
        if self._teller is not None:
            await end(self._teller)
        try:
            async with asyncio.timeout(seconds):
                await self._tell_all()
        except _PASSING as error:
            _log.warning("The last calls could not be told", count=self._waiting, reason=_reason(error))

    def result(self, subject: str, caller: str | None, result: Result, duration_ms: float, size: int) -> None:
        """Note an execution that the external system answered."""
        if self._is_full():
            return
        self._note(
            subject,
            ExecutedCall(
                self._next(),
                result.request_id,
                result.connector,
                result.operation,
                FAILED if result.status >= _FAILURE_STATUS else SUCCEEDED,
                int(time() * 1000 - duration_ms),
                duration_ms,
                result.connection,
                result.version,
                result.status,
                len(result.attempts),
                _waited(result.attempts),
                result.retry_stopped,
                result.body.schema_valid,
                caller,
                size,
            ),
        )

    def refusal(
        self,
        subject: str,
        error: DibopError,
        *,
        caller: str | None,
        connection: str | None,
        request_id: str,
        duration_ms: float,
    ) -> None:
        """Note an execution that ended in an error."""
        tokens = subject.split(".")
        if self._is_full() or not all(map(is_token, tokens[2:])):
            return  # nothing has such a name, and nobody looks for it
        attempts = [attempt for attempt in error.attempts if isinstance(attempt, Attempt)]
        self._note(
            subject,
            ExecutedCall(
                self._next(),
                request_id,
                tokens[3],
                tokens[4],
                error.code,
                int(time() * 1000 - duration_ms),
                duration_ms,
                connection=connection if connection and is_token(connection) else None,
                attempts=len(attempts),
                waited_ms=_waited(attempts),
                caller=caller,
            ),
        )

    def status(self) -> dict[str, int]:
        """How many calls wait to be told, and how many never were."""
        return {"waiting": self._waiting, "lost": self._lost}

    def _is_full(self) -> bool:
        if self._waiting < _MOST_WAITING:
            return False
        self._lost += 1
        return True

    def _next(self) -> str:
        self._number += 1
        return f"{self._boot}-{self._number}"

    def _note(self, subject: str, call: ExecutedCall) -> None:
        self._waiting += 1
        self._noted[subject.split(".", 3)[2]].append(call)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self._tell_all()
            except _PASSING as error:
                _log.warning("Calls wait to be told", count=self._waiting, reason=_reason(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _tell_all(self) -> None:
        self._pack()
        while self._untold:
            first = [self._untold[place] for place in range(min(_SIDE_BY_SIDE, len(self._untold)))]
            await asyncio.gather(*(publish_event(self._js, event) for event in first))
            for event in first:
                self._untold.popleft()
                self._waiting -= len(event.data["calls"])

    def _pack(self) -> None:
        noted, self._noted = self._noted, defaultdict(list)
        for enterprise, calls in noted.items():
            for start in range(0, len(calls), _MOST_TOGETHER):
                together = calls[start : start + _MOST_TOGETHER]
                data = {"worker": self._worker, "calls": together}
                self._untold.append(
                    Event(enterprise, "operation", CALLS, "executed", "executor", data, id=f"calls/{together[0].id}")
                )


def _waited(attempts: list[Attempt]) -> float:
    return sum(attempt.waited_ms for attempt in attempts) if len(attempts) != 1 else attempts[0].waited_ms


def _reason(error: BaseException) -> str:
    return str(error)[:_MOST_CHARACTERS] or type(error).__name__
