"""The call log: what was executed, without what was sent and answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from shared.contracts.calls import ExecutedCall
from shared.contracts.clock import spelled
from shared.contracts.commands.base import Cursor, Message, Named

Instant = Annotated[str, StringConstraints(max_length=40)]
"""ISO 8601 with a time zone, as `2026-01-31T09:05:00Z`."""


class ListCalls(Message):
    """`call.list`: the newest first; `after` is `next_after` of the page before.

    `outcome` is `succeeded` (a result below status 400), `failed` (another result), `error` (any error) or an error's
    code. `status` is a status code, or a class of them as `5xx`. `since` is included, `until` is not.
    """

    connector: Named | None = None
    operation: Named | None = None
    connection: Named | None = None
    outcome: Named | None = None
    status: Annotated[str, StringConstraints(pattern=r"^[1-5]([0-9]{2}|xx)$")] | None = None
    request_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: int = Field(100, ge=1, le=1000)
    after: Cursor | None = None


class Call(Message):
    """One execution. Durations are milliseconds; `status` is absent where the external system answered nothing.

    `attempts` counts what was sent, `waited_ms` is what these waited for permits and retries. `caller` is the person or
    service whose token came along; `worker` executed it.
    """

    id: str
    request_id: str
    connector: str
    operation: str
    connection: str | None
    version: str | None
    outcome: str
    status: int | None
    started_at: str
    duration_ms: float
    waited_ms: float
    attempts: int
    retry_stopped: str | None
    schema_valid: bool | None
    caller: str | None
    reply_bytes: int
    worker: str

    @classmethod
    def told(cls, worker: str, call: ExecutedCall) -> Self:
        """What a worker told of an execution, as people read it."""
        return cls(
            id=call.id,
            request_id=call.request_id,
            connector=call.connector,
            operation=call.operation,
            connection=call.connection,
            version=call.version,
            outcome=call.outcome,
            status=call.status or None,
            started_at=spelled(datetime.fromtimestamp(call.started_ms / 1000, UTC)),
            duration_ms=call.duration_ms,
            waited_ms=call.waited_ms,
            attempts=call.attempts,
            retry_stopped=call.retry_stopped,
            schema_valid=call.schema_valid,
            caller=call.caller,
            reply_bytes=call.reply_bytes,
            worker=worker,
        )


class CallPage(Message):
    """`next_after` is given while there is more."""

    calls: list[Call]
    next_after: str | None
