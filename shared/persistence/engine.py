"""Databases: SQLite in the local stack, PostgreSQL in production, one way to use both.

SQLite has one writer at a time: a write transaction takes the lock when it begins, so that it waits its turn
instead of failing half-way. Readers see a snapshot and are never in the way (WAL).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, Literal
from weakref import WeakSet

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, Compiled, ExecutionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_fixed

from shared.persistence import sqlite_driver
from shared.persistence.tenancy import require_named, says_across

Dialect = Literal["sqlite", "postgresql"]

_WRITES: Final = "dibop_writes"
_BUSY_SECONDS: Final = 15
_SQLITE_PRAGMAS: Final = (
    f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)


class Database:
    """Transactions over one engine: `async with database.write() as connection`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        event.listen(engine.sync_engine, "before_cursor_execute", _TenantGuard())
        self.dialect: Dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def open(cls, url: str) -> Database:
        """A database at `sqlite+aiosqlite:///file.db` or `postgresql+asyncpg://user@host/name`. Connects later."""
        return cls(create_engine(url))

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state throughout and is rolled back at the end."""
        async with self.engine.connect() as connection:
            if self.dialect == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end, or rolls back when the block raises."""
        async with self._turn, self.engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection
        for listener in self._listeners:
            listener()

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every committed `write`; it must not block or raise."""
        self._listeners.append(listener)

    async def close(self) -> None:
        await self.engine.dispose()


class _TenantGuard:
    """Looks at statements that differ in their values alone once: as long as SQLAlchemy keeps what it compiled."""

    def __init__(self) -> None:
        self._passed: WeakSet[Compiled] = WeakSet()

    def __call__(self, *said: Any) -> None:
        """`said` is what SQLAlchemy tells before it sends a statement; the fifth is the context."""
        context: ExecutionContext = said[4]
        compiled = context.compiled
        if compiled is None or compiled in self._passed or says_across(context.execution_options):
            return
        require_named(compiled.statement)
        self._passed.add(compiled)


def create_engine(url: str) -> AsyncEngine:
    """The engine for a database address; ValueError for one that is neither SQLite nor PostgreSQL."""
    try:
        address = make_url(url)
    except ArgumentError:
        raise ValueError(f"The database address is not one. {_FORMS}") from None
    match address.drivername:
        case "sqlite+aiosqlite":
            return _sqlite(address)
        case "postgresql+asyncpg":
            return create_async_engine(
                address,
                pool_size=10,
                max_overflow=10,
                pool_timeout=30,
                pool_pre_ping=True,
                pool_recycle=1800,
                connect_args={"timeout": 10, "command_timeout": 60},
                hide_parameters=True,
            )
        case other:
            raise ValueError(f"The database address begins with {other!r}. {_FORMS}")


_FORMS: Final = "It must be sqlite+aiosqlite:///file.db or postgresql+asyncpg://user@host/name."


def _sqlite(address: URL) -> AsyncEngine:
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        address,
        connect_args={"timeout": _BUSY_SECONDS, "async_creator_fn": sqlite_driver.connect},
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late and is never IMMEDIATE
        cursor = connection.cursor()
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(pragma)
        _switch_to_wal(cursor)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _switch_to_wal(cursor: Any) -> None:
    """A new file is switched once; SQLite does not honour the busy timeout when two connections do it at once."""
    waiting = Retrying(
        retry=retry_if_exception_message(match="database is locked"),
        wait=wait_fixed(0.01),
        stop=stop_after_delay(_BUSY_SECONDS),
        sleep=lambda seconds: await_only(asyncio.sleep(seconds)),
        reraise=True,
    )
    waiting(cursor.execute, "PRAGMA journal_mode=WAL")
