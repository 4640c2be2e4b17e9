"""Audit entries on their way to the registry, which keeps the log: none is lost, none stands there twice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.publisher.handlers.ports import AuditRecord, Registry, Store
from shared.contracts.errors import DibopError
from shared.tasks import end

_BATCH: Final = 100
_POLL_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class AuditForwarder:
    """Hands the waiting entries to the registry, oldest first; woken by `wake`, and by the clock."""

    def __init__(self, store: Store, registry: Registry, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._store = store
        self._registry = registry
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="audit forwarder")

    async def stop(self) -> None:
        """Stop; what waits is handed over after the next start."""
        if self._task is not None:
            await end(self._task)

    def wake(self) -> None:
        self._woken.set()

    async def forward(self) -> None:
        """Hand over all that waits; raises where the registry is away."""
        while waiting := await self._store.waiting_audit(_BATCH):
            for record in waiting:
                await self._hand_over(record)
                await self._store.audit_taken(record.entry.id)

    async def _hand_over(self, record: AuditRecord) -> None:
        try:
            await self._registry.append_audit(record)
        except DibopError as error:
            if error.code != "invalid-request":
                raise
            _log.error(
                "The registry refuses an audit entry for good; this line is all that is kept of it",
                enterprise=record.enterprise,
                entry=record.entry.model_dump(),
                reason=error.detail,
            )

    async def _run(self) -> None:
        retrying = AsyncRetrying(
            wait=wait_exponential_jitter(multiplier=0.2, max=15.0, jitter=0.2),
            retry=retry_if_exception_type(Exception),
            before_sleep=_tell_retry,
        )
        while True:
            self._woken.clear()
            await retrying(self.forward)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()


def _tell_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("Audit entries wait for the registry", attempt=state.attempt_number, reason=str(error))
