"""Workers that share the session's Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import redis.asyncio
import uvloop

from services.executor.resilience.scripts import Timing
from services.executor.resilience.state import RedisState
from tests.support.servers import RedisServer
from tests.support.shared_state import Workers


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Workers run on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def workers(redis_url: str, redis_client: redis.asyncio.Redis) -> AsyncIterator[Workers]:
    """Workers whose time the test moves."""
    fleet = await Workers(redis_url, redis_client).start()
    yield fleet
    await fleet.stop()


@pytest.fixture
def state(workers: Workers) -> RedisState:
    """One of the workers."""
    return workers.new()


@pytest.fixture
async def hurried(redis_url: str, redis_client: redis.asyncio.Redis) -> AsyncIterator[Workers]:
    """Workers in real time, with a window of 400 ms, which forget an idle scope after 200 ms."""
    fleet = await Workers(redis_url, redis_client, real_time=True, timing=Timing(window_ms=400, keep_ms=200)).start()
    yield fleet
    await fleet.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[[], RedisServer]]:
    """Makes started Redis servers that the test may break."""
    servers: list[RedisServer] = []

    def make() -> RedisServer:
        server = RedisServer(tmp_path / f"redis-{len(servers)}")
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.kill()
