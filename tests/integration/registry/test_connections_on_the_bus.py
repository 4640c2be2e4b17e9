"""Connections over the bus, and what executors see of them."""

from __future__ import annotations

import asyncio

import pytest
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from services.registry.buckets import NatsProjections
from services.registry.handlers.ports import ConnectionKey
from shared.contracts.commands import (
    Connection,
    ConnectionDeleted,
    ConnectionPage,
    CreateConnection,
    DeleteConnection,
    ListConnections,
)
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.security.sealing import KeyRing, SealContext
from tests.integration.registry.conftest import People, projected
from tests.support.connectors import ORIGIN, connection
from tests.support.polling import eventually

KEY = "acme.weather.default"
DELETE = DeleteConnection(connector="weather")


@pytest.fixture
async def published(people: People, registry: object) -> None:
    await people.publish(await people.author.save())


@pytest.mark.usefixtures("published")
async def test_executors_can_open_it_as_soon_as_it_is_answered(people: People, js: JetStreamContext) -> None:
    ring = KeyRing.generate()
    command = connection(ring=ring, values={"account": "a-1"})

    made = await people.admin.ask("connection.create", command, Connection)

    entry = await projected(js, KEY)
    context = SealContext("connection", "acme", "acme", "weather", made.id, ORIGIN, "api_key")
    assert ring.open(entry.sealed["api_key"], context, entry.kid) == "correct-horse-battery"
    assert (entry.values, entry.version_policy, entry.generation) == ({"account": "a-1"}, "^1", 1)
    assert made.fields == {"account": "a-1", "api_key": "••••tery"}


@pytest.mark.usefixtures("published")
async def test_a_deleted_connection_is_gone_as_soon_as_it_is_answered(people: People, js: JetStreamContext) -> None:
    await people.admin.ask("connection.create", connection(), Connection)

    await people.admin.ask("connection.delete", DELETE, ConnectionDeleted)

    with pytest.raises(KeyNotFoundError):
        await projected(js, KEY)
    assert (await people.admin.refused("connection.delete", DELETE)).code == "not-found"
    again = await people.admin.ask("connection.create", connection(), Connection)
    entry = await projected(js, KEY)
    assert (entry.id, entry.generation) == (again.id, 3)
    actions = [entry.action for entry in await people.admin.audit(noun="connection")]
    assert actions == ["connection.create", "connection.delete", "connection.create"]


@pytest.mark.usefixtures("published")
async def test_of_connections_at_once_one_gets_the_name(people: People, js: JetStreamContext) -> None:
    outcomes = await asyncio.gather(
        *(people.admin.ask("connection.create", connection(), Connection) for _ in range(6)), return_exceptions=True
    )

    (made,) = [outcome for outcome in outcomes if isinstance(outcome, Connection)]
    assert {outcome.code for outcome in outcomes if isinstance(outcome, DibopError)} == {"already-exists"}
    assert (await projected(js, KEY)).id == made.id


@pytest.mark.usefixtures("published")
async def test_creating_and_deleting_at_once_leaves_both_sides_agreed(people: People, js: JetStreamContext) -> None:
    async def churn() -> None:
        for _ in range(6):
            try:
                await people.admin.ask("connection.create", connection(), Connection)
                await people.admin.ask("connection.delete", DELETE, ConnectionDeleted)
            except DibopError as error:
                assert error.code in {"already-exists", "not-found"}  # noqa: PT017  # somebody was faster

    await asyncio.gather(churn(), churn(), churn())

    listed = await people.admin.ask("connection.list", ListConnections(), ConnectionPage)
    try:
        seen = [(await projected(js, KEY)).id]
    except KeyNotFoundError:
        seen = []
    assert seen == [row.id for row in listed.connections]


