"""Sealing keys and test credentials over the bus: what is sealed to a key, its end, and hours that run out."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import text

from services.registry.handlers import test_credentials as kept
from services.registry.store import SqlStore
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.persistence.engine import Database
from shared.security.sealing import KeyRing, SealContext, masked_tail
from tests.integration.registry.conftest import People
from tests.support.connectors import ORIGIN, connection

RING = KeyRing.generate()
RETIRE = c.RetireKey(kid=RING.active)
SECRET = "correct-horse-battery"


@pytest.fixture
async def published(people: People, registry: object) -> None:
    await people.publish(await people.author.save())


def a_secret(**changes: object) -> c.SaveTestCredentials:
    session = str(uuid.uuid4())
    context = SealContext("test", "acme", "acme", "weather", session, ORIGIN)
    command = c.SaveTestCredentials(
        connector="weather",
        id=session,
        origin=ORIGIN,
        kid=RING.active,
        sealed=RING.sealing_key.seal_all({"api_key": SECRET}, context),
        masked={"api_key": masked_tail(SECRET)},
    )
    return command.model_copy(update=changes)


async def uses(people: People) -> dict[str, tuple[int, int, int]]:
    answer = await people.platform.ask("keys.list", {}, c.KeyUses)
    return {use.kid: (use.connections, use.tokens, use.test_credentials) for use in answer.keys}


@pytest.mark.usefixtures("published")
async def test_a_key_is_retired_once_nothing_is_sealed_to_it(people: People) -> None:
    await people.admin.ask("connection.create", connection(ring=RING), c.Connection)
    await people.author.ask("test-credentials.save", a_secret(), c.KeptTestCredentials)
    assert (await uses(people))[RING.active] == (1, 0, 1)

    refused = await people.platform.refused("keys.retire", RETIRE)
    assert refused.code == "conflict"
    assert [entry["name"] for entry in refused.errors] == ["acme.weather.default"]
    await people.admin.ask("connection.delete", c.DeleteConnection(connector="weather"), c.ConnectionDeleted)
    assert (await people.platform.refused("keys.retire", RETIRE)).code == "conflict"
    forgetting = c.RetireKey(kid=RING.active, forget_test_credentials=True)
    retired = await people.platform.ask("keys.retire", forgetting, c.KeyRetired)

    assert await people.platform.ask("keys.retire", RETIRE, c.KeyRetired) == retired
    assert (await uses(people))[RING.active] == (0, 0, 0)
    late = await people.admin.refused("connection.create", connection(ring=RING))
    assert (late.code, "'pat' retired" in late.detail) == ("conflict", True)
    assert (await people.author.refused("test-credentials.save", a_secret())).code == "conflict"
    assert [entry.action for entry in await people.platform.audit(noun="keys")] == ["keys.retire"]


@pytest.mark.usefixtures("published")
async def test_a_key_that_is_just_being_sealed_to_is_not_retired(people: People) -> None:
    for _ in range(6):
        ring = KeyRing.generate()
        made, retired = await asyncio.gather(
            people.admin.ask("connection.create", connection(ring=ring), c.Connection),
            people.platform.ask("keys.retire", c.RetireKey(kid=ring.active), c.KeyRetired),
            return_exceptions=True,
        )

        assert isinstance(made, c.Connection) != isinstance(retired, c.KeyRetired), (made, retired)
        assert {each.code for each in (made, retired) if isinstance(each, DibopError)} == {"conflict"}
        if isinstance(made, c.Connection):
            await people.admin.ask("connection.delete", c.DeleteConnection(connector="weather"), c.ConnectionDeleted)


@pytest.mark.usefixtures("published")
async def test_a_rotation_is_told_once(people: People) -> None:
    note = c.NoteKeyRotation(kid="seal-new", previous="seal-old")
    for _ in range(2):
        await people.platform.ask("keys.rotated", note, c.KeyRotationNoted)

    (entry,) = await people.platform.audit(noun="keys")
    assert (entry.action, entry.identifier, entry.details) == ("keys.rotate", "seal-new", {"previous": "seal-old"})


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("verb", ["list", "rotated", "retire"])
async def test_keys_are_the_platforms(people: People, verb: str) -> None:
    bodies = {"list": {}, "rotated": {"kid": "a", "previous": "b"}, "retire": {"kid": "a"}}
    for person in (people.author, people.admin, people.viewer, people.stranger, people.publisher):
        assert (await person.refused(f"keys.{verb}", dict(bodies[verb]))).code == "forbidden"


@pytest.mark.usefixtures("published")
async def test_test_credentials_are_for_their_person_alone(people: People) -> None:
    first = a_secret()
    shown = await people.author.ask("test-credentials.save", first, c.KeptTestCredentials)
    assert shown.fields == {"api_key": "••••tery"}
    command = a_secret()
    shown = await people.author.ask("test-credentials.save", command, c.KeptTestCredentials)

    own = await people.author.ask(
        "test-credentials.list", c.ListTestCredentials(connector="weather"), c.TestCredentialsList
    )
    assert own.credentials == [shown]
    others = await people.colleague.ask("test-credentials.list", c.ListTestCredentials(), c.TestCredentialsList)
    assert others.credentials == []
    delete = c.DeleteTestCredentials(id=command.id)
    assert (await people.colleague.refused("test-credentials.delete", delete)).code == "not-found"
    fetch = c.FetchTestCredentials(id=command.id, person="ada", connector="weather")
    fetched = await people.publisher.ask("test-credentials.fetch", fetch, c.TestCredentials)
    assert (fetched.kid, fetched.sealed) == (RING.active, command.sealed)
    bobs = fetch.model_copy(update={"person": "bob"})
    assert (await people.publisher.refused("test-credentials.fetch", bobs)).code == "not-found"
    for person in (people.author, people.admin, people.stranger):
        assert (await person.refused("test-credentials.fetch", fetch)).code == "forbidden"
    await people.author.ask("test-credentials.delete", delete, c.TestCredentialsDeleted)
    assert (await people.publisher.refused("test-credentials.fetch", fetch)).code == "not-found"
    actions = [entry.action for entry in await people.admin.audit(noun="test-credentials")]
    assert actions == ["test-credentials.delete", "test-credentials.save", "test-credentials.save"]


@pytest.mark.usefixtures("published")
async def test_expired_test_credentials_are_served_to_nobody_and_swept(people: People, registry: Database) -> None:
    command = a_secret()
    await people.author.ask("test-credentials.save", command, c.KeptTestCredentials)
    async with registry.write() as transaction:
        await transaction.execute(text("UPDATE test_credentials SET expires_at = '2026-01-01T00:00:00.000Z'"))

    fetch = c.FetchTestCredentials(id=command.id, person="ada", connector="weather")
    assert (await people.publisher.refused("test-credentials.fetch", fetch)).code == "not-found"
    listed = await people.author.ask("test-credentials.list", c.ListTestCredentials(), c.TestCredentialsList)
    assert listed.credentials == []
    delete = c.DeleteTestCredentials(id=command.id)
    assert (await people.author.refused("test-credentials.delete", delete)).code == "not-found"
    assert await kept.sweep(SqlStore(registry)) == 1
    assert await kept.sweep(SqlStore(registry)) == 0


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    "changes",
    [
        {"lifetime_seconds": 8 * 3600 + 1},
        {"lifetime_seconds": 0},
        {"origin": "https://evil.example.com:443"},
        {"sealed": {}, "masked": {}},
        {"connector": "maps"},
    ],
)
async def test_test_credentials_that_do_not_fit_are_refused(people: People, changes: dict[str, object]) -> None:
    refused = await people.author.refused("test-credentials.save", {**a_secret().model_dump(), **changes})

    assert refused.code in {"invalid-request", "not-found"}
