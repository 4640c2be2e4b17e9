"""Losing a real Redis, and coming back to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from services.executor.resilience.fallback import LIMIT_TICKS, SUSPECT_TICKS, FallbackState
from services.executor.resilience.local import LocalState
from services.executor.resilience.on_loss import OnLoss
from services.executor.resilience.patience import Patience
from services.executor.resilience.scripts import Timing
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Ask, Limits, ScopeKey
from tests.support.polling import eventually
from tests.support.servers import RedisServer

WINDOW: Final = 1.0
TENFOLD: Final = 10
SCOPE: Final = ScopeKey("res:{platform.weather}:acme.-")
ASK: Final = Ask(SCOPE, Limits(10, 2, 1_000), 0, 30_000)


class Worker:
    """One worker's view: its state, and what lies below it."""

    def __init__(self, url: str, workers: int = 2, on_loss: str = "local") -> None:
        patience = Patience(suspect=SUSPECT_TICKS, limit=LIMIT_TICKS)
        self.shared = RedisState(url, timing=Timing(window_ms=round(WINDOW * 1000)), wait=patience.wait)
        self.born = time.monotonic()
        self.local = LocalState(lambda: workers, window=WINDOW)
        self.state = FallbackState(self.shared, self.local, patience, OnLoss.parse(on_loss), window=WINDOW)

    async def granted(self, most: int = 50) -> int:
        """How many permits are to be had at once."""
        for count in range(most):
            if not (await self.state.acquire(ASK)).granted:
                return count
        return most

    async def stop(self) -> None:
        await self.state.stop()
        await self.shared.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.kill()


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url) as made:
        yield made


@pytest.fixture
async def start(own_redis: RedisServer) -> AsyncIterator[Callable[..., Any]]:
    """`await start()`: a worker that has been there for a window; `new=True`: one that has not."""
    async with AsyncExitStack() as stack:

        async def make(*, new: bool = False, **options: Any) -> Worker:
            worker = Worker(own_redis.url, **options)
            stack.push_async_callback(worker.stop)
            await worker.state.start()
            await eventually(lambda: new or time.monotonic() > worker.born + WINDOW)
            return worker

        yield make


async def back(worker: Worker) -> None:
    await eventually(lambda: not worker.state.away, 10)


@pytest.mark.case(51)
async def test_a_killed_redis_is_noticed_by_the_next_request_which_is_answered(
    own_redis: RedisServer, start: Callable[..., Any]
) -> None:
    worker = await start()
    for _ in range(3):
        await worker.state.acquire(ASK)
    own_redis.kill()
    begun = time.monotonic()
    decision = await worker.state.acquire(ASK)
    assert time.monotonic() - begun < 0.150 * TENFOLD
    assert (decision.granted, decision.local, worker.state.away) == (True, True, True)
    assert await worker.granted() == 1, "half of ten, less the three that Redis has granted and the one alone"


@pytest.mark.case(52)
async def test_a_redis_that_is_back_learns_what_was_granted_without_it(
    own_redis: RedisServer, client: Redis, start: Callable[..., Any]
) -> None:
    one, other = await start(), await start()
    own_redis.kill()
    assert await one.granted() == 5
    assert await other.granted() == 5
    own_redis.start()
    await back(one)
    await back(other)
    await eventually(lambda: one.state.counters.merged + other.state.counters.merged == 10)
    assert await client.llen(f"{SCOPE.prefix}:w") == 10
    newcomer = Worker(own_redis.url)
    assert await newcomer.granted() == 0, "no burst"
    await newcomer.stop()


@pytest.mark.case(52)
async def test_what_one_that_was_killed_has_sent_alone_counts_for_those_that_start_in_its_place(
    own_redis: RedisServer, start: Callable[..., Any]
) -> None:
    # given two workers without Redis that have used their shares, and one of them dies before it can enter them
    one, killed = await start(), await start()
    own_redis.kill()
    assert (await one.granted(), await killed.granted()) == (5, 5)
    sent = time.monotonic()
    await killed.state.stop()
    # when Redis is back, and another worker starts in the place of the dead one
    own_redis.start()
    await back(one)
    newcomer = await start(new=True)
    # then nothing more goes before what was sent alone has left the window, and after that it goes on
    while time.monotonic() < sent + WINDOW - 0.1:
        assert (await newcomer.granted(), await one.granted()) == (0, 0)
        await asyncio.sleep(0.05)

    async def sends() -> bool:
        granted: int = await newcomer.granted()
        return granted > 0

    await eventually(sends, 10)