@pytest.mark.usefixtures("published")
async def test_the_events_come_in_order(people: People, js: JetStreamContext) -> None:
    made = await people.admin.ask("connection.create", connection(), Connection)
    await people.admin.ask("connection.delete", DELETE, ConnectionDeleted)
    subject = f"evt.v1.acme.connection.{made.id}"

    async def told() -> bool:
        info = await js.stream_info("EVENTS", subjects_filter=f"{subject}.>")
        return set(info.state.subjects or ()) == {f"{subject}.created", f"{subject}.deleted"}

    await eventually(told, what="both events")
    created = await js.get_last_msg("EVENTS", f"{subject}.created", direct=True)
    deleted = await js.get_last_msg("EVENTS", f"{subject}.deleted", direct=True)
    assert created.seq is not None
    assert deleted.seq is not None
    assert created.seq < deleted.seq


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"values": {"acount": "x"}}, "invalid-request"),
        ({"values": {"api_key": "plain"}, "sealed": {}, "masked": {}}, "invalid-request"),
        ({"sealed": {}, "masked": {}}, "invalid-request"),
        ({"origin": "https://evil.example.com:443"}, "invalid-request"),
        ({"origin": "https://api.example.com:443\0"}, "invalid-request"),
        ({"connector": "wether"}, "not-found"),
        ({"owner": "platform"}, "not-found"),
        ({"version_policy": "^9"}, "not-found"),
        ({"id": "1"}, "invalid-request"),
        ({"masked": {"api_key": "whole secret"}}, "invalid-request"),
        ({"name": "Default"}, "invalid-request"),
    ],
)
async def test_what_does_not_fit_is_refused(
    people: People, js: JetStreamContext, changes: dict[str, object], code: str
) -> None:
    body: dict[str, object] = {**connection().model_dump(), **changes}

    assert (await people.admin.refused("connection.create", body)).code == code
    with pytest.raises(KeyNotFoundError):
        await projected(js, KEY)


@pytest.mark.usefixtures("published")
async def test_a_connection_of_the_catalogues_connector_belongs_to_the_enterprise(
    people: People, js: JetStreamContext
) -> None:
    await people.publish(await people.platform.save("maps"))

    command = connection(owner="platform", connector="maps")
    await people.admin.ask("connection.create", command, Connection)

    assert (await projected(js, "acme.maps.default")).owner == "platform"
    assert (await people.viewer.refused("connection.create", command)).code == "forbidden"
    assert (await people.stranger.refused("connection.create", command)).code == "forbidden"


@pytest.mark.usefixtures("published")
async def test_connections_are_listed_in_pages(people: People) -> None:
    await people.publish(await people.author.save("maps"))
    for connector, name in (("weather", "b"), ("weather", "a"), ("maps", "z"), ("weather", "a-1")):
        command = connection(connector=connector, name=name)
        await people.admin.ask("connection.create", command, Connection)

    seen, after = [], None
    while True:
        page = await people.viewer.ask("connection.list", ListConnections(limit=2, after=after), ConnectionPage)
        seen += [(row.connector, row.name) for row in page.connections]
        if (after := page.next_after) is None:
            break
    maps = await people.viewer.ask("connection.list", ListConnections(connector="maps"), ConnectionPage)

    assert seen == [("maps", "z"), ("weather", "a"), ("weather", "a-1"), ("weather", "b")]
    assert [row.name for row in maps.connections] == ["z"]
    assert (await people.viewer.refused("connection.list", {"after": "junk"})).code == "invalid-request"


async def test_a_late_writer_cannot_bring_a_deleted_connection_back(js: JetStreamContext) -> None:
    key = ConnectionKey("acme", "weather", "default")
    entry = _entry(connection())
    state: list[ConnectionEntry | None] = [entry]
    late, prompt = NatsProjections(lambda: js), NatsProjections(lambda: js)
    reads = 0

    async def read_slowly() -> ConnectionEntry | None:
        nonlocal reads
        reads += 1
        seen = state[0]
        if reads == 1:
            await prompt.sync_connection(key, read)
            state[0] = None
            await prompt.sync_connection(key, read)
        return seen

    async def read() -> ConnectionEntry | None:
        return state[0]

    assert await late.sync_connection(key, read_slowly) is None
    assert reads == 2
    with pytest.raises(KeyNotFoundError):
        await projected(js, KEY)


async def test_a_late_delete_cannot_take_a_new_connection_away(js: JetStreamContext) -> None:
    key = ConnectionKey("acme", "weather", "default")
    old, new = _entry(connection()), _entry(connection())
    projections = NatsProjections(lambda: js)
    reads = 0

    async def put_old() -> ConnectionEntry:
        return old

    async def put_new() -> ConnectionEntry:
        return new

    async def read_slowly() -> ConnectionEntry | None:
        nonlocal reads
        reads += 1
        if reads == 1:
            await projections.sync_connection(key, put_new)
            return None
        return new

    await projections.sync_connection(key, put_old)

    assert await NatsProjections(lambda: js).sync_connection(key, read_slowly) == new
    assert (await projected(js, KEY)).id == new.id


def _entry(command: CreateConnection) -> ConnectionEntry:
    return ConnectionEntry(
        id=command.id,
        enterprise="acme",
        connector=command.connector,
        owner=command.owner,
        name=command.name,
        generation=1,
        version_policy=command.version_policy,
        origin=command.origin,
        kid=command.kid,
        values=dict(command.values),
        sealed=dict(command.sealed),
    )
