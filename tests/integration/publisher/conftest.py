"""The publisher over a real database, a real NATS and a real registry; an executor that answers as it is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from nats.js import JetStreamContext
from pydantic import BaseModel

from services.publisher import app as publisher_app
from services.publisher.settings import PublisherSettings
from services.publisher.store import SqlStore
from services.registry import app as registry_app
from services.registry.settings import RegistrySettings
from shared.contracts import commands, subjects
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry
from shared.messaging.client import command
from shared.messaging.connection import BusClient
from shared.persistence.engine import Database
from shared.security.principals import Role
from tests.support.connectors import document
from tests.support.databases import SqliteTemplates
from tests.support.mortal import Death, ForkedService
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor
from tests.support.streams import stored_events
from tests.support.tokens import Tokens

M = TypeVar("M", bound=BaseModel)

REPOSITORY: Final = Path(__file__).parents[3]
TIMEOUT: Final = 20.0
SLUG: Final = "weather"


@dataclass(frozen=True)
class Author:
    """Someone who drafts, tests and publishes in `enterprise` (the subject's)."""

    nc: BusClient
    token: str
    enterprise: str

    async def ask(self, plane: str, what: str, body: dict[str, Any], answer: type[M]) -> M:
        """Send `<plane>` its `<noun>.<verb>`."""
        noun, verb = what.split(".")
        subject = f"{plane}.v1.{self.enterprise}.{noun}.{verb}"
        return await command(self.nc, subject, body, answer, token=self.token, timeout=TIMEOUT)

    async def save(self, base_revision: int | None = None, **changes: Any) -> commands.DraftSaved:
        body = {"slug": SLUG, "document": document(SLUG, **changes), "base_revision": base_revision}
        return await self.ask("registry", "draft.save", body, commands.DraftSaved)

    async def start_test(self, **body: Any) -> str:
        return (await self.ask("publisher", "test.start", {"slug": SLUG, **body}, commands.TestStarted)).run_id

    async def show_test(self, run_id: str, **query: Any) -> commands.TestRun:
        return await self.ask("publisher", "test.show", {"run_id": run_id, **query}, commands.TestRun)

    async def ended_test(self, run_id: str) -> commands.TestRun:
        async def ended() -> commands.TestRun | None:
            run = await self.show_test(run_id)
            return None if run.state == "running" else run

        run = await eventually(ended)
        assert run is not None
        return run

    async def test(self, **body: Any) -> commands.TestRun:
        """A whole run."""
        return await self.ended_test(await self.start_test(**body))

    async def publish(self, scope: str | None = None) -> commands.Published:
        scope = scope or ("catalogue" if self.enterprise == "platform" else "enterprise")
        return await self.ask("publisher", "connector.publish", {"slug": SLUG, "scope": scope}, commands.Published)

    async def move(self, verb: str, **body: Any) -> commands.Moved:
        """Deprecate, unpublish or retire."""
        return await self.ask("publisher", f"connector.{verb}", {"slug": SLUG, **body}, commands.Moved)

    async def roll_back(self, version: str) -> commands.Published:
        body = {"slug": SLUG, "version": version}
        return await self.ask("publisher", "connector.rollback", body, commands.Published)

    async def connector(self) -> commands.Connector:
        return await self.ask("registry", "connector.show", {"slug": SLUG}, commands.Connector)

    async def audit(self, **query: Any) -> list[commands.AuditEntry]:
        return (await self.ask("registry", "audit.list", query, commands.AuditPage)).entries

    async def last_audit(self, action: str) -> commands.AuditEntry | None:
        return next((entry for entry in await self.audit() if entry.action == action), None)


@pytest.fixture
def platform(nc: BusClient, tokens: Tokens) -> Author:
    """A Platform Admin, in `platform`."""
    return Author(nc, tokens.issue("pat", "acme", Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK), "platform")


@pytest.fixture
def acme(nc: BusClient, tokens: Tokens) -> Author:
    """An Enterprise Admin with SDK access, in `acme`."""
    return Author(nc, tokens.issue("ada", "acme", Role.ENTERPRISE_ADMIN_SDK), "acme")


@pytest.fixture
async def executor(nc: BusClient, js: JetStreamContext) -> StandInExecutor:
    stand_in = StandInExecutor(nc)
    await stand_in.serve()
    return stand_in


@pytest.fixture
def service_token_file(tokens: Tokens, tmp_path: Path) -> Path:
    file = tmp_path / "publisher.token"
    file.write_text(tokens.issue("publisher", "platform", Role.PUBLISHER) + "\n")
    return file


ServeRegistry = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def serve_registry(
    nats_url: str, js: JetStreamContext, tokens: Tokens, tmp_path: Path, sqlite_templates: SqliteTemplates
) -> ServeRegistry:
    """A registry that serves, in this process, as long as the block lasts; over the same database each time."""
    file = tmp_path / "registry.db"
    settings = RegistrySettings(
        nats_url=nats_url,
        database_url=f"sqlite+aiosqlite:///{file}",
        token_key_file=tokens.key_file,
    )

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        if not file.exists():
            await sqlite_templates.copy(settings.database_url, registry_app.MIGRATIONS)
        database = Database.open(settings.database_url)
        service = registry_app.build(settings, database)
        await service.start()
        try:
            yield
        finally:
            await service.drain_and_stop()
            await database.close()

    return serve


@pytest.fixture
async def registry(serve_registry: ServeRegistry) -> AsyncIterator[None]:
    async with serve_registry():
        yield


@pytest.fixture
def migrations() -> Path:
    return publisher_app.MIGRATIONS


@pytest.fixture
def store(migrated: Database) -> SqlStore:
    return SqlStore(migrated)


ServePublisher = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def serve_publisher(
    nats_url: str, tokens: Tokens, service_token_file: Path, database_url: str, migrated: Database
) -> ServePublisher:
    """A publisher that serves, in this process, as long as the block lasts; over the same database each time."""
    settings = PublisherSettings(
        nats_url=nats_url,
        database_url=database_url,
        token_key_file=tokens.key_file,
        service_token_file=service_token_file,
        drain_seconds=5,
    )

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        service = publisher_app.build(settings, migrated)
        await service.start()
        try:
            yield
        finally:
            await service.drain_and_stop()

    return serve


@pytest.fixture
async def publisher(registry: None, serve_publisher: ServePublisher) -> AsyncIterator[None]:
    async with serve_publisher():
        yield


StartPublisher = Callable[..., ForkedService]


@pytest.fixture
def start_publisher(
    nats_url: str, js: JetStreamContext, database_url: str, tokens: Tokens, service_token_file: Path, tmp_path: Path
) -> Iterator[StartPublisher]:
    """Starts the publisher as a process, over the same database each time: `start(fault_point="recorded")`."""
    started: list[ForkedService] = []

    def start(fault_point: str | None = None, *, death: Death | None = None) -> ForkedService:
        environment = {
            "DIBOP_NATS_URL": nats_url,
            "DIBOP_DATABASE_URL": database_url,
            "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
            "DIBOP_SERVICE_TOKEN_FILE": str(service_token_file),
            **({"DIBOP_FAULT_POINT": fault_point} if fault_point else {}),
        }
        log = tmp_path / f"publisher-{len(started)}.log"
        started.append(ForkedService("publisher", environment, log=log, death=death))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()


async def catalogue_entry(js: JetStreamContext, owner: str = "platform") -> CatalogueEntry:
    """What executors see; KeyNotFoundError where they see nothing."""
    kv = await js.key_value(subjects.CATALOGUE_BUCKET)
    return msgspec.json.decode((await kv.get(f"{owner}.{SLUG}")).value or b"", type=CatalogueEntry)


async def events(js: JetStreamContext, what: str) -> list[Event]:
    return [event for event in await stored_events(js) if event.what == what]
