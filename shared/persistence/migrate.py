"""Migrations: Alembic, forward only, from a service's `migrations` folder.

The folder's `env.py` is two lines: import `run_in_alembic` from here, call it. Everything runs in one
transaction under a lock, so that of two processes that start at once one migrates and the other finds it done.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from shared.persistence.engine import Database

_LOCK: Final = 0x4449_424F_50
"""The advisory lock in PostgreSQL; SQLite's write lock does the same."""


class NotMigratedError(Exception):
    """The database's structure is not the one that this version needs."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """`current` is None for an empty database."""

    current: str | None
    head: str | None

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


async def upgrade(database: Database, folder: Path, revision: str = "head") -> MigrationStatus:
    """Bring the database to the newest revision, or to the one named; the answer is where it stood before."""
    async with database.write() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = await connection.run_sync(_status, folder)
        if not before.up_to_date:
            await connection.run_sync(_upgrade, folder, revision)
    return before


async def status(database: Database, folder: Path) -> MigrationStatus:
    """Where the database stands, and where this version wants it."""
    async with database.read() as connection:
        return await connection.run_sync(_status, folder)


async def require_head(database: Database, folder: Path) -> None:
    """Raise NotMigratedError unless the database is at the newest revision."""
    found = await status(database, folder)
    if not found.up_to_date:
        raise NotMigratedError(
            f"The database is at revision {found.current or 'none'}, and this version needs {found.head}. "
            "Run 'dibop migrate' of this version, then start again."
        )


async def migrate(url: str, folder: Path) -> MigrationStatus:
    """Bring the database at `url` to the newest revision; the answer is where it stood before."""
    database = Database.open(url)
    try:
        return await upgrade(database, folder)
    finally:
        await database.close()


async def prepare(database: Database, folder: Path, *, migrates: bool) -> None:
    """What a service does at its start: bring the database to the newest revision, or see that it is there."""
    if migrates:
        await upgrade(database, folder)
    else:
        await require_head(database, folder)


def run_in_alembic(metadata: MetaData | None = None) -> None:
    """What a migrations folder's `env.py` calls; `metadata` is what autogenerate compares with."""
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("Migrations are run by 'dibop migrate', which brings the connection, not by alembic alone.")
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _status(connection: Connection, folder: Path) -> MigrationStatus:
    head = ScriptDirectory.from_config(_config(folder)).get_current_head()
    return MigrationStatus(MigrationContext.configure(connection).get_current_revision(), head)


def _upgrade(connection: Connection, folder: Path, revision: str) -> None:
    config = _config(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
