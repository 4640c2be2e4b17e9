"""The migrations make the tables that the store uses."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from services.registry.app import MIGRATIONS
from services.registry.store.tables import metadata
from shared.persistence import outbox
from shared.persistence.engine import Database
from shared.persistence.migrate import NotMigratedError, require_head, upgrade


async def test_migrations_and_tables_agree(migrated: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        expected = MetaData()
        for table in [*metadata.tables.values(), *outbox.metadata.tables.values()]:
            table.to_metadata(expected)
        return list(compare_metadata(context, expected))

    async with migrated.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_does_nothing(migrated: Database) -> None:
    assert (await upgrade(migrated, MIGRATIONS)).up_to_date
    await require_head(migrated, MIGRATIONS)


async def test_an_empty_database_is_told_apart(database: Database) -> None:
    with pytest.raises(NotMigratedError, match="dibop migrate"):
        await require_head(database, MIGRATIONS)
