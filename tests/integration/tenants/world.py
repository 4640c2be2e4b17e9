"""Two tenants on one set of services: what one of them has, and all that the other may try on it."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa

from services.executor.app import Executor
from services.executor.control.commands import COMMANDS
from services.executor.settings import ExecutorSettings
from services.publisher import app as publisher_app
from services.publisher import bus as publisher_bus
from services.publisher.settings import PublisherSettings
from services.publisher.store import tables as publisher_tables
from services.registry import app as registry_app
from services.registry import bus as registry_bus
from services.registry.settings import RegistrySettings
from services.registry.store import tables as registry_tables
from shared.contracts import subjects
from shared.contracts.errors import ERROR_CODE_HEADER
from shared.contracts.execution import AUTHORIZATION_HEADER
from shared.files import write_private
from shared.messaging.bootstrap import bootstrap, key_value_stream, stream_configs
from shared.messaging.connection import BusClient, connect
from shared.messaging.service import CommandService
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade
from shared.persistence.tenancy import across_tenants, tenant_column
from shared.security.principals import Role
from shared.security.sealing import KeyRing, SealContext
from shared.settings import BusSettings
from tests.support.connectors import document, operation
from tests.support.inboxes import TEST_INBOXES
from tests.support.polling import eventually
from tests.support.tokens import Tokens

VICTIM: Final = "acme"
STRANGER: Final = "globex"
"""The one who has a NATS user; where only tokens count, each try is a stranger of its own."""
OFFERED: Final = "common-weather"
"""A connector that the catalogue offers to all."""
SECRET: Final = "correct-horse-battery-staple"
API_KEY: Final = {"label": "API key", "type": "password", "required": True, "sensitive": True}
TIMEOUT: Final = 20.0
_SERVICES: Final = (Role.PUBLISHER, Role.EXECUTOR)
_TABLES: Final = (registry_tables.metadata, publisher_tables.metadata)
_CHANGING: Final = re.compile(r'"(?:request_id|saved_at|published_at|created_at|at|expires_at|run_id|id)": "[^"]*"')


@dataclass(frozen=True)
class Things:
    """Names and ids of what a tenant has. A command's body names them."""

    owner: str
    slug: str
    operation: str
    connection: str
    connection_id: str
    session_id: str
    digest: str
    publication_id: str
    person: str
    kid: str
    audit_id: int
    consumer: str
    review_id: str
    run_id: str
    version: str = "1.0.0"

    def blanked(self, text: str) -> str:
        """`text` with each of these names as what it is the name of."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "version"}
        for name, value in sorted(named.items(), key=lambda item: -len(str(item[1]))):
            text = text.replace(value, f"<{name}>") if isinstance(value, str) else text
        return text


NOTHING: Final = Things(
    owner="umbrella",
    slug="quince-nothing",
    operation="vanish",
    connection="nowhere-branch",
    connection_id=str(uuid.uuid4()),
    session_id=str(uuid.uuid4()),
    digest="sha256:" + "0" * 64,
    publication_id=str(uuid.uuid4()),
    person="nobody-at-all",
    kid="never-made",
    audit_id=2**40,
    consumer="heard-of-nowhere",
    review_id=str(uuid.uuid4()),
    run_id=str(uuid.uuid4()),
)


@dataclass(frozen=True)
class Answer:
    """What came back: an error's code or `ok`, and the body without what differs each time."""

    code: str
    body: str


class NatsUsers(Protocol):
    """How a server is reached as one of its users: of a service, or as the client of an enterprise."""

    def of(self, name: str) -> dict[str, Any]:
        """Settings for BusSettings and what inherits from it."""
        ...


class AnyUser:
    """A server that asks for no credentials: everybody may everything, and the services alone stand guard."""

    def __init__(self, url: str) -> None:
        self._url = url

    def of(self, name: str) -> dict[str, Any]:
        services = ("registry", "publisher", "executor")
        return {"nats_url": self._url, "nats_inbox_prefix": f"_INBOX.svc.{name}" if name in services else TEST_INBOXES}


