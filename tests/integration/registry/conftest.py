"""The registry over a real database and a real NATS, commanded over the bus."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from pydantic import BaseModel

from services.registry.app import MIGRATIONS, build
from services.registry.settings import RegistrySettings
from services.registry.store import SqlStore
from shared.contracts import commands, subjects
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.messaging.client import command, request
from shared.messaging.connection import BusClient
from shared.persistence.engine import Database
from shared.security.principals import Role
from tests.support.connectors import document
from tests.support.processes import ManagedProcess
from tests.support.tokens import Tokens

M = TypeVar("M", bound=BaseModel)

REPOSITORY = Path(__file__).parents[3]
TIMEOUT = 20.0


@dataclass(frozen=True)
class Person:
    """Someone who commands the registry; `enterprise` is the subject's."""

    nc: BusClient
    token: str
    enterprise: str

    async def ask(self, what: str, body: BaseModel | dict[str, object], answer: type[M]) -> M:
        """Send `<noun>.<verb>`, and read the answer."""
        noun, verb = what.split(".")
        subject = subjects.registry(self.enterprise, noun, verb)
        return await command(self.nc, subject, body, answer, token=self.token, timeout=TIMEOUT, request_id="r-1")

    async def refused(self, what: str, body: bytes | BaseModel | dict[str, object]) -> DibopError:
        """Send `<noun>.<verb>`, which must be refused."""
        noun, verb = what.split(".")
        subject = subjects.registry(self.enterprise, noun, verb)
        with pytest.raises(DibopError) as refusal:
            await request(self.nc, subject, body, token=self.token, timeout=TIMEOUT)
        return refusal.value

    async def save(
        self, slug: str = "weather", base_revision: int | None = None, **changes: object
    ) -> commands.DraftSaved:
        saving = commands.SaveDraft(slug=slug, document=document(slug, **changes), base_revision=base_revision)
        return await self.ask("draft.save", saving, commands.DraftSaved)

    async def audit(self, **query: object) -> list[commands.AuditEntry]:
        return (await self.ask("audit.list", dict(query), commands.AuditPage)).entries


class People:
    """Everyone whom the tests need."""

    def __init__(self, nc: BusClient, tokens: Tokens) -> None:
        def person(name: str, home: str, role: Role, enterprise: str | None = None) -> Person:
            return Person(nc, tokens.issue(name, home, role), enterprise or home)

        self.author = person("ada", "acme", Role.ENTERPRISE_ADMIN_SDK)
        self.colleague = person("bob", "acme", Role.ENTERPRISE_ADMIN_SDK)
        self.admin = person("kim", "acme", Role.ENTERPRISE_ADMIN)
        self.viewer = person("vic", "acme", Role.VIEWER)
        self.stranger = person("eve", "other", Role.ENTERPRISE_ADMIN_SDK, "acme")
        self.platform = person("pat", "platform", Role.PLATFORM_ADMIN)
        self.publisher = person("publisher", "platform", Role.PUBLISHER, "acme")
        self.catalogue_publisher = person("publisher", "platform", Role.PUBLISHER)

    async def publish(self, saved: commands.DraftSaved, version: str = "1.0.0") -> commands.VersionAdded:
        """Add a version of what was saved."""
        own = saved.owner != "platform"
        adding = commands.AddVersion(
            publication_id=f"{saved.owner}-{saved.slug}-{version}",
            slug=saved.slug,
            version=version,
            digest=saved.digest,
            scope="enterprise" if own else "catalogue",
            revision=saved.revision,
            actor="ada" if own else "pat",
        )
        publisher = self.publisher if own else self.catalogue_publisher
        return await publisher.ask("version.add", adding, commands.VersionAdded)


@pytest.fixture
def people(nc: BusClient, tokens: Tokens) -> People:
    return People(nc, tokens)


@pytest.fixture
def migrations() -> Path:
    return MIGRATIONS


@pytest.fixture
def store(migrated: Database) -> SqlStore:
    return SqlStore(migrated)


@pytest.fixture
async def registry(
    nats_url: str, js: JetStreamContext, database_url: str, migrated: Database, tokens: Tokens
) -> AsyncIterator[Database]:
    """A registry that serves, in this process; its database."""
    settings = RegistrySettings(nats_url=nats_url, database_url=database_url, token_key_file=tokens.key_file)
    service = build(settings, migrated)
    await service.start()
    yield migrated
    await service.drain_and_stop()


StartRegistry = Callable[[], ManagedProcess]


@pytest.fixture
def start_registry(
    nats_url: str, js: JetStreamContext, database_url: str, tokens: Tokens, tmp_path: Path
) -> Iterator[StartRegistry]:
    """Starts the registry as a process of its own, over the same database each time."""
    started: list[ManagedProcess] = []

    def start() -> ManagedProcess:
        process = ManagedProcess(
            [sys.executable, "-m", "services.registry"],
            log=tmp_path / f"registry-{len(started)}.log",
            ready=lambda: '"event": "Ready"' in process.output,
            environment={
                "DIBOP_NATS_URL": nats_url,
                "DIBOP_DATABASE_URL": database_url,
                "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
            },
            cwd=REPOSITORY,
        )
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


async def projected(js: JetStreamContext, key: str) -> ConnectionEntry:
    """The connection as executors see it; KeyNotFoundError where they see none."""
    kv = await js.key_value(subjects.CONNECTIONS_BUCKET)
    return msgspec.json.decode((await kv.get(key)).value or b"", type=ConnectionEntry)


async def all_heard(js: JetStreamContext) -> bool:
    """Whether the registry is done with everything that was told of enterprises; something was."""
    try:
        last = await js.get_last_msg(subjects.EVENTS_STREAM, subjects.ENTERPRISE_EVENTS_PATTERN)
        reader = await js.consumer_info(subjects.EVENTS_STREAM, subjects.REGISTRY_CONSUMER)
    except NotFoundError:
        return False
    return reader.ack_floor is not None and reader.ack_floor.stream_seq >= (last.seq or 0)
