"""Health of connections that are gone: removed whoever sees it, and never that of one which is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from services.executor.resilience.leftovers import Leftovers
from shared.contracts.projections import ConnectionEntry, ConnectionHealth
from tests.support.polling import eventually

KEY = "acme.shop.default"


def connection(identifier: str) -> ConnectionEntry:
    return ConnectionEntry(
        identifier, "acme", "shop", "platform", "default", 1, "^1", "https://api.example.com", "kid", {}, {}
    )


def healthy(identifier: str) -> ConnectionHealth:
    return ConnectionHealth(identifier, "acme", "shop", "default", "healthy", 1, "2026-01-01T00:00:00.000Z", {})


class Connections:
    """`seen` is what this worker has heard of, `there` what there is; where it does not differ, the same."""

    def __init__(self) -> None:
        self.there: dict[str, ConnectionEntry] = {}
        self.seen = self.there
        self.trouble = 0
        self.reads = 0

    def under(self, prefix: str) -> Iterator[tuple[str, ConnectionEntry]]:
        return iter(list(self.seen.items()))

    async def read(self, key: str) -> ConnectionEntry | None:
        self.reads += 1
        if self.trouble:
            self.trouble -= 1
            raise NatsTimeoutError
        return self.there.get(key)


class Health:
    """Entries. `meanwhile` counts the removals that come too late, because somebody has written."""

    def __init__(self) -> None:
        self.entries: dict[str, ConnectionHealth] = {}
        self.meanwhile = 0

    def under(self, prefix: str) -> Iterator[tuple[str, ConnectionHealth]]:
        return iter(list(self.entries.items()))

    async def read(self, key: str) -> tuple[ConnectionHealth | None, int]:
        return self.entries.get(key), 1

    async def remove(self, key: str, revision: int) -> bool:
        if self.meanwhile:
            self.meanwhile -= 1
            return False
        del self.entries[key]
        return True


class World:
    def __init__(self) -> None:
        self.connections = Connections()
        self.health = Health()
        self.leftovers = Leftovers(self.health)

    def start(self, *health: str, connected: str = "") -> None:
        if connected:
            self.connections.there[KEY] = connection(connected)
        self.health.entries = {f"acme.{identifier}": healthy(identifier) for identifier in health}
        self.leftovers.start(self.health, self.connections)

    async def keeps(self, *identifiers: str) -> None:
        await eventually(lambda: list(self.health.entries) == [f"acme.{identifier}" for identifier in identifiers])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.leftovers.stop()


async def test_what_is_left_of_connections_that_went_before_goes_at_the_start(world: World) -> None:
    world.start("c-1", "c-2", connected="c-2")
    await world.keeps("c-2")
    assert world.connections.reads == 1, "what is known to be there is not looked up"


async def test_a_connection_that_is_deleted_takes_its_health_along(world: World) -> None:
    world.start("c-1", connected="c-1")
    del world.connections.there[KEY]
    world.leftovers.connection_changed(KEY, None)
    await world.keeps()


async def test_one_that_is_made_anew_takes_along_the_health_of_the_former(world: World) -> None:
    world.start("c-1", connected="c-1")
    world.connections.there[KEY] = connection("c-2")
    world.health.entries["acme.c-2"] = healthy("c-2")
    world.leftovers.connection_changed(KEY, connection("c-2"))
    await world.keeps("c-2")


async def test_one_that_has_changed_keeps_its_health(world: World) -> None:
    world.start("c-1", connected="c-1")
    world.leftovers.connection_changed(KEY, connection("c-1"))
    world.leftovers.health_changed("acme.c-1", healthy("c-1"))
    world.health.entries["acme.c-2"] = healthy("c-2")
    world.leftovers.health_changed("acme.c-2", healthy("c-2"))
    await world.keeps("c-1")
    assert world.connections.reads == 1


async def test_health_that_is_written_after_its_connection_went_goes_as_well(world: World) -> None:
    world.start("c-1", connected="c-1")
    del world.connections.there[KEY]
    world.leftovers.connection_changed(KEY, None)
    await world.keeps()
    world.health.entries["acme.c-1"] = healthy("c-1")
    world.leftovers.health_changed("acme.c-1", healthy("c-1"))
    await world.keeps()


async def test_health_of_a_connection_that_this_worker_has_not_heard_of_yet_stays(world: World) -> None:
    world.connections.seen = {}
    world.start("c-1", connected="c-1")
    await eventually(lambda: world.connections.reads == 1)
    await world.keeps("c-1")


async def test_what_others_write_meanwhile_and_a_bus_that_is_away_are_waited_for(world: World) -> None:
    world.connections.trouble, world.health.meanwhile = 2, 1
    world.start("c-1")
    await world.keeps()
    assert world.connections.reads == 4


async def test_nothing_is_removed_before_both_buckets_are_known(world: World) -> None:
    world.leftovers.health_changed("acme.c-1", healthy("c-1"))
    world.leftovers.connection_changed(KEY, None)
    world.start("c-1", connected="c-1")
    await world.keeps("c-1")