class World:
    """Registry, publisher and one executor over one bus, and the victim's things.

    Requests are sent as the user `console`, who may speak for people of every enterprise.
    """

    def __init__(
        self,
        users: Mapping[str, BusClient],
        tokens: Tokens,
        ring: KeyRing,
        databases: tuple[Database, Database],
        upstream: str,
    ) -> None:
        self.users = users
        self.tokens = tokens
        self.ring = ring
        self._databases = databases
        self.upstream = upstream
        self.things = cast("Things", None)
        self.document: dict[str, Any] = {}

    def token(self, enterprise: str, *roles: Role, subject: str = "eve") -> str:
        return self.tokens.issue(subject, enterprise, *roles)

    async def ask(
        self,
        plane: str,
        enterprise: str,
        command: str,
        body: Mapping[str, Any] | bytes,
        token: str | None,
        headers: Mapping[str, str] | None = None,
        *,
        user: str = "console",
    ) -> Answer:
        """Send one request; what it is answered."""
        code, content = await self.asked(plane, enterprise, command, body, token, headers, user=user)
        return Answer(code, _CHANGING.sub('"": ""', json.dumps(content, ensure_ascii=False)))

    async def asked(
        self,
        plane: str,
        enterprise: str,
        command: str,
        body: Mapping[str, Any] | bytes,
        token: str | None,
        headers: Mapping[str, str] | None = None,
        *,
        user: str = "console",
    ) -> tuple[str, Any]:
        sent = dict(headers or {})
        if token is not None:
            sent[AUTHORIZATION_HEADER] = f"Bearer {token}"
        reply = await self.users[user].request(
            f"{plane}.v1.{enterprise}.{command}",
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            timeout=TIMEOUT,
            headers=sent,
        )
        content = json.loads(reply.data)
        failed = reply.headers is not None and ERROR_CODE_HEADER in reply.headers
        return content["type"].removeprefix("urn:dibop:error:") if failed else "ok", content

    async def must(self, plane: str, enterprise: str, command: str, body: Mapping[str, Any], token: str) -> Any:
        """The same, which has to succeed."""
        answer = await self.ask(plane, enterprise, command, body, token)
        assert answer.code == "ok", answer
        return json.loads(answer.body)

    async def tested(self, enterprise: str, command: Mapping[str, Any], token: str) -> Any:
        """A whole test run."""
        code, started = await self.asked("publisher", enterprise, "test.start", command, token)
        assert code == "ok", started
        wanted = {"run_id": started["run_id"]}

        async def ended() -> Any:
            _, run = await self.asked("publisher", enterprise, "test.show", wanted, token)
            return None if run["state"] == "running" else run

        return await eventually(ended)

    async def furnish(self) -> None:
        """Give the victim a connector of its own with a version, a connection, test credentials, and a past."""
        author = self.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK, subject="ada-lovelace")
        slug, session, connection = "plum-secret-shop", str(uuid.uuid4()), str(uuid.uuid4())
        self.document = made = document(
            slug,
            name="Plum Secret Shop",
            base_url=self.upstream,
            credential_schema={"api_key": API_KEY},
            operations=[operation("harvest", sample={"q": "x"}, path="/json")],
            resilience={"rate_limit_per_minute": 0, "max_retries": 0},
        )
        saved = await self.must("registry", VICTIM, "draft.save", {"slug": slug, "document": made}, author)
        session_body = self.credentials("test", slug, session)
        await self.must("registry", VICTIM, "test-credentials.save", session_body, author)
        run = {"slug": slug, "operations": ["harvest"], "credentials_id": session}
        report = await self.tested(VICTIM, run, author)
        assert report["state"] == "passed", report
        await self.must("publisher", VICTIM, "connector.publish", {"slug": slug, "scope": "enterprise"}, author)
        asking = {"slug": slug, "scope": "catalogue"}
        asked = await self.must("publisher", VICTIM, "connector.publish", asking, author)
        body = self.credentials("connection", slug, connection)
        created = {**body, "owner": VICTIM, "name": "north-branch"}
        await self.must("registry", VICTIM, "connection.create", created, author)
        await self.must("registry", VICTIM, "consumer.create", {"name": "ledger-reader"}, author)
        call = {"parameters": {"q": "x"}}
        done = await self.ask("exec", VICTIM, f"{slug}.harvest", call, None, self.north, user=VICTIM)
        assert done.code == "ok", done
        await self._offer()
        await eventually(self._has_told_of_its_use)
        registry, publisher = self._databases
        async with registry.read() as connected:
            newest = await connected.scalar(
                sa.select(sa.func.max(registry_tables.audit.c.id)).where(registry_tables.audit.c.enterprise == VICTIM)
            )
        async with publisher.read() as connected:
            table = publisher_tables.moves
            publication = await connected.scalar(sa.select(table.c.id).where(table.c.owner == VICTIM))
        self.things = Things(
            owner=VICTIM,
            slug=slug,
            operation="harvest",
            connection="north-branch",
            connection_id=connection,
            session_id=session,
            digest=saved["digest"],
            publication_id=publication or "",
            person="ada-lovelace",
            kid=self.ring.active,
            audit_id=newest or 0,
            consumer="ledger-reader",
            review_id=asked["review"],
            run_id=report["run_id"],
        )

    async def _has_told_of_its_use(self) -> bool:
        """True once the executor's audit entry is there, which comes by itself after the execution."""
        admin = self.token(VICTIM, Role.ENTERPRISE_ADMIN)
        entries = (await self.must("registry", VICTIM, "audit.list", {}, admin))["entries"]
        return any(entry["action"] == "connection.use" for entry in entries)

    async def _offer(self) -> None:
        """A connector of the catalogue, to which the victim has a connection of its own."""
        admin = self.token("platform", Role.PLATFORM_ADMIN, subject="pat")
        made = document(
            OFFERED,
            base_url=self.upstream,
            auth_type="none",
            credential_schema={"account": {"label": "Account", "required": False}},
            operations=[operation("look", sample={"q": "x"}, path="/json")],
        )
        await self.must("registry", "platform", "draft.save", {"slug": OFFERED, "document": made}, admin)
        await self.tested("platform", {"slug": OFFERED}, admin)
        body = {"slug": OFFERED, "scope": "catalogue"}
        await self.must("publisher", "platform", "connector.publish", body, admin)
        created = {
            "connector": OFFERED,
            "id": str(uuid.uuid4()),
            "owner": "platform",
            "name": "north-branch",
            "origin": self.upstream,
        }
        author = self.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK)
        await self.must("registry", VICTIM, "connection.create", created, author)

    @property
    def north(self) -> dict[str, str]:
        return {"Dibop-Connection": "north-branch"}

    def credentials(self, use: str, slug: str, identifier: str, enterprise: str = VICTIM) -> dict[str, Any]:
        """Sealed credentials for the victim's connector, as its own client seals them."""
        context = SealContext(cast("Any", use), enterprise, enterprise, slug, identifier, self.upstream)
        return {
            "connector": slug,
            "id": identifier,
            "origin": self.upstream,
            "kid": self.ring.active,
            "sealed": self.ring.sealing_key.seal_all({"api_key": SECRET}, context),
        }

    async def belongings(self) -> dict[str, Any]:
        """All rows and entries of the victim: what no other tenant may change."""
        found: dict[str, Any] = {}
        for database, metadata in zip(self._databases, _TABLES, strict=True):
            async with database.read() as connection:
                for table in metadata.tables.values():
                    column = tenant_column(table)
                    if column is not None and table.name != "calls":  # which tells of refusals, too
                        query = across_tenants(sa.select(table).where(table.c[column] == VICTIM))
                        found[table.name] = sorted(map(repr, await connection.execute(query)))
        js = self.users["operator"].jetstream()
        for bucket in (subjects.CATALOGUE_BUCKET, subjects.CONNECTIONS_BUCKET):
            kv = await js.key_value(bucket)
            prefix = f"$KV.{bucket}."
            info = await js.stream_info(key_value_stream(bucket), subjects_filter=f"{prefix}{VICTIM}.>")
            for subject in info.state.subjects or {}:
                found[subject] = (await kv.get(subject.removeprefix(prefix))).value
        assert len([name for name in found if name.startswith("$KV")]) == 3
        return found

    def revealed(self, answer: Answer, sent: Mapping[str, Any] | bytes | str) -> list[str]:
        """Names and secrets of the victim in an answer to somebody else who did not send them along."""
        text = sent.decode() if isinstance(sent, bytes) else json.dumps(sent)
        known = [str(getattr(self.things, field.name)) for field in fields(self.things)]
        words = {SECRET, "Plum Secret Shop", *(word for word in known if len(word) > 5)}
        return sorted(word for word in words if word in answer.body and word not in text)


