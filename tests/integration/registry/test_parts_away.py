"""A database or a JetStream that is away: each request is still answered, and work goes on when it is back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from nats.js import JetStreamContext
from sqlalchemy.engine import make_url

from services.registry.app import MIGRATIONS, build
from services.registry.settings import RegistrySettings
from shared.contracts import subjects
from shared.contracts.commands import Connection
from shared.contracts.projections import CatalogueEntry
from shared.messaging.bootstrap import bootstrap, key_value_stream
from shared.messaging.objects import Documents
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade
from tests.integration.registry.conftest import People, projected
from tests.integration.registry.test_process import run
from tests.support.connectors import connection
from tests.support.polling import eventually
from tests.support.tokens import Tokens


@pytest.fixture
async def on_postgres(
    nats_url: str, js: JetStreamContext, postgres_database_url: str, tokens: Tokens
) -> AsyncIterator[str]:
    """A registry over PostgreSQL; the database's name."""
    database = Database.open(postgres_database_url)
    await upgrade(database, MIGRATIONS)
    settings = RegistrySettings(nats_url=nats_url, database_url=postgres_database_url, token_key_file=tokens.key_file)
    service = build(settings, database)
    await service.start()
    yield make_url(postgres_database_url).database or ""
    await service.drain_and_stop()
    await database.close()


async def test_a_database_that_is_away_is_told_and_waited_for(
    on_postgres: str, people: People, postgres_url: str
) -> None:
    await people.author.save()
    server = await asyncpg.connect(postgres_url)
    await server.execute(f'ALTER DATABASE "{on_postgres}" ALLOW_CONNECTIONS false')
    await server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{on_postgres}'")

    refused = await people.author.refused("draft.get", {"slug": "weather"})
    await server.execute(f'ALTER DATABASE "{on_postgres}" ALLOW_CONNECTIONS true')
    await server.close()

    assert refused.code == "overloaded"
    assert "database" in refused.detail
    assert (await people.author.save(base_revision=1, description="More.")).revision == 2


async def test_what_jetstream_could_not_take_is_finished_when_it_is_back(
    nats_url: str, js: JetStreamContext, database_url: str, migrated: Database, tokens: Tokens, people: People
) -> None:
    settings = RegistrySettings(
        nats_url=nats_url,
        database_url=database_url,
        token_key_file=tokens.key_file,
        projection_repair_seconds=0.05,
    )
    service = build(settings, migrated)
    await service.start()
    await people.publish(await people.author.save())
    await js.delete_stream(key_value_stream(subjects.CONNECTIONS_BUCKET))

    refused = await people.admin.refused("connection.create", command := connection())
    await bootstrap(js)

    assert refused.code == "overloaded"
    assert "is saved" in refused.detail
    entry = await eventually(lambda: _seen(js), what="the connection in the projection")
    assert entry == command.id
    assert (await people.admin.ask("connection.create", command, Connection)).id == command.id
    await service.drain_and_stop()


async def _seen(js: JetStreamContext) -> str:
    kv = await js.key_value(subjects.CONNECTIONS_BUCKET)
    keys: list[str] = [] if not (await kv.status()).values else await kv.keys()
    return (await projected(js, keys[0])).id if keys else ""


async def test_rebuild_writes_everything_anew(
    registry: Database, people: People, js: JetStreamContext, nats_url: str, database_url: str
) -> None:
    saved = await people.author.save()
    await people.publish(saved)
    made = await people.admin.ask("connection.create", connection(), Connection)
    for bucket in (subjects.CONNECTIONS_BUCKET, subjects.CATALOGUE_BUCKET):
        await js.purge_stream(key_value_stream(bucket))
    await js.purge_stream(f"OBJ_{subjects.TEMPLATES_BUCKET}")

    ended = run(["rebuild"], {"DIBOP_DATABASE_URL": database_url, "DIBOP_NATS_URL": nats_url})

    assert (ended.returncode, "3 entries" in ended.stderr) == (0, True)
    assert (await projected(js, "acme.weather.default")).id == made.id
    assert await Documents(js).get(saved.digest) is not None
    kv = await js.key_value(subjects.CATALOGUE_BUCKET)
    entry = msgspec.json.decode((await kv.get("acme.weather")).value or b"", type=CatalogueEntry)
    assert [(v.version, v.digest) for v in entry.versions] == [("1.0.0", saved.digest)]
