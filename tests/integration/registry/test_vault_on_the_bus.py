"""Rotation, stored tokens and resealing over the bus: compare-and-set, role by role, and what executors see of it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from nats.js import JetStreamContext

from shared.contracts import subjects
from shared.contracts.commands import (
    Connection,
    ConnectionDeleted,
    ConnectionResealed,
    DeleteConnection,
    ResealConnection,
    ResealedToken,
    RotateConnection,
    ShowConnection,
    StoreToken,
    TokenStored,
)
from shared.contracts.errors import DibopError
from shared.messaging.client import request
from shared.persistence.engine import Database
from shared.security.principals import Role
from shared.security.sealing import KeyRing, SealContext, masked_tail
from tests.integration.registry.conftest import TIMEOUT, People, Person, projected
from tests.support.connectors import ORIGIN, connection
from tests.support.polling import eventually
from tests.support.tokens import Tokens

KEY = "acme.weather.default"
SHOW = ShowConnection(connector="weather")
RING = KeyRing.generate()
OTHER_RING = KeyRing.generate()


@pytest.fixture
def executor(people: People, tokens: Tokens) -> Person:
    """The executors' principal, at work for acme."""
    return Person(people.admin.nc, tokens.issue("executor", "platform", Role.EXECUTOR), "acme")


@pytest.fixture
async def made(people: People, registry: object) -> Connection:
    await people.publish(await people.author.save())
    return await people.admin.ask("connection.create", connection(ring=RING), Connection)


def rotation(identifier: str, secret: str = "staple-battery-horse", ring: KeyRing = RING) -> RotateConnection:
    context = SealContext("connection", "acme", "acme", "weather", identifier, ORIGIN)
    return RotateConnection(
        connector="weather",
        id=identifier,
        origin=ORIGIN,
        kid=ring.active,
        sealed=ring.sealing_key.seal_all({"api_key": secret}, context),
        masked={"api_key": masked_tail(secret)},
    )


def token(identifier: str, expected: int, sealed: str = "c2VhbGVk", **changes: int) -> StoreToken:
    return StoreToken(
        connector="weather",
        name="default",
        id=identifier,
        expected=expected,
        kid=RING.active,
        sealed=sealed,
        scopes="read",
        **changes,
    )


async def test_executors_see_other_credentials_as_soon_as_it_is_answered(
    people: People, made: Connection, js: JetStreamContext
) -> None:
    command = rotation(made.id)

    rotated = await people.admin.ask("connection.rotate", command, Connection)

    entry = await projected(js, KEY)
    context = SealContext("connection", "acme", "acme", "weather", made.id, ORIGIN, "api_key")
    assert RING.open(entry.sealed["api_key"], context, entry.kid) == "staple-battery-horse"
    assert (entry.id, entry.generation, entry.credentials) == (made.id, 2, 2)
    assert (rotated.fields, rotated.rotated_by) == ({"api_key": "••••orse"}, "kim")
    assert await people.viewer.ask("connection.show", SHOW, Connection) == rotated
    again = await people.admin.ask("connection.rotate", command, Connection)
    assert (again, (await projected(js, KEY)).generation) == (rotated, 2)
    actions = [entry.action for entry in await people.admin.audit(noun="connection")]
    assert actions == ["connection.rotate", "connection.create"]

    async def told() -> bool:
        info = await js.stream_info("EVENTS", subjects_filter=f"evt.v1.acme.connection.{made.id}.rotated")
        return bool(info.state.subjects)

    await eventually(told, what="the event")


async def test_credentials_for_another_connection_are_refused(people: People, made: Connection) -> None:
    await people.admin.ask("connection.delete", DeleteConnection(connector="weather"), ConnectionDeleted)
    assert (await people.admin.refused("connection.rotate", rotation(made.id))).code == "not-found"

    await people.admin.ask("connection.create", connection(ring=RING), Connection)

    refused = await people.admin.refused("connection.rotate", rotation(made.id))
    assert (refused.code, made.id in refused.detail) == ("conflict", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://evil.example.com:443"},
        {"sealed": {}, "masked": {}},
        {"values": {"api_key": "plain"}, "sealed": {}, "masked": {}},
        {"masked": {"api_key": "horse"}},
        {"sealed": {"api_key": "c2hvcnQ="}},
    ],
)
async def test_a_rotation_that_does_not_fit_changes_nothing(
    people: People, made: Connection, js: JetStreamContext, changes: dict[str, object]
) -> None:
    before = await projected(js, KEY)

    refused = await people.admin.refused("connection.rotate", {**rotation(made.id).model_dump(), **changes})

    assert refused.code == "invalid-request"
    assert await projected(js, KEY) == before


async def test_a_token_is_stored_where_nobody_has_stored_one_since(
    people: People, executor: Person, made: Connection, js: JetStreamContext
) -> None:
    stored = await executor.ask("connection.store-token", token(made.id, 0), TokenStored)
    repeated = await executor.ask("connection.store-token", token(made.id, 0), TokenStored)
    late = await executor.refused("connection.store-token", token(made.id, 0, "b3RoZXI="))

    assert stored == repeated == TokenStored(generation=1)
    assert (late.code, "generation 1" in late.detail) == ("conflict", True)
    entry = await projected(js, KEY)
    assert entry.token is not None
    assert (entry.token.generation, entry.token.kid, entry.token.sealed) == (1, RING.active, "c2VhbGVk")
    assert (entry.generation, entry.credentials) == (2, 1)
    shown = await people.viewer.ask("connection.show", SHOW, Connection)
    assert shown.token is not None
    assert (shown.token.generation, shown.token.scopes) == (1, "read")
    assert "connection.store-token" in [entry.action for entry in await people.admin.audit(noun="connection")]


