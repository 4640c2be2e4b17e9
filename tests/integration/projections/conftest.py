"""Registry and publisher on a NATS server that comes and goes, over databases that stay."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from nats.js import JetStreamContext
from pydantic import BaseModel

from services.publisher import app as publisher_app
from services.publisher.settings import PublisherSettings
from services.registry import app as registry_app
from services.registry.settings import RegistrySettings
from shared.contracts import commands
from shared.messaging.bootstrap import bootstrap
from shared.messaging.client import command
from shared.messaging.connection import BusClient, connect
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade
from shared.security.principals import Role
from shared.settings import BusSettings
from tests.support.connectors import document, operation
from tests.support.fault_server import FaultServer
from tests.support.inboxes import TEST_INBOXES
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor
from tests.support.tokens import Tokens

M = TypeVar("M", bound=BaseModel)

PARTS: Final[tuple[commands.ProjectionPart, ...]] = ("templates", "catalogue", "connections", "enterprises")
TIMEOUT: Final = 20.0


@dataclass(frozen=True)
class Platform:
    """What admins do on registry and publisher. Connectors belong to the catalogue and have one operation, `now`."""

    nc: BusClient
    tokens: Tokens
    base_url: str

    @property
    def js(self) -> JetStreamContext:
        return self.nc.jetstream()

    async def ask(self, subject: str, body: dict[str, Any], answer: type[M]) -> M:
        """Send `<plane>.<enterprise>.<noun>.<verb>` as an admin of that enterprise."""
        plane, _, rest = subject.partition(".")
        enterprise = rest.partition(".")[0]
        role = Role.PLATFORM_ADMIN if enterprise == "platform" else Role.ENTERPRISE_ADMIN
        token = self.tokens.issue("kim", enterprise, role)
        return await command(self.nc, f"{plane}.v1.{rest}", body, answer, token=token, timeout=TIMEOUT)

    async def publish(self, slug: str, revision: int | None = None) -> commands.Published:
        """Publish a draft that is made, or changed in words from `revision` on."""
        made = document(
            slug,
            base_url=self.base_url,
            auth_type="none",
            credential_schema=None,
            description=f"After revision {revision}.",
            operations=[operation("now", path="/json", sample={"q": "x"})],
            resilience={"rate_limit_per_minute": 0, "max_retries": 0},
        )
        saving = {"slug": slug, "document": made, "base_revision": revision}
        await self.ask("registry.platform.draft.save", saving, commands.DraftSaved)
        run = await self.ask("publisher.platform.test.start", {"slug": slug}, commands.TestStarted)

        async def tested() -> bool:
            shown = await self.ask("publisher.platform.test.show", {"run_id": run.run_id}, commands.TestRun)
            return shown.state != "running"

        await eventually(tested)
        body = {"slug": slug, "scope": "catalogue"}
        return await self.ask("publisher.platform.connector.publish", body, commands.Published)

    async def unpublish(self, slug: str, version: str) -> None:
        body = {"slug": slug, "version": version}
        await self.ask("publisher.platform.connector.unpublish", body, commands.Moved)

    async def connect(self, slug: str, name: str) -> None:
        body = {
            "connector": slug,
            "id": str(uuid.uuid4()),
            "owner": "platform",
            "name": name,
            "origin": self.base_url,
        }
        await self.ask("registry.acme.connection.create", body, commands.Connection)

    async def disconnect(self, slug: str, name: str) -> None:
        body = {"connector": slug, "name": name}
        await self.ask("registry.acme.connection.delete", body, commands.ConnectionDeleted)

    async def tell(self, enterprise: str, what: str) -> None:
        body = {"id": enterprise, "what": what}
        await self.ask("registry.platform.enterprise.change", body, commands.Enterprise)

    async def rebuild(self) -> dict[str, int]:
        """How many entries of each part were mended."""
        mended: dict[str, int] = dict.fromkeys(PARTS, 0)
        for part in PARTS:
            body: dict[str, Any] = {"part": part}
            while True:
                page = await self.ask("registry.platform.projection.rebuild", body, commands.ProjectionPage)
                mended[part] += len(page.differences)
                if page.next_after is None:
                    break
                body["after"] = page.next_after
        return mended


Serve = Callable[[str], AbstractAsyncContextManager[Platform]]


@pytest.fixture
async def upstream() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


@pytest.fixture
def serve(tokens: Tokens, tmp_path: Path, upstream: FaultServer) -> Serve:
    """`serve(nats_url)`: registry and publisher on this server as long as the block lasts."""
    service_token = tmp_path / "publisher.token"
    service_token.write_text(tokens.issue("publisher", "platform", Role.PUBLISHER))

    @contextlib.asynccontextmanager
    async def serving(nats_url: str) -> AsyncIterator[Platform]:
        async with AsyncExitStack() as stack:
            settings = BusSettings(nats_url=nats_url, nats_inbox_prefix=TEST_INBOXES)
            nc = await connect(settings, name="test", wait_seconds=10)
            stack.push_async_callback(nc.close)
            await bootstrap(nc.jetstream())
            common: dict[str, Any] = {"nats_url": nats_url, "token_key_file": tokens.key_file, "drain_seconds": 2}
            databases = []
            for name, migrations in (("registry", registry_app.MIGRATIONS), ("publisher", publisher_app.MIGRATIONS)):
                database = Database.open(f"sqlite+aiosqlite:///{tmp_path / name}.db")
                stack.push_async_callback(database.close)
                await upgrade(database, migrations)
                databases.append(database)
            common["database_url"] = "sqlite+aiosqlite://"
            services = (
                registry_app.build(RegistrySettings(**common), databases[0]),
                publisher_app.build(PublisherSettings(**common, service_token_file=service_token), databases[1]),
            )
            for service in services:
                await service.start()
                stack.push_async_callback(service.drain_and_stop)
            await StandInExecutor(nc).serve()
            yield Platform(nc, tokens, upstream.url("").rstrip("/"))

    return serving