@pytest.mark.case(53)
async def test_a_redis_that_stands_still_is_given_up_and_used_again_when_it_goes_on(
    own_redis: RedisServer, start: Callable[..., Any]
) -> None:
    worker = await start()
    await worker.state.acquire(ASK)
    own_redis.pause()
    try:
        begun = time.monotonic()
        decision = await worker.state.acquire(ASK)
        assert time.monotonic() - begun < 0.100 * TENFOLD
        assert (decision.granted, decision.local) == (True, True)
        begun = time.monotonic()
        await worker.state.acquire(ASK)
        assert time.monotonic() - begun < 0.050, "nobody waits for it any more"
    finally:
        own_redis.resume()
    await back(worker)
    assert not (await worker.state.acquire(ASK)).local


@pytest.mark.case(53)
async def test_a_probe_that_is_granted_too_late_is_freed(own_redis: RedisServer, start: Callable[..., Any]) -> None:
    # given an open circuit that may be probed
    worker, other = await start(), Worker(own_redis.url)
    for _ in range(ASK.limits.threshold):
        await worker.state.report(ASK, await worker.state.acquire(ASK), "failure", cause="status 500")
    opened = time.monotonic()
    await eventually(lambda: time.monotonic() > opened + ASK.limits.recovery_ms / 1000)
    # when Redis grants the probe only after the worker has given it up
    own_redis.pause()
    refused = await worker.state.acquire(ASK)
    own_redis.resume()
    # then the worker did not probe by itself, and soon another may, long before the lease ends
    assert (refused.refused, refused.local, refused.cause) == ("circuit-open", True, "status 500")

    async def probes() -> bool:
        return (await other.state.acquire(ASK)).probe

    await eventually(probes, 5)
    await other.stop()


@pytest.mark.case(54)
@pytest.mark.parametrize(("on_loss", "granted"), [("open", 50), ("closed", 0)])
async def test_without_redis_open_sends_everything_and_closed_nothing(
    own_redis: RedisServer, start: Callable[..., Any], on_loss: str, granted: int
) -> None:
    worker = await start(on_loss=on_loss)
    assert await worker.granted() == 10
    own_redis.kill()
    assert await worker.granted() == granted
    own_redis.start()
    await back(worker)
    await eventually(lambda: worker.state.counters.merged == granted)
    assert await worker.granted() == (0 if granted else 10)


async def test_a_worker_that_starts_without_redis_serves_and_finds_it(own_redis: RedisServer) -> None:
    own_redis.kill()
    worker = Worker(own_redis.url)
    await worker.state.start()
    assert worker.state.away
    unlimited = Ask(SCOPE, Limits(0, 2, 1_000), 0, 30_000)
    assert (await worker.state.acquire(unlimited)).granted
    own_redis.start()
    await back(worker)
    await worker.stop()


async def test_a_redis_that_refuses_to_write_is_as_good_as_none(client: Redis, start: Callable[..., Any]) -> None:
    worker = await start()
    await client.config_set("maxmemory", "1")
    decision = await worker.state.acquire(ASK)
    assert (decision.granted, decision.local, worker.state.away) == (True, True, True)
    await client.config_set("maxmemory", "0")
    await back(worker)


async def test_merging_keeps_what_the_log_has_and_drops_what_no_window_needs(
    client: Redis, own_redis: RedisServer
) -> None:
    worker, key = Worker(own_redis.url), f"{SCOPE.prefix}:w"
    assert await worker.granted(3) == 3
    await worker.shared.merge(SCOPE, [5_000_000, 400_000, -700_000])
    times = [int(time) for time in await client.lrange(key, 0, -1)]
    assert times == sorted(times)
    assert len(times) == 5
    assert await client.pttl(key) > WINDOW * 1000
    await worker.stop()


@pytest.mark.parametrize("garbage", ["text", "list"])
async def test_merging_mends_what_is_no_log(client: Redis, own_redis: RedisServer, garbage: str) -> None:
    worker, key = Worker(own_redis.url), f"{SCOPE.prefix}:w"
    await (client.set(key, "x") if garbage == "text" else client.rpush(key, "x", "nan?"))
    await worker.shared.merge(SCOPE, [100_000])
    assert await client.llen(key) == 1
    await worker.stop()
