"""What connections follow and have consented to: on a real bus, database and executor, before two real hosts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.js import JetStreamContext

from services.executor.settings import ExecutorSettings
from shared.contracts import commands as c
from shared.contracts import subjects
from shared.contracts.errors import ERROR_CODE_HEADER, DibopError
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.contracts.template import origin_of
from shared.files import write_private
from shared.messaging.client import command
from shared.messaging.connection import BusClient
from shared.security.principals import Role
from shared.security.sealing import KeyRing, SealContext
from tests.integration.registry.conftest import People, projected
from tests.support.connectors import operation
from tests.support.executors import executors
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

SLUG = "weather"
NOW: dict[str, Any] = {"operations": [operation("now", path="/json", parameters=[])]}
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where the database makes no difference."""
KEY: dict[str, Any] = {"label": "API key", "type": "password", "required": True, "sensitive": True}


class World:
    """A registry and an executor, a connector that moves from one host to another, and connections to it."""

    def __init__(self, people: People, js: JetStreamContext, nc: BusClient, tokens: Tokens) -> None:
        self.people = people
        self.js = js
        self.nc = nc
        self.tokens = tokens
        self.ring = KeyRing.generate()
        self.old = FaultServer()
        self.new = FaultServer()
        self._revision = 0

    async def publish(self, version: str, host: FaultServer, **changes: Any) -> None:
        """As the publisher does: the version at the registry, then the catalogue."""
        base = host.url("").rstrip("/")
        saved = await self.people.author.save(SLUG, self._revision or None, base_url=base, **(NOW | changes))
        self._revision = saved.revision
        added = await self.people.publish(saved, version)
        versions = [CatalogueVersion(**each.model_dump()) for each in added.versions]
        entry = CatalogueEntry(added.slug, added.owner, added.generation, versions)
        kv = await self.js.key_value(subjects.CATALOGUE_BUCKET)
        await kv.put(added.key, msgspec.json.encode(entry))

    def given(self, secret: str, host: FaultServer, identifier: str | None = None, **more: str) -> dict[str, Any]:
        identifier, origin = identifier or str(uuid.uuid4()), origin_of(host.url(""))
        context = SealContext("connection", "acme", "acme", SLUG, identifier, origin)
        key = self.ring.sealing_key
        sealed = key.seal_all({"api_key": secret, **more}, context)
        return {"connector": SLUG, "id": identifier, "origin": origin, "kid": key.kid, "sealed": sealed}

    async def connect(self, name: str = "default", secret: str = "key-of-the-old-host") -> c.Connection:
        body = c.CreateConnection(**self.given(secret, self.old), owner="acme", name=name)
        return await self.people.admin.ask("connection.create", body, c.Connection)

    async def show(self, name: str | None = None) -> c.Connection:
        return await self.people.admin.ask("connection.show", c.ShowConnection(connector=SLUG, name=name), c.Connection)

    async def update(self, name: str = "default", **changes: Any) -> c.Connection:
        generation = (await self.show(name)).generation
        body = {"connector": SLUG, "name": name, "generation": generation, **changes}
        return await self.people.admin.ask("connection.update", body, c.Connection)

    async def consent(self, version: str, role: Role = Role.ENTERPRISE_ADMIN, home: str = "acme") -> c.Consented:
        body = c.ConsentConnection(connector=SLUG, version=version)
        subject = subjects.executor("acme", "connection", "consent")
        token = self.tokens.issue("kim", home, role)
        return await command(self.nc, subject, body, c.Consented, token=token, timeout=20)

    async def refused_consent(self, version: str, *who: Any) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.consent(version, *who)
        return caught.value

    async def execute(self, **headers: str) -> str:
        """The version that ran, or the error's code."""
        reply = await self.nc.request(subjects.execute("acme", SLUG, "now"), b"{}", timeout=20, headers=headers or None)
        body = msgspec.json.decode(reply.data)
        failed = reply.headers is not None and ERROR_CODE_HEADER in reply.headers
        return str(body["type"]).rpartition(":")[2] if failed else str(body["version"])

    async def runs(self, version: str, **headers: str) -> None:
        """Wait until an execution without more ado runs this version: the executor has heard of the change then."""

        async def there() -> bool:
            return await self.execute(**headers) == version

        await eventually(there, what=f"an execution of {version}")


