"""SQLite's connections: aiosqlite's, with one journey to the connection's thread for a statement.

aiosqlite makes four: for a cursor, to execute, to fetch, to close. Each costs two changes of thread, more than a short
statement itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, Self, TypeVar

import aiosqlite

_CHUNK: Final = 64
"""Rows at a time for who walks over a cursor of aiosqlite's, which nobody does."""

Parameters = Sequence[Any]
T = TypeVar("T")
Run = Callable[[Callable[[sqlite3.Connection], T]], Awaitable[T]]


def connect(file: str, **options: Any) -> aiosqlite.Connection:
    """What SQLAlchemy's dialect awaits for a connection; `options` are those of `sqlite3.connect`."""
    return _Connection(partial(sqlite3.connect, file, **options), _CHUNK)


class _Connection(aiosqlite.Connection):
    def __init__(self, connector: Callable[[], sqlite3.Connection], chunk: int) -> None:
        super().__init__(connector, chunk)
        self._thread.daemon = True  # as SQLAlchemy has it: a connection left open does not keep a process from ending

    def cursor(self) -> _Cursor:  # type: ignore[override]  # what SQLAlchemy asks of a cursor, and no more
        return _Cursor(self._run)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        done: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return done


class _Cursor:
    """A statement's outcome, all of it fetched: only `execute` and `executemany` go to the thread."""

    def __init__(self, run: Run[Any]) -> None:
        self._run = run
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Parameters = ()) -> Self:
        return await self._outcome(lambda cursor: cursor.execute(statement, parameters))

    async def executemany(self, statement: str, parameters: Sequence[Parameters]) -> Self:
        return await self._outcome(lambda cursor: cursor.executemany(statement, parameters))

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    async def _outcome(self, execute: Callable[[sqlite3.Cursor], object]) -> Self:
        def work(connection: sqlite3.Connection) -> None:
            with closing(connection.cursor()) as cursor:
                execute(cursor)
                self.description = cursor.description
                self._rows = cursor.fetchall() if cursor.description else []
                self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

        await self._run(work)
        return self
