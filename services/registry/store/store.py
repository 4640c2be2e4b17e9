"""Units of work over SQLAlchemy: one transaction, its repositories, its events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.store.audit import SqlAudit
from services.registry.store.connections import SqlConnections
from services.registry.store.connectors import SqlConnectors
from services.registry.store.drafts import SqlDrafts
from services.registry.store.versions import SqlVersions
from shared.contracts.events import Event
from shared.persistence.engine import Database
from shared.persistence.outbox import enqueue


class SqlWork:
    """`services.registry.handlers.ports.Work` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.drafts = SqlDrafts(connection)
        self.versions = SqlVersions(connection)
        self.connectors = SqlConnectors(connection)
        self.connections = SqlConnections(connection)
        self.audit = SqlAudit(connection)

    async def emit(self, event: Event) -> None:
        await enqueue(self._connection, event)


class SqlStore:
    """`services.registry.handlers.ports.Store` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[SqlWork]:
        async with self._database.read() as connection:
            yield SqlWork(connection)

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[SqlWork]:
        async with self._database.write() as connection:
            yield SqlWork(connection)