def registry_commands() -> list[str]:
    """`<noun>.<verb>` of all that the registry answers, from the registry itself."""
    return _commands_of("registry")


def publisher_commands() -> list[str]:
    return _commands_of("publisher")


def executor_commands() -> list[str]:
    return sorted(COMMANDS)


def _commands_of(name: str) -> list[str]:
    """Registered as the service does it, without a connection."""
    nothing = cast("Any", None)
    service = CommandService(name, RegistrySettings(database_url="sqlite+aiosqlite://"), nothing, "0")
    if name == "registry":
        registry_bus.serve(service, nothing, nothing, nothing, nothing)
    else:
        publisher_bus.serve(service, PublisherSettings(**_NEEDED), nothing, nothing, nothing)
    return sorted(service.commands)


_NEEDED: Final[dict[str, Any]] = {"database_url": "sqlite+aiosqlite://", "service_token_file": Path("none")}


@contextlib.asynccontextmanager
async def served(
    users: NatsUsers, redis_url: str, upstream: str, tokens: Tokens, directory: Path, *, also_allowed: str = ""
) -> AsyncIterator[World]:
    """The world, furnished, as long as the block lasts. `also_allowed` is one more host:port that may be called."""
    ring = KeyRing.generate()
    write_private(directory / "ring.json", ring.dump())
    for role in _SERVICES:
        (directory / f"{role}.token").write_text(tokens.issue(role.value, "platform", role))
    common: dict[str, Any] = {"token_key_file": tokens.key_file, "drain_seconds": 2}
    async with contextlib.AsyncExitStack() as stack:
        connections = {}
        for name in ("operator", "console", VICTIM, STRANGER):
            connections[name] = nc = await connect(BusSettings(**users.of(name)), name=name, wait_seconds=10)
            stack.push_async_callback(nc.close)
        await bootstrap(connections["operator"].jetstream())
        stack.push_async_callback(_emptied, connections["operator"])
        databases = []
        for name, migrations in (("registry", registry_app.MIGRATIONS), ("publisher", publisher_app.MIGRATIONS)):
            database = Database.open(f"sqlite+aiosqlite:///{directory / name}.db")
            stack.push_async_callback(database.close)
            await upgrade(database, migrations)
            databases.append(database)
        settings = {**common, "database_url": "sqlite+aiosqlite://"}
        registry = registry_app.build(RegistrySettings(**settings, **users.of("registry")), databases[0])
        publisher = publisher_app.build(
            PublisherSettings(**settings, **users.of("publisher"), service_token_file=directory / "publisher.token"),
            databases[1],
        )
        executor = Executor(
            ExecutorSettings(
                **common,
                **users.of("executor"),
                redis_url=redis_url,
                seal_keyring_file=directory / "ring.json",
                service_token_file=directory / "executor.token",
                egress_allow=f"{upstream.removeprefix('http://')},{also_allowed}",
            )
        )
        for service in (registry, publisher, executor):
            await service.start()
            stack.push_async_callback(service.drain_and_stop)
        world = World(connections, tokens, ring, (databases[0], databases[1]), upstream)
        await world.furnish()
        yield world


async def _emptied(nc: BusClient) -> None:
    for config in stream_configs():
        await nc.jetstream().purge_stream(str(config.name))
