"""SQLite by SQLAlchemy over our cursor: the same outcomes as aiosqlite's, with fewer changes of thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Column, Insert, Integer, MetaData, String, Table, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.persistence.engine import Database

things = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", String, unique=True))


@pytest.fixture
async def things_database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite+aiosqlite:///{tmp_path / 'things.db'}")
    async with database.write() as connection:
        await connection.run_sync(things.metadata.create_all)
    yield database
    await database.close()


async def _written(database: Database, *statements: Insert) -> None:
    async with database.write() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_rows_counts_and_keys_come_back(things_database: Database) -> None:
    async with things_database.write() as connection:
        first = await connection.execute(insert(things).values(name="one"))
        await connection.execute(insert(things), [{"name": "two"}, {"name": "three"}])
        returned = await connection.execute(insert(things).values(name="four").returning(things.c.id))
        changed = await connection.execute(update(things).where(things.c.id > 2).values(name=things.c.name + "!"))
        assert first.inserted_primary_key == (1,)
        assert returned.scalar_one() == 4
        assert changed.rowcount == 2

    async with things_database.read() as connection:
        found = await connection.execute(select(things).order_by(things.c.id))
        assert [tuple(row) for row in found] == [(1, "one"), (2, "two"), (3, "three!"), (4, "four!")]
        one = await connection.execute(select(things.c.name).where(things.c.id == bindparam("id")), {"id": 2})
        assert list(one.keys()) == ["name"]
        assert (one.fetchone(), one.fetchone()) == (("two",), None)
        assert await connection.scalar(select(func.count()).select_from(things).where(things.c.id > 9)) == 0


async def test_a_refusal_is_told_and_undone(things_database: Database) -> None:
    twice = insert(things).values([{"name": "one"}, {"name": "one"}])
    with pytest.raises(IntegrityError):
        await _written(things_database, insert(things).values(name="zero"), twice)

    async with things_database.read() as connection:
        assert (await connection.execute(select(things))).all() == []


async def test_a_statement_is_one_journey_to_the_connections_thread(
    things_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    journeys = []
    execute: Any = aiosqlite.Connection._execute

    async def noted(connection: aiosqlite.Connection, *work: Any) -> Any:
        journeys.append(work)
        return await execute(connection, *work)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
    async with things_database.read() as connection:
        await connection.execute(select(things))
        await connection.execute(select(things))

    assert len(journeys) == 4  # BEGIN, both statements, ROLLBACK
