"""However many requests on however many workers want a token, it is asked for once; nothing hangs where that fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.executor.oauth.shared import LEASE_MS
from shared.files import write_private
from shared.messaging.connection import connect
from shared.security.sealing import KeyRing
from shared.settings import BusSettings
from tests.integration.oauth.world import OAuthBus
from tests.support.fleet import Fleet, FleetBus, fleet
from tests.support.oauth_server import OAuthServer
from tests.support.polling import eventually

WORKERS = 4
REQUESTS = 50


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("workers")
    write_private(made / "ring.json", KeyRing.generate().dump())
    return made


@pytest.fixture(scope="module")
def shared_fleet(directory: Path, shared_server: OAuthServer) -> Iterator[Fleet]:
    ring = str(directory / "ring.json")
    with fleet(directory, seal_keyring_file=ring, egress_allow=shared_server.authority) as made:
        yield made


@pytest.fixture
def workers(shared_fleet: Fleet, server: OAuthServer) -> Fleet:
    """Four executors as processes, on a Redis and a NATS of their own."""
    shared_fleet.redis.ensure_running()
    missing = WORKERS - len(shared_fleet.workers)
    if missing:
        shared_fleet.start(missing)
    return shared_fleet


@pytest.fixture
async def bus(workers: Fleet, server: OAuthServer, directory: Path) -> AsyncIterator[OAuthBus]:
    nc = await connect(BusSettings(nats_url=workers.nats.url), name="test", wait_seconds=10)
    yield OAuthBus(nc, nc.jetstream(), server.url, KeyRing.load(directory / "ring.json"))
    await nc.close()


async def many(bus: OAuthBus, slug: str, operation: str = "me", count: int = REQUESTS) -> Counter[int]:
    """The statuses of requests that are all under way at once."""
    answers = await asyncio.gather(*(bus.execute(slug, operation) for _ in range(count)))
    return Counter(answer["status_code"] for answer in answers)


async def requested(bus: OAuthBus) -> dict[str, int]:
    """How often each worker has asked for a token."""
    stats = await FleetBus(bus.nc, bus.js, bus.base_url).stats()
    return {name: said["oauth"]["requested"] for name, said in stats.items()}


async def test_requests_that_find_no_token_ask_for_one_together(
    workers: Fleet, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(delay=0.3)
    slug = await bus.connector()

    assert await many(bus, slug) == {200: REQUESTS}
    assert len(server.asked()) == 1


async def test_requests_that_find_an_expired_token_ask_for_one_together(
    workers: Fleet, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(expires_in=2)
    slug = await bus.connector()
    assert await many(bus, slug) == {200: REQUESTS}
    await eventually(server.expired, what="the token has ended")
    server.forget()
    server.switch(delay=0.3)

    assert await many(bus, slug) == {200: REQUESTS}
    assert len(server.asked()) == 1


async def test_requests_whose_token_is_turned_down_ask_for_another_together(
    workers: Fleet, bus: OAuthBus, server: OAuthServer
) -> None:
    slug = await bus.connector()
    assert await many(bus, slug) == {200: REQUESTS}
    server.forget()
    server.revoke()
    server.switch(delay=0.3)

    assert await many(bus, slug) == {200: REQUESTS}
    assert len(server.asked()) == 1


async def test_the_next_worker_asks_when_the_one_that_asked_was_killed(
    workers: Fleet, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(delay=60)
    slug, before = await bus.connector(), await requested(bus)
    lost = asyncio.ensure_future(bus.raw_me(slug))
    await eventually(lambda: len(server.asked()) == 1)
    (asking,) = [name for name, count in (await requested(bus)).items() if count > before[name]]

    workers.kill(asking)
    server.switch()
    answers = asyncio.ensure_future(many(bus, slug, count=10))

    assert await asyncio.wait_for(answers, LEASE_MS / 1000 * 10) == {200: 10}
    assert len(server.asked()) == 2
    lost.cancel()


async def test_without_redis_each_worker_asks_for_its_own(workers: Fleet, bus: OAuthBus, server: OAuthServer) -> None:
    slug = await bus.connector()
    assert await many(bus, slug) == {200: REQUESTS}
    server.forget()
    workers.redis.kill()
    server.revoke()

    statuses = await many(bus, slug)

    assert statuses == {200: REQUESTS}
    assert 1 <= len(server.asked()) <= WORKERS


async def test_a_redis_that_hangs_does_not_make_tokens_hang(workers: Fleet, bus: OAuthBus, server: OAuthServer) -> None:
    slug = await bus.connector()
    workers.redis.pause()
    try:
        assert await many(bus, slug, count=10) == {200: 10}
    finally:
        workers.redis.resume()
    assert 1 <= len(server.asked()) <= WORKERS
