"""Real servers for integration tests: one of each for the session, and own ones for tests that break them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from nats.js import JetStreamContext

from shared.messaging.bootstrap import bootstrap, stream_configs
from shared.messaging.connection import BusClient, connect
from shared.persistence.engine import Database
from shared.settings import BusSettings
from tests.support.databases import PostgresTemplates, SqliteTemplates
from tests.support.inboxes import TEST_INBOXES
from tests.support.servers import NatsServer, httpbin_server, nats_server, postgres_server, redis_server


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nats_server(tmp_path_factory.mktemp("nats")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """`postgresql://…/postgres` of a user that may create databases."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def httpbin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with httpbin_server(tmp_path_factory.mktemp("httpbin")) as url:
        yield url


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[Callable[[], NatsServer]]:
    """Makes started NATS servers that the test may kill and start again: same port, same store."""
    servers: list[NatsServer] = []

    def make() -> NatsServer:
        server = NatsServer(tmp_path / f"nats-{len(servers)}")
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def bus_settings(nats_url: str) -> BusSettings:
    return BusSettings(nats_url=nats_url, nats_inbox_prefix=TEST_INBOXES)


@pytest.fixture
async def nc(bus_settings: BusSettings) -> AsyncIterator[BusClient]:
    """A connection to the session's NATS server."""
    client = await connect(bus_settings, name="test", wait_seconds=10)
    yield client
    await client.close()


@pytest.fixture
async def js(nc: BusClient) -> AsyncIterator[JetStreamContext]:
    """JetStream with every stream and bucket made, and empty again after the test."""
    context = nc.jetstream()
    await bootstrap(context)
    yield context
    for config in stream_configs():
        await context.purge_stream(str(config.name))


@pytest.fixture
async def postgres_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A new, empty database in PostgreSQL, as SQLAlchemy wants it; gone after the test."""
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    base = postgres_url.rpartition("/")[0].replace("postgresql://", "postgresql+asyncpg://", 1)
    yield f"{base}/{name}"
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: the test runs once with SQLite and once with PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgres_database_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplates:
    return SqliteTemplates(tmp_path_factory.mktemp("migrated"))


@pytest.fixture(scope="session")
def postgres_templates(postgres_url: str) -> Iterator[PostgresTemplates]:
    templates = PostgresTemplates(postgres_url)
    yield templates
    asyncio.run(templates.drop())


@pytest.fixture
async def migrated(request: pytest.FixtureRequest, database: Database, database_url: str, migrations: Path) -> Database:
    """The database with the structure of the service whose folder of `migrations` the tests name."""
    kind = "sqlite" if database.dialect == "sqlite" else "postgres"
    templates: SqliteTemplates | PostgresTemplates = request.getfixturevalue(f"{kind}_templates")
    await templates.copy(database_url, migrations)
    return database
