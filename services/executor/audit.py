"""What executors have the registry write into the audit log. The registry may be away: the entry is repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog
from nats.aio.client import Client
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from shared.contracts import subjects
from shared.contracts.commands import AppendAudit, AuditAppended, AuditState
from shared.contracts.errors import DibopError
from shared.messaging import client
from shared.tasks import end

FIRST_SECONDS: Final = 2.0
"""How long whoever causes an entry waits for it to be written."""
KEPT_SECONDS: Final = 900.0
_MOST_WAITING: Final = 1000
_LONGEST_PAUSE: Final = 15.0
_PASSING: Final = (DibopError, OSError, ValueError)
"""ValueError: an answer, or a token, that cannot be read."""

_log = structlog.get_logger(__name__)


class AuditTrail:
    """Writes entries with this service's own token, which is read anew each time, since it may be renewed.

    What cannot be written at once is repeated for 15 minutes, for at most 1,000 entries; what is given up is logged.
    """

    def __init__(self, nc: Client, token_file: Path | None) -> None:
        self._nc = nc
        self._token_file = token_file
        self._waiting: set[asyncio.Task[None]] = set()

    async def write(self, enterprise: str, entry: AppendAudit) -> AuditState:
        """Write `entry`, or see that it is written; never raises."""
        if self._token_file is None:
            _log.warning("Nothing is written into the audit log: set DIBOP_SERVICE_TOKEN_FILE", action=entry.action)
            return "off"
        try:
            await self._append(self._token_file, enterprise, entry)
        except _PASSING as error:
            _log.warning("An audit entry waits for the registry", action=entry.action, reason=str(error))
            self._repeat(self._token_file, enterprise, entry)
            return "waiting"
        return "written"

    async def stop(self) -> None:
        """Give up what waits; the log keeps it."""
        await end(*self._waiting)

    async def _append(self, token_file: Path, enterprise: str, entry: AppendAudit) -> None:
        await client.command(
            self._nc,
            subjects.registry(enterprise, "audit", "append"),
            entry,
            AuditAppended,
            timeout=FIRST_SECONDS,
            token=_read(token_file),
            request_id=entry.request_id or None,
        )

    def _repeat(self, token_file: Path, enterprise: str, entry: AppendAudit) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            _tell_lost(enterprise, entry, "too many wait already")
            return
        task = asyncio.create_task(self._append_at_last(token_file, enterprise, entry))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _append_at_last(self, token_file: Path, enterprise: str, entry: AppendAudit) -> None:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_PASSING),
                wait=wait_exponential_jitter(multiplier=0.2, max=_LONGEST_PAUSE, jitter=0.2),
                stop=stop_after_delay(KEPT_SECONDS),
                reraise=True,
            ):
                with attempt:
                    await self._append(token_file, enterprise, entry)
        except asyncio.CancelledError:
            _tell_lost(enterprise, entry, "this worker stops")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the log keeps the entry
            _tell_lost(enterprise, entry, str(error))


def _read(token_file: Path) -> str:
    return token_file.read_text().strip()


def _tell_lost(enterprise: str, entry: AppendAudit, reason: str) -> None:
    _log.error(
        "An audit entry could not be written; this line is all that is kept of it",
        enterprise=enterprise,
        entry=entry.model_dump(),
        reason=reason,
    )
