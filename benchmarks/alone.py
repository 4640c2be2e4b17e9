"""The peer of a use case that reads: its very statements, with the same values, by the driver alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

Statement = tuple[str, Any]
"""Text and values, as the driver takes them."""


class Alone(Protocol):
    async def repeat(self, statements: Sequence[Statement]) -> None:
        """Run them one after the other, and fetch all rows of each."""
        ...


class Heard:
    """The reading statements that an engine sends, from `begin` on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._statements: list[Statement] = []
        event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def begin(self) -> None:
        self._statements = []

    def said(self) -> list[Statement]:
        return self._statements

    def _note(self, *sent: Any) -> None:
        if sent[2].startswith(("SELECT", "WITH")):
            self._statements.append((sent[2], sent[3]))


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def repeat(self, statements: Sequence[Statement]) -> None:
        for statement, values in statements:
            self._connection.execute(statement, values).fetchall()


class _Postgres:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def repeat(self, statements: Sequence[Statement]) -> None:
        for statement, values in statements:
            await self._connection.fetch(statement, *values)


@contextlib.asynccontextmanager
async def sqlite_alone(file: Path) -> AsyncIterator[Alone]:
    """The `sqlite3` of the standard library, on the same file."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield _Sqlite(connection)


@contextlib.asynccontextmanager
async def asyncpg_alone(url: str) -> AsyncIterator[Alone]:
    """asyncpg, on the same database."""
    connection = await asyncpg.connect(url)
    try:
        yield _Postgres(connection)
    finally:
        await connection.close()