async def test_of_writers_at_once_one_stores_its_token(executor: Person, made: Connection) -> None:
    outcomes = await asyncio.gather(
        *(executor.ask("connection.store-token", token(made.id, 0, f"c2VhbGVk{n:04}"), TokenStored) for n in range(6)),
        return_exceptions=True,
    )

    assert [outcome for outcome in outcomes if isinstance(outcome, TokenStored)] == [TokenStored(generation=1)]
    assert {outcome.code for outcome in outcomes if isinstance(outcome, DibopError)} == {"conflict"}


async def test_a_rotation_drops_the_token_and_no_late_writer_brings_one_back(
    people: People, executor: Person, made: Connection, js: JetStreamContext
) -> None:
    await executor.ask("connection.store-token", token(made.id, 0), TokenStored)

    await people.admin.ask("connection.rotate", rotation(made.id), Connection)

    assert (await projected(js, KEY)).token is None
    assert (await executor.refused("connection.store-token", token(made.id, 1, "bGF0ZQ=="))).code == "conflict"
    with_old = token(made.id, 0, "bGF0ZQ==", credentials=1)
    assert (await executor.refused("connection.store-token", with_old)).code == "conflict"
    with_new = token(made.id, 0, "bmV3", credentials=2)
    assert await executor.ask("connection.store-token", with_new, TokenStored) == TokenStored(generation=2)


async def test_resealing_replaces_ciphertexts_and_nothing_else(
    people: People, executor: Person, made: Connection, js: JetStreamContext
) -> None:
    await executor.ask("connection.store-token", token(made.id, 0), TokenStored)
    before = await projected(js, KEY)
    again = rotation(made.id, "correct-horse-battery", OTHER_RING)
    command = ResealConnection(
        connector="weather",
        name="default",
        id=made.id,
        generation=before.generation,
        kid=OTHER_RING.active,
        sealed=again.sealed,
        token=ResealedToken(kid=OTHER_RING.active, sealed="cmVzZWFsZWQ="),
    )

    answer = await executor.ask("connection.reseal", command, ConnectionResealed)

    entry = await projected(js, KEY)
    assert before.token is not None
    assert answer == ConnectionResealed(generation=before.generation + 1)
    assert entry == msgspec.structs.replace(
        before,
        generation=answer.generation,
        kid=OTHER_RING.active,
        sealed=again.sealed,
        token=msgspec.structs.replace(before.token, kid=OTHER_RING.active, sealed="cmVzZWFsZWQ="),
    )
    assert (await executor.refused("connection.reseal", command)).code == "conflict"
    other_fields = command.model_copy(update={"generation": answer.generation, "sealed": {"pin": "eA=="}})
    assert (await executor.refused("connection.reseal", other_fields)).code == "invalid-request"
    shown = await people.viewer.ask("connection.show", SHOW, Connection)
    assert (shown.fields, shown.rotated_at) == ({"api_key": "••••tery"}, None)


@pytest.mark.parametrize("verb", ["rotate", "store-token", "reseal", "show"])
async def test_roles_are_held_to_their_commands(people: People, executor: Person, made: Connection, verb: str) -> None:
    bodies = {
        "rotate": rotation(made.id),
        "store-token": token(made.id, 0),
        "reseal": ResealConnection(connector="weather", name="default", id=made.id, generation=1, kid="k"),
        "show": SHOW,
    }
    allowed = {
        "rotate": {people.admin.token, people.author.token},
        "store-token": {executor.token},
        "reseal": {executor.token},
        "show": {people.admin.token, people.author.token, people.viewer.token, people.publisher.token},
    }
    everybody = [people.admin, people.author, people.viewer, people.stranger, people.publisher, executor]

    for person in everybody:
        if person.token not in allowed[verb]:
            assert (await person.refused(f"connection.{verb}", bodies[verb])).code == "forbidden"


async def test_no_answer_holds_what_is_sealed(people: People, executor: Person, made: Connection) -> None:
    command = rotation(made.id)
    await executor.ask("connection.store-token", token(made.id, 0, "dG9rZW4tY2lwaGVydGV4dA=="), TokenStored)

    async def raw(person: Person, what: str, body: object) -> str:
        noun, verb = what.split(".")
        subject = subjects.registry("acme", noun, verb)
        return (await request(person.nc, subject, body, token=person.token, timeout=TIMEOUT)).decode()  # type: ignore[arg-type]

    heard = [
        await raw(people.admin, "connection.rotate", command),
        await raw(people.viewer, "connection.show", SHOW),
        await raw(people.viewer, "connection.list", {}),
        await raw(people.admin, "audit.list", {}),
        (await people.admin.refused("connection.create", connection())).detail,
    ]

    for text in heard:
        assert command.sealed["api_key"] not in text
        assert "dG9rZW4tY2lwaGVydGV4dA" not in text


async def test_a_deleted_connection_leaves_no_ciphertext_and_no_key_id(
    people: People, executor: Person, made: Connection, registry: Database
) -> None:
    await executor.ask("connection.store-token", token(made.id, 0), TokenStored)

    await people.admin.ask("connection.delete", DeleteConnection(connector="weather"), ConnectionDeleted)

    async with registry.read() as transaction:
        row = (await transaction.exec_driver_sql("SELECT * FROM connections")).mappings().one()
    assert (row["kid"], row["token_kid"], row["token_sealed"]) == ("", None, None)
    assert "c2VhbGVk" not in str(dict(row))
