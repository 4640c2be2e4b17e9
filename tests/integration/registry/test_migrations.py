"""The migrations make the tables that the store uses."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.app import MIGRATIONS
from services.registry.domain.search import Question
from services.registry.store import SqlStore
from services.registry.store.tables import connections, metadata
from shared.persistence import outbox
from shared.persistence.engine import Database
from shared.persistence.migrate import NotMigratedError, _config, require_head, upgrade

INDEX = "connector_search"
"""The index of words, which SQLAlchemy has no model for: tables of FTS5, or a column that PostgreSQL makes."""


async def test_migrations_and_tables_agree(migrated: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": lambda name, *_: not str(name).startswith(INDEX)}
        )
        expected = MetaData()
        for table in [*metadata.tables.values(), *outbox.metadata.tables.values()]:
            table.to_metadata(expected)
        return list(compare_metadata(context, expected))

    async with migrated.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_does_nothing(migrated: Database) -> None:
    assert (await upgrade(migrated, MIGRATIONS)).up_to_date
    await require_head(migrated, MIGRATIONS)


async def test_connections_of_the_first_version_come_over(database: Database) -> None:
    """Key ids of connections that have nothing sealed, and of deleted ones, go: nothing is sealed to these keys."""

    def first(connection: Connection) -> None:
        config = _config(MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    async with database.write() as connection:
        await connection.run_sync(first)
        for name, sealed in (("sealed", {"api_key": "c2VhbGVk"}), ("plain", {}), ("gone", {})):
            await connection.execute(connections.insert().values(**_row(name, sealed), deleted=name == "gone"))

    await upgrade(database, MIGRATIONS)

    table = connections.c
    kept = select(table.id, table.kid, table.credentials_generation, table.token_sealed).where(
        table.enterprise == "acme"
    )
    async with database.read() as connection:
        found = await connection.execute(kept)
        assert sorted(tuple(row) for row in found) == [
            ("gone", "", 1, None),
            ("plain", "", 1, None),
            ("sealed", "seal-1", 1, None),
        ]


def _row(name: str, sealed: dict[str, str]) -> dict[str, Any]:
    return {
        "id": name,
        "enterprise": "acme",
        "connector": "weather",
        "owner": "acme",
        "name": name,
        "version_policy": "^1",
        "origin": "https://api.example.com:443",
        "kid": "seal-1",
        "plain_values": {},
        "sealed_values": sealed,
        "masked_tails": {},
        "created_by": "kim",
        "created_at": "2026-01-01T00:00:00.000Z",
        "generation": 1,
    }


async def test_an_empty_database_is_told_apart(database: Database) -> None:
    with pytest.raises(NotMigratedError, match="dibop migrate"):
        await require_head(database, MIGRATIONS)


async def put(connection: AsyncConnection, table: str, **values: object) -> None:
    """A row of the connector acme.weather, in a table as it was then."""
    row = {"owner": "acme", "slug": "weather", **values}
    await connection.execute(sa.insert(sa.table(table, *map(sa.column, row))).values(row))


async def test_what_was_there_before_is_found_afterwards(database: Database) -> None:
    await upgrade(database, MIGRATIONS, "0002")
    documents = ('{"name": "Snow"}', '{"name": "Rain", "operations": [{"operation": "get_map"}]}')
    instant = "2026-01-31T09:05:00.123Z"
    saved = {"saved_by": "ada", "saved_at": instant, "digest": "d"}
    shown = {"name": "Rain", "name_folded": "rain", "type": ""}
    published = {f"published_{name}": value for name, value in {**shown, "name": "Snow", "name_folded": "snow"}.items()}
    release = {"version": "1.0.0", "scope": "enterprise", "published_by": "ada", "published_at": instant, "notes": ""}
    async with database.write() as connection:
        state = {"revision": 2, "state": "published", "latest_version": "1.0.0", "generation": 1}
        await put(connection, "connectors", **saved, **shown, **published, **state)
        for number, document in enumerate(documents, start=1):
            await put(connection, "draft_revisions", revision=number, document=document, **saved)
        await put(connection, "versions", revision=1, document=documents[0], digest="d", publication_id="p", **release)

    await upgrade(database, MIGRATIONS)

    async def found(word: str, *, drafts: bool) -> list[tuple[str, str]]:
        async with SqlStore(database).read() as work:
            rows = await work.connectors.page("acme", drafts=drafts, question=Question(words=(word,)), limit=10)
        return [(row.name, row.changed_at) for row in rows]

    assert await found("map", drafts=True) == [("Rain", instant)]
    assert await found("map", drafts=False) == []
    assert await found("sno", drafts=False) == [("Snow", instant)]
