"""Transactions and migrations, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.persistence.engine import Database, create_engine
from shared.persistence.migrate import MigrationStatus, NotMigratedError, require_head, status, upgrade

_metadata = sa.MetaData()
_numbers = sa.Table("numbers", _metadata, sa.Column("n", sa.Integer, primary_key=True))
_counter = sa.Table("counter", _metadata, sa.Column("value", sa.Integer, nullable=False))


@pytest.fixture
async def db(database: Database) -> Database:
    async with database.write() as connection:
        await connection.run_sync(_metadata.create_all)
        await connection.execute(_counter.insert().values(value=0))
    return database


async def numbers(database: Database) -> list[int]:
    async with database.read() as connection:
        return list(await connection.scalars(sa.select(_numbers.c.n).order_by(_numbers.c.n)))


async def fail_after_adding(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(_numbers.insert().values(n=1))
        raise RuntimeError


async def test_a_block_that_raises_changes_nothing(db: Database) -> None:
    with pytest.raises(RuntimeError):
        await fail_after_adding(db)

    assert await numbers(db) == []


async def test_commits_are_heard_and_rollbacks_are_not(db: Database) -> None:
    heard: list[str] = []
    db.on_commit(lambda: heard.append("commit"))

    async with db.write() as connection:
        await connection.execute(_numbers.insert().values(n=7))
        assert heard == []
    with pytest.raises(RuntimeError):
        await fail_after_adding(db)

    assert heard == ["commit"]


async def test_a_reader_sees_one_state_while_others_write(db: Database) -> None:
    async with db.read() as reader:
        first = await reader.scalar(sa.select(sa.func.count()).select_from(_numbers))
        async with db.write() as writer:
            await writer.execute(_numbers.insert().values(n=1))
        second = await reader.scalar(sa.select(sa.func.count()).select_from(_numbers))

    assert (first, second) == (0, 0)
    assert await numbers(db) == [1]


async def test_writers_of_two_processes_take_turns(db: Database, database_url: str) -> None:
    other = Database.open(database_url)

    async def add(database: Database) -> None:
        async with database.write() as connection:
            query = sa.select(_counter.c.value).with_for_update()
            value = (await connection.execute(query)).scalar_one()
            await connection.execute(_counter.update().values(value=value + 1))

    await asyncio.gather(*(add(database) for database in (db, other) * 20))

    async with db.read() as connection:
        assert await connection.scalar(sa.select(_counter.c.value)) == 40
    await other.close()


@pytest.mark.parametrize("url", ["", "no address", "mysql://host/name", "sqlite:///x.db", "postgresql://host/name"])
def test_an_address_that_is_not_of_ours_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite\+aiosqlite:///file\.db"):
        create_engine(url)


# ---- migrations ----------------------------------------------------------------------------------


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A migrations folder with two revisions; each fails when it runs twice."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("from shared.persistence.migrate import run_in_alembic\n\nrun_in_alembic()\n")
    for revision, before, table in (("0001", None, "first"), ("0002", "0001", "second")):
        (folder / "versions" / f"{revision}.py").write_text(
            textwrap.dedent(
                f"""
                import sqlalchemy as sa
                from alembic import op

                revision, down_revision = {revision!r}, {before!r}

                def upgrade():
                    op.create_table({table!r}, sa.Column("id", sa.Integer, primary_key=True))
                """
            )
        )
    return folder


async def test_an_empty_database_is_brought_to_the_newest_revision(database: Database, migrations: Path) -> None:
    with pytest.raises(NotMigratedError, match="at revision none, and this version needs 0002"):
        await require_head(database, migrations)

    assert await upgrade(database, migrations) == MigrationStatus(None, "0002")

    assert (await status(database, migrations)).up_to_date
    await require_head(database, migrations)
    async with database.read() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM second")) == 0


async def test_a_second_run_finds_nothing_to_do(database: Database, migrations: Path) -> None:
    await upgrade(database, migrations)

    assert await upgrade(database, migrations) == MigrationStatus("0002", "0002")


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[Database]]:
    opened = [Database.open(database_url) for _ in range(3)]
    yield opened
    for database in opened:
        await database.close()


async def test_processes_that_start_at_once_migrate_once(processes: list[Database], migrations: Path) -> None:
    before = await asyncio.gather(*(upgrade(database, migrations) for database in processes))

    assert sorted(str(found.current) for found in before) == ["0002", "0002", "None"]


async def test_a_migration_that_fails_leaves_the_database_as_it_was(database: Database, migrations: Path) -> None:
    broken = migrations / "versions" / "0002.py"
    broken.write_text(broken.read_text() + "    raise RuntimeError('no further')\n")

    with pytest.raises(RuntimeError, match="no further"):
        await upgrade(database, migrations)

    assert (await status(database, migrations)).current is None
