"""Four worker processes whose Redis is killed, stands still, or comes back; they themselves may stand still as well.

The window of limits is 3 s here, its guard of half a second included: what is asserted is that the upstream never sees
more than the limit within 2.5 s.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from tests.support.fleet import ANSWERS, Callers, Fleet, FleetBus, fleet, most_within
from tests.support.polling import eventually

pytestmark = pytest.mark.timeout(120)

WORKERS: Final = 4
LIMIT: Final = 40
WINDOW: Final = 3.0
SEEN: Final = 2.5
"""What the upstream sees of a window."""
TENFOLD: Final = 10


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    with fleet(directory, rate_window_ms=str(round(WINDOW * 1000))) as made:
        made.start(WORKERS)
        yield made


@pytest.fixture
async def bus(workers: Fleet) -> AsyncIterator[FleetBus]:
    made = await FleetBus.of(workers)
    await made.settled(WORKERS)
    yield made
    await made.nc.close()


async def states(bus: FleetBus) -> list[str]:
    return [one["resilience"]["state"] for one in (await bus.stats()).values()]


async def all_say(bus: FleetBus, state: str) -> None:
    async def say() -> bool:
        return await states(bus) == [state] * WORKERS

    await eventually(say, 20, what=f"all workers say {state}")


async def pass_windows(count: float) -> None:
    end = time.monotonic() + count * WINDOW
    await eventually(lambda: time.monotonic() > end, count * WINDOW + 5)


def check_limit(arrivals: list[float], lost: float) -> None:
    """Never more than the limit, but once as many again in the window that spans the loss."""
    before = [at for at in arrivals if at <= lost]
    after = [at for at in arrivals if at > lost]
    assert most_within(before, SEEN) <= LIMIT
    assert most_within(after, SEEN) <= LIMIT
    assert most_within(arrivals, SEEN) <= 2 * LIMIT


def check_answers(callers: Callers, first_within: float) -> None:
    assert set(callers.outcomes) <= ANSWERS, "every request is answered"
    assert max(answer.seconds for answer in callers.answers) <= callers.deadline_ms / 1000 + first_within * TENFOLD


@pytest.mark.case(51)
@pytest.mark.case(52)
async def test_redis_is_killed_in_traffic_and_comes_back_empty(workers: Fleet, bus: FleetBus) -> None:
    path = await bus.connector("killed", rate_limit_per_minute=LIMIT)
    async with Callers(bus, ["killed"], concurrency=16) as callers:
        await pass_windows(1.2)
        # when Redis is killed
        workers.redis.kill()
        lost = time.time()
        await all_say(bus, "degraded_state")
        alone = time.time()
        await pass_windows(2)
        served_alone = [at for at in workers.upstream.arrivals(path) if at > alone]
        # and when it is back, and all limits are shared again
        workers.redis.start()
        await all_say(bus, "shared")
        await pass_windows(2)
    # then requests were served without it, and there was no burst
    arrivals = workers.upstream.arrivals(path)
    assert served_alone
    check_limit(arrivals, lost)
    check_answers(callers, 0.150)
    assert sum(one["resilience"]["fallback"]["merged"] for one in (await bus.stats()).values()) > 0


@pytest.mark.case(53)
async def test_redis_stands_still_and_goes_on(workers: Fleet, bus: FleetBus) -> None:
    path = await bus.connector("stopped", rate_limit_per_minute=LIMIT)
    async with Callers(bus, ["stopped"], concurrency=16) as callers:
        await pass_windows(1.2)
        workers.redis.pause()
        lost = time.time()
        try:
            await all_say(bus, "degraded_state")
            await pass_windows(1.2)
        finally:
            workers.redis.resume()
        back = time.time()
        await all_say(bus, "shared")
        await pass_windows(2)
    arrivals = workers.upstream.arrivals(path)
    assert [at for at in arrivals if lost + 1 < at < back]
    check_limit(arrivals, lost)
    check_answers(callers, 0.100)


@pytest.mark.case(63)
async def test_a_worker_that_stood_still_does_not_believe_redis_away(workers: Fleet, bus: FleetBus) -> None:
    await bus.connector("stalled", rate_limit_per_minute=0)
    before = {name: one["resilience"]["fallback"]["losses"] for name, one in (await bus.stats()).items()}
    async with Callers(bus, ["stalled"], concurrency=16) as callers:
        await eventually(lambda: callers.outcomes["result"] > 100)
        for worker in workers.workers.values():
            worker.signal(signal.SIGSTOP)
            await asyncio.sleep(0.3)
            worker.signal(signal.SIGCONT)
        seen = callers.outcomes["result"]
        await eventually(lambda: callers.outcomes["result"] > seen + 100)
    after = {name: one["resilience"]["fallback"]["losses"] for name, one in (await bus.stats()).items()}
    assert after == before
    assert set(callers.outcomes) == {"result"}
