"""Units of work over SQLAlchemy: one transaction, its repositories, its events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.store.audit import SqlAudit
from services.registry.store.calls import SqlCalls
from services.registry.store.connections import SqlConnections
from services.registry.store.connectors import SqlConnectors
from services.registry.store.drafts import SqlDrafts
from services.registry.store.enterprises import SqlEnterprises
from services.registry.store.keys import SqlKeys
from services.registry.store.test_credentials import SqlTestCredentials
from services.registry.store.versions import SqlVersions
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.persistence.engine import Database
from shared.persistence.outbox import enqueue

_PASSING: Final = frozenset({"08", "40", "53", "55", "57"})

log = structlog.get_logger("registry")


class SqlWork:
    """`services.registry.handlers.ports.Work` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.drafts = SqlDrafts(connection)
        self.versions = SqlVersions(connection)
        self.connectors = SqlConnectors(connection)
        self.connections = SqlConnections(connection)
        self.test_credentials = SqlTestCredentials(connection)
        self.enterprises = SqlEnterprises(connection)
        self.keys = SqlKeys(connection)
        self.audit = SqlAudit(connection)
        self.calls = SqlCalls(connection)

    async def emit(self, event: Event) -> None:
        await enqueue(self._connection, event)


class SqlStore:
    """`services.registry.handlers.ports.Store` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[SqlWork]:
        with _told_as_passing():
            async with self._database.read() as connection:
                yield SqlWork(connection)

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[SqlWork]:
        with _told_as_passing():
            async with self._database.write() as connection:
                yield SqlWork(connection)


@contextlib.contextmanager
def _told_as_passing() -> Iterator[None]:
    """A database that is away or busy is no bug: the caller is told to come back."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if isinstance(error, DBAPIError) and not _is_passing(error):
            raise
        log.warning("the database did not serve", error=type(error).__name__, reason=str(error)[:300])
        raise DibopError(
            "overloaded",
            "The registry's database is away or busy. Look whether the change was made before repeating it; "
            "if this stays, have an operator look at the database.",
        ) from error


def _is_passing(error: DBAPIError) -> bool:
    """Lost connections, servers that stop or are full (SQLSTATE 08, 53, 55, 57), deadlocks (40), SQLite's lock."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError) or state[:2] in _PASSING