@pytest.fixture
async def world(
    people: People, registry: object, js: JetStreamContext, nc: BusClient, tokens: Tokens,
    nats_url: str, redis_url: str, tmp_path: Path,
) -> AsyncIterator[World]:  # fmt: skip
    made = World(people, js, nc, tokens)
    write_private(tmp_path / "ring.json", made.ring.dump())
    (tmp_path / "executor.token").write_text(tokens.issue("executor", "platform", Role.EXECUTOR))
    async with made.old, made.new:
        settings = ExecutorSettings(
            nats_url=nats_url,
            redis_url=redis_url,
            egress_allow=f"{made.old.authority},{made.new.authority}",
            seal_keyring_file=tmp_path / "ring.json",
            service_token_file=tmp_path / "executor.token",
            token_key_file=tokens.key_file,
            drain_seconds=2,
        )
        async with executors(settings) as start:
            await start()
            yield made


def secrets_at(host: FaultServer) -> set[str]:
    return {arrival.headers.get("x-api-key", "") for arrival in host.arrivals}


async def test_no_credential_goes_to_another_host_before_its_owner_has_consented(world: World) -> None:
    await world.publish("1.0.0", world.old)
    made = await world.connect()
    await world.publish("2.0.0", world.new)

    updated = await world.update(version_policy="^2")
    await world.runs("1.0.0")

    assert updated.consent_needed is not None
    assert updated.consent_needed.version == "2.0.0"
    old, new = origin_of(world.old.url("")), origin_of(world.new.url(""))
    assert updated.consent_needed.changes == [f"host: {old} becomes {new}"]
    assert await world.execute(**{"Dibop-Version": "2.0.0"}) == "credentials-rejected"
    assert not world.new.arrivals
    for who in ((Role.VIEWER,), (Role.SERVICE,), (Role.ENTERPRISE_ADMIN, "globex"), (Role.PLATFORM_ADMIN, "platform")):
        assert (await world.refused_consent("2.0.0", *who)).code == "forbidden"

    consented = await world.consent("2.0.0")
    await world.runs("2.0.0")

    assert (consented.origin, consented.changes) == (new, updated.consent_needed.changes)
    assert secrets_at(world.new) == {"key-of-the-old-host"}
    shown = await world.show()
    assert (shown.id, shown.consent_needed, shown.fields) == (made.id, None, made.fields)
    assert shown.consent is not None
    assert (shown.consent.version, shown.consent.by) == ("2.0.0", "kim")
    entry = (await world.people.admin.audit(noun="connection"))[0]
    assert (entry.action, entry.actor) == ("connection.consent", "kim")
    assert (entry.details["version_before"], entry.details["origin_before"]) == ("1.0.0", old)
    subject = f"evt.v1.acme.connection.{made.id}.consented"
    told = await eventually(lambda: _told(world.js, subject))
    assert told["changes"] == consented.changes


async def _told(js: JetStreamContext, subject: str) -> dict[str, Any] | None:
    info = await js.stream_info("EVENTS", subjects_filter=subject)
    if not info.state.subjects:
        return None
    return msgspec.json.decode((await js.get_last_msg("EVENTS", subject, direct=True)).data or b"{}")  # type: ignore[no-any-return]


@one_database
async def test_the_old_ciphertext_opens_nowhere_else(world: World) -> None:
    """Whoever stores ciphertexts cannot send them elsewhere, whatever they write into the projection."""
    await world.publish("1.0.0", world.old)
    await world.connect()
    await world.publish("2.0.0", world.new)
    kept = await projected(world.js, "acme.weather.default")
    forged = msgspec.structs.replace(
        kept, version_policy="^2", terms="", origin=origin_of(world.new.url("")), generation=kept.generation + 9
    )
    kv = await world.js.key_value(subjects.CONNECTIONS_BUCKET)
    await kv.put("acme.weather.default", msgspec.json.encode(forged))

    await world.runs("credentials-rejected")
    assert not world.new.arrivals


