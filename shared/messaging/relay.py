"""The relay: sends what waits in an outbox, in order, at least once, for ever.

Each round takes the oldest waiting event of every entity, so that the events of one entity never overtake each
other. On PostgreSQL the taken rows are locked and others are skipped: any number of replicas relay side by
side. SQLite has one relay, in the service that owns the file. A crash between sending and deleting sends
again; the stream drops the repeat by its id, and after two minutes the consumers' inboxes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from shared.contracts.subjects import EVENTS_STREAM
from shared.persistence.engine import Database
from shared.persistence.outbox import outbox
from shared.tasks import end

_BATCH: Final = 100
_ACK_SECONDS: Final = 5.0
_PASSING: Final = (NatsError, DBAPIError, OSError, TimeoutError)

_log = structlog.get_logger(__name__)


class OutboxRelay:
    """Relays the outbox of `database`; woken by each commit there, and by the clock for what others committed."""

    def __init__(self, database: Database, js: JetStreamContext, *, poll_seconds: float = 5.0) -> None:
        self._database = database
        self._js = js
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        database.on_commit(self._wake.set)

    def start(self) -> None:
        """Relay in a task, from whatever waits already."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is not sent yet is sent after the next start."""
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def relay_once(self) -> int:
        """Send the oldest waiting event of up to 100 entities; how many were sent.

        Raises what NATS or the database raised, after forgetting the events that were sent nevertheless.
        """
        if self._database.dialect == "sqlite":
            async with self._database.read() as connection:
                rows = (await connection.execute(_HEADS)).all()
            sent, failure = await self._send(rows)
            if sent:
                async with self._database.write() as connection:
                    await _forget(connection, sent)
        else:
            async with self._database.engine.begin() as connection:
                rows = (await connection.execute(_HEADS.with_for_update(skip_locked=True, of=outbox))).all()
                sent, failure = await self._send(rows)
                await _forget(connection, sent)
        if failure is not None:
            raise failure
        return len(sent)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_PASSING),
                wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.1),
                before_sleep=_tell_retry,
            ):
                with attempt:
                    while await self.relay_once():
                        pass
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send(self, rows: Sequence[Any]) -> tuple[list[int], BaseException | None]:
        outcomes = await asyncio.gather(*(self._send_one(row) for row in rows), return_exceptions=True)
        sent = [row.id for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
        return sent, next((outcome for outcome in outcomes if outcome is not None), None)

    async def _send_one(self, row: Any) -> None:
        headers = msgspec.json.decode(row.headers, type=dict[str, str])
        await self._js.publish(row.subject, row.body, timeout=_ACK_SECONDS, stream=EVENTS_STREAM, headers=headers)


def _heads() -> sa.Select[Any]:
    """The oldest waiting event of each entity."""
    earlier = outbox.alias("earlier")
    is_head = ~sa.exists().where(earlier.c.entity == outbox.c.entity, earlier.c.id < outbox.c.id)
    columns = (outbox.c.id, outbox.c.subject, outbox.c.headers, outbox.c.body)
    return sa.select(*columns).where(is_head).order_by(outbox.c.id).limit(_BATCH)


_HEADS: Final = _heads()


async def _forget(connection: AsyncConnection, sent: Sequence[int]) -> None:
    if sent:
        await connection.execute(outbox.delete().where(outbox.c.id.in_(sent)))


def _tell_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("Events wait in the outbox", attempt=state.attempt_number, error=str(error) or type(error).__name__)
