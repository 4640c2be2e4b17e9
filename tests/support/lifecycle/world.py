"""Registry and publisher in this process, over a NATS and databases of their own, and all that can be seen of them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError

from services.publisher import app as publisher_app
from services.publisher.settings import PublisherSettings
from services.publisher.store.tables import audit_queue
from services.registry import app as registry_app
from services.registry.settings import RegistrySettings
from services.registry.store.tables import audit
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.subjects import EVENTS_STREAM, REGISTRY_CONSUMER
from shared.messaging.bootstrap import bootstrap
from shared.messaging.client import request
from shared.messaging.connection import BusClient, connect
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade
from shared.persistence.outbox import outbox
from shared.persistence.tenancy import across_tenants
from shared.security.principals import Role
from shared.settings import BusSettings
from tests.support.inboxes import TEST_INBOXES
from tests.support.lifecycle.people import PLATFORM, Person
from tests.support.lifecycle.state import Logged
from tests.support.polling import eventually
from tests.support.stand_in_executor import StandInExecutor
from tests.support.tokens import Tokens

TIMEOUT: Final = 20.0
SERVICES: Final = ("registry", "publisher")
Answer = dict[str, Any]


@dataclass
class World:
    """What a history commands and looks at. `numbers` tell the histories apart, which share the services."""

    nc: BusClient
    tokens: Tokens
    registry: Database
    publisher: Database
    executor: StandInExecutor
    environments: Mapping[str, Mapping[str, str]]
    reviews_platform: bool
    numbers: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """How often which command was allowed, or refused."""
    _events: dict[int, Event] = field(default_factory=dict)
    _issued: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def events(self) -> list[Event]:
        """All that the stream EVENTS took, in its order; whatever is delivered twice stands there once."""
        return [event for _, event in sorted(self._events.items())]

    async def ask(
        self,
        person: Person,
        home: str,
        subject: str,
        body: Mapping[str, Any],
        timeout: float = TIMEOUT,  # noqa: ASYNC109
    ) -> Answer | DibopError:
        """What `person` of the enterprise `home` is answered, or refused with."""
        try:
            answer = await request(self.nc, subject, body, token=self.token(person, home), timeout=timeout)
        except DibopError as error:
            return error
        return msgspec.json.decode(answer, type=Answer)

    async def ended_test(self, person: Person, home: str, enterprise: str, run: str) -> Answer:
        """The run of tests at its end."""

        async def ended() -> Answer | None:
            shown = await self.ask(person, home, f"publisher.v1.{enterprise}.test.show", {"run_id": run})
            assert not isinstance(shown, DibopError), shown
            return None if shown["state"] == "running" else shown

        run_of_tests = await eventually(ended, timeout=30)
        assert run_of_tests is not None
        return run_of_tests

    def token(self, person: Person, home: str) -> str:
        if (person.name, home) not in self._issued:
            self._issued[person.name, home] = self.tokens.issue(person.name, home, person.role)
        return self._issued[person.name, home]

    async def entry(self, bucket: str, key: str) -> Answer | None:
        """What a bucket holds."""
        kv = await self.nc.jetstream().key_value(bucket)
        with contextlib.suppress(KeyNotFoundError):
            return msgspec.json.decode((await kv.get(key)).value or b"", type=Answer)
        return None

    async def keys(self, bucket: str) -> list[str]:
        kv = await self.nc.jetstream().key_value(bucket)
        return [key async for key in _keys(kv)]

    async def at_rest(self) -> None:
        """Return once nothing waits any more: no event, no audit entry, nothing to be heard."""
        await eventually(self._rests, timeout=30, what="nothing waits in an outbox")
        stored = (await self.nc.jetstream().stream_info(EVENTS_STREAM)).state.messages
        await eventually(lambda: len(self._events) == stored, what="every event has come")

    async def logged(self) -> list[Logged]:
        """The whole audit log."""
        columns = (audit.c.enterprise, audit.c.action, audit.c.identifier, audit.c.actor)
        async with self.registry.read() as connection:
            return [Logged(*row) for row in await connection.execute(across_tenants(sa.select(*columns)))]

    async def _rests(self) -> bool:
        waiting = 0
        for database, table in ((self.registry, outbox), (self.publisher, outbox), (self.publisher, audit_queue)):
            async with database.read() as connection:
                count = across_tenants(sa.select(sa.func.count()).select_from(table))
                waiting += await connection.scalar(count) or 0
        return not waiting and await self.has_heard()

    async def has_heard(self) -> bool:
        """Whether the registry has taken all that was told of enterprises."""
        heard = await self.nc.jetstream().consumer_info(EVENTS_STREAM, REGISTRY_CONSUMER)
        return not heard.num_pending and not heard.num_ack_pending

    async def note(self, message: Msg) -> None:
        self._events[message.metadata.sequence.stream] = Event.read(message.subject, message.headers, message.data)


async def _keys(kv: Any) -> AsyncIterator[str]:
    watcher = await kv.watchall(ignore_deletes=True, meta_only=True)
    async for entry in watcher:
        if entry is None:
            break
        yield entry.key
    await watcher.stop()


@contextlib.asynccontextmanager
async def watched(
    nats_url: str, tokens: Tokens, directory: Path, *, reviews_platform: bool = False
) -> AsyncIterator[World]:
    """A world in which no service runs yet: an empty NATS, the databases, and an executor."""
    async with contextlib.AsyncExitStack() as stack:
        bus = BusSettings(nats_url=nats_url, nats_inbox_prefix=TEST_INBOXES)
        nc = await connect(bus, name="random lives", wait_seconds=10)
        stack.push_async_callback(nc.close)
        await bootstrap(nc.jetstream())
        environments = _environments(nats_url, tokens, directory, reviews_platform=reviews_platform)
        registry = await _database(stack, environments["registry"], registry_app.MIGRATIONS)
        publisher = await _database(stack, environments["publisher"], publisher_app.MIGRATIONS)
        executor = StandInExecutor(nc)
        await executor.serve()
        made = World(nc, tokens, registry, publisher, executor, environments, reviews_platform)
        await nc.jetstream().subscribe("evt.v1.>", stream=EVENTS_STREAM, ordered_consumer=True, cb=made.note)
        yield made


@contextlib.asynccontextmanager
async def world(nats_url: str, tokens: Tokens, directory: Path, *, reviews_platform: bool) -> AsyncIterator[World]:
    """With registry and publisher in this process; with `reviews_platform` the platform's own drafts are reviewed."""
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(watched(nats_url, tokens, directory, reviews_platform=reviews_platform))
        registry = RegistrySettings(**_fields(made.environments["registry"]))
        publisher = PublisherSettings(**_fields(made.environments["publisher"]))
        for service in (
            registry_app.build(registry, made.registry),
            publisher_app.build(publisher, made.publisher),
        ):
            await service.start()
            stack.push_async_callback(service.drain_and_stop)
        yield made


def _environments(
    nats_url: str, tokens: Tokens, directory: Path, *, reviews_platform: bool
) -> dict[str, dict[str, str]]:
    """The settings of each service, as its process takes them."""
    token_file = directory / "publisher.token"
    token_file.write_text(tokens.issue("publisher", PLATFORM, Role.PUBLISHER))
    common = {"DIBOP_NATS_URL": nats_url, "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file)}
    made = {
        service: {**common, "DIBOP_DATABASE_URL": f"sqlite+aiosqlite:///{directory / service}.db"}
        for service in SERVICES
    }
    made["publisher"] |= {
        "DIBOP_SERVICE_TOKEN_FILE": str(token_file),
        "DIBOP_REVIEW_PLATFORM_DRAFTS": str(reviews_platform).lower(),
    }
    return made


def _fields(environment: Mapping[str, str]) -> dict[str, Any]:
    return {name.removeprefix("DIBOP_").lower(): value for name, value in environment.items()}


async def _database(stack: contextlib.AsyncExitStack, environment: Mapping[str, str], migrations: Path) -> Database:
    database = Database.open(environment["DIBOP_DATABASE_URL"])
    stack.push_async_callback(database.close)
    await upgrade(database, migrations)
    return database
