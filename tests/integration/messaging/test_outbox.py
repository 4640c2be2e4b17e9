"""Events leave with their change, in order, at least once, and are applied once: on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa
from nats.js import JetStreamContext
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.events import Event
from shared.messaging import relay as relay_module
from shared.messaging.bootstrap import bootstrap
from shared.messaging.connection import connect
from shared.messaging.relay import OutboxRelay
from shared.persistence.engine import Database
from shared.persistence.outbox import create_tables, enqueue, once, outbox
from shared.settings import BusSettings
from tests.support.polling import eventually
from tests.support.servers import NatsServer
from tests.support.streams import stored_events


def saved(number: int, connector: str = "weather") -> Event:
    return Event("acme", "connector", connector, "draft_saved", "registry", {"revision": number})


async def tell(database: Database, *events: Event) -> None:
    async with database.write() as connection:
        for event in events:
            await enqueue(connection, event)


async def waiting(database: Database) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(outbox)) or 0)


@pytest.fixture
async def db(database: Database) -> Database:
    async with database.write() as connection:
        await connection.run_sync(create_tables)
    return database


@pytest.fixture
async def relay(db: Database, js: JetStreamContext) -> AsyncIterator[OutboxRelay]:
    """Its clock is slow: what these tests wait for must be woken by the commit."""
    relay = OutboxRelay(db, js, poll_seconds=3600)
    yield relay
    await relay.stop()


async def test_an_event_leaves_as_it_was_told_once_its_change_is_committed(
    db: Database, js: JetStreamContext, relay: OutboxRelay
) -> None:
    event = saved(1)
    relay.start()
    await tell(db, event)

    await eventually(lambda: stored_events(js))

    assert await stored_events(js) == [event]
    assert await eventually(lambda: _none_waiting(db))


async def test_an_event_of_a_change_that_failed_is_never_told(
    db: Database, js: JetStreamContext, relay: OutboxRelay
) -> None:
    async def change_that_fails() -> None:
        async with db.write() as connection:
            await enqueue(connection, saved(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_that_fails()

    assert await relay.relay_once() == 0
    assert await stored_events(js) == []


async def test_what_waited_before_the_start_is_sent_in_order(
    db: Database, js: JetStreamContext, relay: OutboxRelay
) -> None:
    for number in range(30):
        await tell(db, saved(number, "a"), saved(number, "b"))

    relay.start()
    await eventually(lambda: _none_waiting(db))

    events = await stored_events(js)
    for connector in ("a", "b"):
        told = [event.data["revision"] for event in events if event.identifier == connector]
        assert told == list(range(30))


async def test_a_crash_between_sending_and_forgetting_leaves_one_event_in_the_stream(
    db: Database, js: JetStreamContext, relay: OutboxRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_connection: AsyncConnection, _sent: object) -> None:
        raise OSError("killed")

    await tell(db, saved(1), saved(2))
    with monkeypatch.context() as patched:
        patched.setattr(relay_module, "_forget", crash)
        with pytest.raises(OSError, match="killed"):
            await relay.relay_once()
    assert await waiting(db) == 2

    relay.start()
    await eventually(lambda: _none_waiting(db))

    assert [event.data["revision"] for event in await stored_events(js)] == [1, 2]


async def test_events_wait_while_nats_is_away_and_leave_when_it_is_back(
    db: Database, own_nats: Callable[[], NatsServer]
) -> None:
    server = own_nats()
    client = await connect(BusSettings(nats_url=server.url), name="relay", wait_seconds=10)
    await bootstrap(client.jetstream())
    relay = OutboxRelay(db, client.jetstream())
    relay.start()
    await tell(db, saved(0))
    await eventually(lambda: _none_waiting(db))

    server.kill()
    for number in range(1, 6):
        await tell(db, saved(number))
    assert await waiting(db) == 5
    server.start()
    await eventually(lambda: _none_waiting(db), timeout=30)

    assert [event.data["revision"] for event in await stored_events(client.jetstream())] == list(range(6))
    await relay.stop()
    await client.close()


async def test_a_relay_finds_by_its_clock_what_another_process_committed(
    db: Database, database_url: str, js: JetStreamContext
) -> None:
    relay = OutboxRelay(db, js, poll_seconds=0.05)
    relay.start()
    other = Database.open(database_url)
    await tell(other, saved(1))

    await eventually(lambda: stored_events(js))

    await relay.stop()
    await other.close()


async def test_two_relays_share_the_work_and_keep_each_entity_in_order(
    postgres_database_url: str, js: JetStreamContext
) -> None:
    databases = [Database.open(postgres_database_url) for _ in range(2)]
    async with databases[0].write() as connection:
        await connection.run_sync(create_tables)
    for number in range(20):
        await tell(databases[0], *(saved(number, f"c{connector}") for connector in range(10)))

    relays = [OutboxRelay(database, js, poll_seconds=0.05) for database in databases]
    for relay in relays:
        relay.start()
    await eventually(lambda: _none_waiting(databases[0]), timeout=30)
    for relay in relays:
        await relay.stop()

    events = await stored_events(js)
    assert len(events) == 200
    for connector in range(10):
        told = [event.data["revision"] for event in events if event.identifier == f"c{connector}"]
        assert told == list(range(20))
    for database in databases:
        await database.close()


async def test_a_relay_skips_what_another_is_sending(postgres_database_url: str, js: JetStreamContext) -> None:
    database = Database.open(postgres_database_url)
    async with database.write() as connection:
        await connection.run_sync(create_tables)
    await tell(database, saved(1, "taken"), saved(2, "taken"), saved(1, "free"))
    relay = OutboxRelay(database, js)

    async with database.write() as other:
        await other.execute(sa.select(outbox.c.id).where(outbox.c.entity.endswith(".taken")).limit(1).with_for_update())
        sent = await asyncio.wait_for(relay.relay_once(), 10)

    assert sent == 1
    assert [event.identifier for event in await stored_events(js)] == ["free"]
    await database.close()


async def test_a_message_is_applied_once_by_each_consumer(db: Database) -> None:
    async with db.write() as connection:
        assert await once(connection, "audit", "m-1")
        assert not await once(connection, "audit", "m-1")
        assert await once(connection, "mail", "m-1")
    async with db.write() as connection:
        assert not await once(connection, "audit", "m-1")


async def test_a_message_whose_change_failed_is_met_again(db: Database) -> None:
    async def change_that_fails() -> None:
        async with db.write() as connection:
            assert await once(connection, "audit", "m-1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_that_fails()

    async with db.write() as connection:
        assert await once(connection, "audit", "m-1")


async def test_of_two_who_apply_a_message_at_once_one_does(db: Database) -> None:
    async def apply() -> bool:
        async with db.write() as connection:
            return await once(connection, "audit", "m-1")

    assert sorted(await asyncio.gather(*(apply() for _ in range(5)))) == [False, False, False, False, True]


async def _none_waiting(database: Database) -> bool:
    return await waiting(database) == 0
