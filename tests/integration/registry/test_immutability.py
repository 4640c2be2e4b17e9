"""Published versions and the audit log never change, whoever has the database open."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.registry.store.tables import metadata
from shared.contracts.commands import GetVersion, Version
from shared.persistence.engine import Database
from tests.integration.registry.conftest import People
from tests.support.connectors import document

NOTHING = "'{}'"
OTHER = "'other'"
STATEMENTS = [
    "UPDATE versions SET document = '{}'",
    "UPDATE versions SET notes = 'mended' WHERE slug = 'weather'",
    "DELETE FROM versions",
    "UPDATE audit SET actor = 'nobody'",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE id = 1",
]


def again(table: str, **changes: str) -> str:
    """The row of `table` once more, with `changes` in some columns."""
    columns = ", ".join(changes.get(column.name, column.name) for column in metadata.tables[table].columns)
    return f"INTO {table} SELECT {columns} FROM {table}"


SQLITE = [
    f"INSERT OR REPLACE {again('versions', document=NOTHING)}",
    f"INSERT OR REPLACE {again('versions', document=NOTHING, version=OTHER)}",
    f"REPLACE {again('audit', actor=OTHER)}",
    f"REPLACE {again('audit', id='id + 1000', actor=OTHER)}",
    f"UPDATE OR REPLACE versions SET version = {OTHER}",
]
POSTGRESQL = [
    "TRUNCATE versions CASCADE",
    "TRUNCATE audit",
    f"INSERT {again('versions')} ON CONFLICT (owner, slug, version) DO UPDATE SET document = {NOTHING}",
    f"INSERT {again('audit')} ON CONFLICT (entry_id) DO UPDATE SET actor = {OTHER}",
    "WITH gone AS (DELETE FROM audit RETURNING id) SELECT id FROM gone",
]


async def test_no_statement_changes_what_was_written(people: People, registry: Database) -> None:
    await people.publish(await people.author.save())
    before = await people.admin.audit()

    for statement in STATEMENTS + (SQLITE if registry.dialect == "sqlite" else POSTGRESQL):
        with pytest.raises(DBAPIError, match="append-only"):
            async with registry.write() as connection:
                await connection.execute(text(statement))

    version = await people.viewer.ask("version.get", GetVersion(slug="weather"), Version)
    assert (version.version, version.document) == ("1.0.0", document())
    assert await people.admin.audit() == before


async def test_the_state_of_a_version_stands_apart_and_changes(people: People, registry: Database) -> None:
    await people.publish(await people.author.save())

    async with registry.write() as connection:
        await connection.execute(text("UPDATE version_states SET state = 'deprecated'"))

    assert (await people.viewer.ask("version.get", GetVersion(slug="weather"), Version)).state == "deprecated"


async def test_a_version_has_no_unknown_state(people: People, registry: Database) -> None:
    await people.publish(await people.author.save())

    with pytest.raises(DBAPIError, match="version_state_known"):
        async with registry.write() as connection:
            await connection.execute(text("UPDATE version_states SET state = 'gone'"))
