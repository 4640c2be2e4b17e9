"""What executors tell of every execution that they answered: metadata alone, no parameter and no body."""

from __future__ import annotations

from typing import Final

import msgspec

SUCCEEDED: Final = "succeeded"
"""The outcome of a result below status 400."""
FAILED: Final = "failed"
"""The outcome of a result of status 400 or above. All other outcomes are codes of errors."""


class ExecutedCall(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One execution. `id` is its own; `request_id` is the caller's and may come twice.

    `started_ms` is Unix time in milliseconds; durations are milliseconds. `status` is 0 where the external system
    answered nothing. `waited_ms` is what its attempts waited for permits and retries; `caller` is whose token came.
    """

    id: str
    request_id: str
    connector: str
    operation: str
    outcome: str
    started_ms: int
    duration_ms: float
    connection: str | None = None
    version: str | None = None
    status: int = 0
    attempts: int = 0
    waited_ms: float = 0.0
    retry_stopped: str | None = None
    schema_valid: bool | None = None
    caller: str | None = None
    reply_bytes: int = 0


class ExecutedCalls(msgspec.Struct, frozen=True):
    """The data of `executed`: what a worker answered for one enterprise since it told last."""

    worker: str
    calls: list[ExecutedCall]