@one_database
async def test_of_a_consent_and_a_rotation_at_once_none_is_lost(world: World) -> None:
    await world.publish("1.0.0", world.old)
    made = await world.connect()
    await world.publish("2.0.0", world.new)
    await world.update(version_policy="^2")
    rotation = c.RotateConnection(**world.given("key-of-the-new-host", world.new, made.id))

    outcomes = await asyncio.gather(
        world.consent("2.0.0"),
        world.people.admin.ask("connection.rotate", rotation, c.Connection),
        return_exceptions=True,
    )

    assert {each.code for each in outcomes if isinstance(each, DibopError)} <= {"conflict"}
    assert any(not isinstance(each, BaseException) for each in outcomes)
    await world.runs("2.0.0")
    if isinstance(outcomes[1], c.Connection):
        assert (await projected(world.js, "acme.weather.default")).sealed == rotation.sealed
    late = c.RecordConsent(
        **world.given("late", world.new, made.id), name="default", generation=1, version="2.0.0", actor="kim"
    )
    executor = world.tokens.issue("executor", "platform", Role.EXECUTOR)
    with pytest.raises(DibopError) as caught:
        await command(
            world.nc, subjects.registry("acme", "connection", "consent"), late, c.ConsentRecorded,
            token=executor, timeout=20,
        )  # fmt: skip
    assert caught.value.code == "conflict"


@one_database
async def test_where_other_credentials_are_asked_for_rotating_is_the_way_and_consents(world: World) -> None:
    await world.publish("1.0.0", world.old)
    made = await world.connect()
    await world.publish(
        "2.0.0", world.new, credential_schema={"api_key": KEY, "pin": KEY | {"label": "PIN"}}, header_name="X-Token"
    )
    needed = (await world.update(version_policy="^2")).consent_needed
    assert needed is not None
    assert "header: X-API-Key becomes X-Token" in needed.changes

    refusal = await world.refused_consent("2.0.0")
    assert (refusal.code, [each["name"] for each in refusal.errors]) == ("conflict", ["pin"])
    assert "connection rotate" in refusal.detail

    rotation = c.RotateConnection(**world.given("key-of-the-new-host", world.new, made.id, pin="1234"))
    rotated = await world.people.admin.ask("connection.rotate", rotation, c.Connection)
    await world.runs("2.0.0")
    assert rotated.consent is not None
    assert rotated.consent.version == "2.0.0"
    assert (await world.show()).consent_needed is None


@one_database
async def test_versions_on_the_same_terms_are_taken_up_without_more_ado(world: World) -> None:
    await world.publish("1.0.0", world.old)
    await world.connect()
    await world.publish("1.1.0", world.old, description="Better.")
    await world.runs("1.1.0")
    await world.publish("2.0.0", world.old, description="Best.")
    updated = await world.update(version_policy="^2")
    await world.runs("2.0.0")
    assert updated.consent_needed is None
    assert (await world.refused_consent("1.1.0")).code == "conflict"


async def test_the_default_runs_where_none_is_named(world: World) -> None:
    await world.publish("1.0.0", world.old)
    for name in ("production", "sandbox"):
        await world.connect(name, f"key-of-{name}")
    assert await world.execute() == "connection-required"

    assert (await world.update("sandbox", default=True)).default
    await world.runs("1.0.0")
    assert secrets_at(world.old) == {"key-of-sandbox"}
    made = await world.update("production", default=True)

    assert [(each.name, each.default) for each in await _listed(world)] == [("production", True), ("sandbox", False)]
    assert (await world.show()).name == "production"

    async def moved() -> bool:
        await world.execute()
        return "key-of-production" in secrets_at(world.old)

    await eventually(moved)
    stale = {"connector": SLUG, "name": "production", "generation": made.generation - 1, "version_policy": "1.0.0"}
    assert (await world.people.admin.refused("connection.update", stale)).code == "conflict"
    assert (await world.people.viewer.refused("connection.update", stale)).code == "forbidden"
    await world.people.admin.ask(
        "connection.delete", c.DeleteConnection(connector=SLUG, name="production"), c.ConnectionDeleted
    )
    await world.runs("connection-required")


async def _listed(world: World) -> list[c.Connection]:
    return (await world.people.admin.ask("connection.list", c.ListConnections(), c.ConnectionPage)).connections


async def test_what_a_connection_stays_with_is_not_retired_under_it(world: World) -> None:
    await world.publish("1.0.0", world.old)
    await world.connect()
    await world.publish("2.0.0", world.new)
    await world.update(version_policy="^2")
    for state in ("unpublished", "retired"):
        body = c.SetVersionState(move_id=str(uuid.uuid4()), slug=SLUG, versions=["1.0.0"], state=state, actor="ada")
        if state == "retired":
            assert "1 connection" in (await world.people.publisher.refused("version.set-state", body)).detail
        else:
            await world.people.publisher.ask("version.set-state", body, c.VersionStateSet)
