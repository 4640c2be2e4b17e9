"""Eight worker processes before one upstream: limits and circuits hold for all of them together.

What is asserted is what the upstream has logged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from shared.contracts.errors import DibopError
from tests.support.fleet import ANSWERS, Callers, Fleet, FleetBus, fleet, most_within
from tests.support.polling import eventually

pytestmark = pytest.mark.timeout(240)

WORKERS: Final = 8
LIMIT: Final = 40
MINUTE: Final = 60.0


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Servers at first; the tests see that all workers are there."""
    with fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
async def bus(workers: Fleet) -> AsyncIterator[FleetBus]:
    made = await FleetBus.of(workers)
    yield made
    await made.nc.close()


@pytest.fixture
def all_workers(workers: Fleet) -> Fleet:
    workers.start(WORKERS - len(workers.workers))
    return workers


async def call(bus: FleetBus, slug: str) -> str:
    """One request: `result`, or the code of its error."""
    try:
        await bus.execute(slug, "call")
    except DibopError as error:
        return error.code
    return "result"


@pytest.mark.case(2)
async def test_no_minute_has_more_attempts_than_the_limit_whoever_sends_them(workers: Fleet, bus: FleetBus) -> None:
    # given workers that start at random times while requests come in
    path = await bus.connector("steady", rate_limit_per_minute=LIMIT)
    workers.start()
    async with Callers(bus, ["steady"], concurrency=12, pause=0.2) as callers:
        begun = time.time()
        while len(workers.workers) < WORKERS:
            await asyncio.sleep(random.uniform(0.2, 1.2))
            workers.launch()
        # when these go on for a minute, and into the next
        await eventually(lambda: workers.ready() == WORKERS, 60)
        await eventually(lambda: time.time() - begun > MINUTE + 4, 80)
    # then all that may go have gone, at once, and no minute has one more
    arrivals = workers.upstream.arrivals(path)
    assert most_within(arrivals, MINUTE) == LIMIT
    assert len(arrivals) > LIMIT, "the next minute has its own"
    assert set(callers.outcomes) <= ANSWERS
    served = await bus.stats()
    assert len(served) == WORKERS
    assert all(one["requests"] for one in served.values())


@pytest.mark.case(15)
async def test_failures_of_parallel_calls_in_several_workers_add_up(all_workers: Fleet, bus: FleetBus) -> None:
    threshold = 16
    path = await bus.connector(
        "adding", rate_limit_per_minute=0, circuit_breaker_threshold=threshold, circuit_breaker_recovery_seconds=60
    )
    all_workers.upstream.set("adding", status=500)
    before = {name: one["resilience"]["permits"] for name, one in (await bus.stats()).items()}
    await asyncio.gather(*(call(bus, "adding") for _ in range(threshold - 1)))
    took_part = [name for name, one in (await bus.stats()).items() if one["resilience"]["permits"] > before[name]]
    assert len(took_part) > 1
    assert await call(bus, "adding") == "result", "one failure is missing still, and this is it"
    assert {await call(bus, "adding") for _ in range(2 * WORKERS)} == {"circuit-open"}
    assert len(all_workers.upstream.arrivals(path)) == threshold


@pytest.mark.case(17)
@pytest.mark.case(18)
async def test_of_all_workers_exactly_one_probes(all_workers: Fleet, bus: FleetBus) -> None:
    # given an open circuit whose recovery has passed
    path = await bus.connector(
        "probed", rate_limit_per_minute=0, circuit_breaker_threshold=1, circuit_breaker_recovery_seconds=1
    )
    all_workers.upstream.set("probed", status=500)
    await call(bus, "probed")
    opened = time.monotonic()
    all_workers.upstream.set("probed", status=200, delay=1)
    await eventually(lambda: time.monotonic() - opened > 1.1)
    # when all workers are asked at once, and again while the probe is under way
    outcomes = await asyncio.gather(*(call(bus, "probed") for _ in range(20 * WORKERS)))
    # then one goes, and after its success everyone may
    assert sorted(outcomes) == ["circuit-open"] * (20 * WORKERS - 1) + ["result"]
    assert len(all_workers.upstream.arrivals(path)) == 2
    all_workers.upstream.set("probed", status=200)
    assert await asyncio.gather(*(call(bus, "probed") for _ in range(WORKERS))) == ["result"] * WORKERS


@pytest.mark.case(20)
async def test_after_the_probes_worker_was_killed_the_next_probe_waits_for_its_lease(
    all_workers: Fleet, bus: FleetBus
) -> None:
    # given a probe that is under way in one of the workers
    timeout, lease = 2.0, 2.0 + 5.0
    path = await bus.connector(
        "leased",
        rate_limit_per_minute=0,
        circuit_breaker_threshold=1,
        circuit_breaker_recovery_seconds=1,
        timeout_seconds=timeout,
    )
    upstream = all_workers.upstream
    upstream.set("leased", status=500)
    await call(bus, "leased")
    upstream.set("leased", status=200, delay=timeout - 0.5)
    await eventually(lambda: time.time() - upstream.arrivals(path)[0] > 1.1)
    probe = asyncio.create_task(bus.nc.request("exec.v1.acme.leased.call", b"", timeout=30))
    await eventually(lambda: len(upstream.arrivals(path)) == 2)
    (holder,) = [name for name, one in (await bus.stats()).items() if one["in_flight"]]
    # when that worker is killed
    all_workers.kill(holder)
    upstream.set("leased", status=200)
    # then another probes when the lease has ended, not before
    assert await call(bus, "leased") == "circuit-open"

    async def is_closed() -> bool:
        return await call(bus, "leased") == "result"

    await eventually(is_closed, 10 * lease)
    _, first, second = upstream.arrivals(path)[:3]
    assert second - first >= lease - 0.1
    probe.cancel()


@pytest.mark.case(42)
async def test_a_429_that_one_worker_sees_pauses_all_of_them(all_workers: Fleet, bus: FleetBus) -> None:
    path = await bus.connector("paused", rate_limit_per_minute=0)
    all_workers.upstream.set("paused", status=429, retry_after=2)
    await call(bus, "paused")
    all_workers.upstream.set("paused", status=200)
    async with Callers(bus, ["paused"], concurrency=4 * WORKERS, deadline_ms=10_000) as callers:
        await eventually(lambda: callers.outcomes["result"] > 4 * WORKERS, 20)
    first, second = all_workers.upstream.arrivals(path)[:2]
    assert second - first >= 2.0
    assert set(callers.outcomes) == {"result"}
