"""Use of credentials, for the audit log: each worker tells once that it has opened a connection's credentials."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from typing import Final, Protocol

import structlog

from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit, AuditState
from shared.contracts.projections import ConnectionEntry
from shared.tasks import end

_USES: Final = uuid.UUID("5b5f54d5-30c3-4a4f-9d0b-8f0a6c3b7f55")
_REMEMBERED: Final = 50_000
_MOST_WAITING: Final = 1_000

_log = structlog.get_logger(__name__)

Use = tuple[str, int]
"""A connection's id and the generation of its credentials."""


class Trail(Protocol):
    """The audit trail."""

    async def write(self, enterprise: str, entry: AppendAudit) -> AuditState: ...


class UseLog:
    """Writes an entry for the first use of each connection's credentials by this worker, away from executions.

    An entry's id is made of what it tells, so that a worker of the same name that starts again adds none. At most
    1,000 wait to be written; what comes beyond is logged alone.
    """

    def __init__(self, trail: Trail, worker: str) -> None:
        self._trail = trail
        self._worker = worker
        self._told: OrderedDict[Use, None] = OrderedDict()
        self._waiting: asyncio.Queue[ConnectionEntry] = asyncio.Queue(_MOST_WAITING)
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writing = asyncio.create_task(self._write())

    async def stop(self) -> None:
        if self._writing is not None:
            await end(self._writing)

    def tell(self, connection: ConnectionEntry) -> None:
        """Called for every opening; cheap where the use has been told."""
        use = (connection.id, connection.credentials)
        if use in self._told:
            return
        self._told[use] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        try:
            self._waiting.put_nowait(connection)
        except asyncio.QueueFull:
            _log.warning(
                "Credentials were opened, and too many audit entries wait to tell of it",
                enterprise=connection.enterprise,
                connector=connection.connector,
                connection=connection.name,
            )

    async def _write(self) -> None:
        while True:
            connection = await self._waiting.get()
            await self._trail.write(connection.enterprise, self._entry(connection))

    def _entry(self, connection: ConnectionEntry) -> AppendAudit:
        use = f"{self._worker}/{connection.id}/{connection.credentials}"
        return AppendAudit(
            id=str(uuid.uuid5(_USES, use)),
            at=utc_now(),
            actor=f"executor {self._worker}",
            action="connection.use",
            noun="connection",
            identifier=f"{connection.connector}.{connection.name}",
            details={"id": connection.id, "credentials": connection.credentials, "worker": self._worker},
        )
