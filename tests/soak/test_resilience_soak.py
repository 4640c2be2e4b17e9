"""Minutes of bad luck: an upstream that fails at random, a Redis that dies and stands still, workers that are killed.

`DIBOP_SOAK_RESILIENCE_MINUTES` says how long (3 minutes unless told otherwise). The window of limits is 6 s, its guard
of half a second included. Assertions are made on the upstream's log of arrivals.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from tests.support.fleet import ANSWERS, Callers, Fleet, FleetBus, fleet, most_within
from tests.support.polling import eventually

MINUTES: Final = float(os.environ.get("DIBOP_SOAK_RESILIENCE_MINUTES", "3"))
WORKERS: Final = 4
WINDOW: Final = 6.0
GUARD: Final = 0.5
SEEN: Final = WINDOW - GUARD
"""What the upstream sees of a window."""
LIMITS: Final = {"wide": 60, "narrow": 12}
RECOVERY: Final = 1.0
SETTLES: Final = 2.0
"""How long after an upstream has died attempts may still come that were under way, or that open the circuit."""
_AWAY: Final = "Redis is away"
_BACK: Final = "Redis is back"
DEFAULTS: Final[dict[str, Any]] = {"circuit_breaker_threshold": 4, "circuit_breaker_recovery_seconds": RECOVERY}
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"status": 200},
    {"status": 200, "delay": 0.2},
    {"status": 404},
    {"status": 500},
    {"status": 503, "retry_after": 1},
    {"status": 429, "retry_after": 1},
    {"status": 0},
    {"status": 200, "delay": 3},
)


@dataclass
class Diary:
    """What has happened, in Unix seconds; a phase is from when to when the upstream of `dying` was dead."""

    emptied: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    died: dict[str, float] = field(default_factory=dict)
    phases: list[tuple[float, float]] = field(default_factory=list)
    alone: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By worker: from when to when it went without Redis, as it says itself."""

    def read(self, workers: Fleet) -> None:
        """Take in what the workers have logged."""
        for at, worker, said in workers.logged(_AWAY, _BACK):
            times = self.alone.setdefault(worker, [])
            if said == _AWAY:
                times.append((at, self.died.get(worker, inf)))
            else:
                times[-1] = (times[-1][0], at)

    def went_alone(self, begun: float, ended: float) -> int:
        """How often a worker was alone between two times."""
        return sum(since <= ended and until >= begun for times in self.alone.values() for since, until in times)

    def all_alone(self, begun: float, ended: float) -> bool:
        """Whether every worker was, all the time, as far as they say."""
        covered = [any(since <= begun and until >= ended for since, until in times) for times in self.alone.values()]
        return sum(covered) >= WORKERS

    def story(self, begun: float, ended: float) -> str:
        """What happened between two times, in seconds before the second."""
        events = [(at, "Redis killed") for at in self.emptied] + [(at, "Redis stopped") for at in self.stopped]
        events += [(at, f"{worker} killed") for worker, at in self.died.items()]
        for worker, times in self.alone.items():
            events += [(since, f"{worker} alone for {until - since:.2f} s") for since, until in times]
        return "; ".join(f"{at - ended:.2f} {what}" for at, what in sorted(events) if begun < at < ended)


@pytest.fixture
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet"), rate_window_ms=str(round(WINDOW * 1000))) as made:
        made.start(WORKERS)
        yield made


async def moody(workers: Fleet) -> None:
    """Two upstreams whose behaviour changes every few seconds."""
    while True:
        for slug in LIMITS:
            await asyncio.to_thread(workers.upstream.set, slug, **random.choice(FAULTS))
        await asyncio.sleep(random.uniform(0.5, 3))


async def dying(workers: Fleet, diary: Diary) -> None:
    """One that is dead for a while, and then well for a while."""
    while True:
        await asyncio.to_thread(workers.upstream.set, "dying", status=500, delay=0.2)
        begun = time.time()
        await asyncio.sleep(random.uniform(6, 12))
        diary.phases.append((begun, time.time()))
        await asyncio.to_thread(workers.upstream.set, "dying", status=200)
        await asyncio.sleep(random.uniform(2, 5))


async def misfortune(workers: Fleet, diary: Diary, end: float) -> None:
    """One thing after another happens to Redis and to the workers."""
    bag: list[str] = []
    while time.monotonic() < end:
        await asyncio.sleep(random.uniform(2, 8))
        bag = bag or random.sample(("killed", "stopped", "stopped", "worker", "worker"), 5)
        what = bag.pop()
        if what == "worker":
            name = random.choice(list(workers.workers))
            diary.died[name] = time.time()
            workers.kill(name)
            workers.launch()
            await eventually(lambda: workers.ready() == WORKERS, 60)
        elif what == "stopped":
            diary.stopped.append(time.time())
            workers.redis.pause()
            try:
                await asyncio.sleep(random.uniform(0.5, 8))
            finally:
                workers.redis.resume()
        else:
            diary.emptied.append(time.time())
            workers.redis.kill()
            await asyncio.sleep(random.uniform(0, 8))
            await asyncio.to_thread(workers.redis.start)


def over_the_limit(arrivals: list[float], limit: int, diary: Diary) -> list[str]:
    """Windows with more than the limit, and a worker's share for each that went alone: 2 N if all of them did.

    Once all are alone there is no more than the limit again. A Redis that lost its data, perhaps so briefly that no
    worker noticed, knows nothing of what it had granted: 2 N in the window that spans the loss.
    """
    over, first = [], 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - SEEN:
            first += 1
        begun, share = at - SEEN - GUARD, ceil(limit / WORKERS)
        extra = 0 if diary.all_alone(begun, at) else min(limit, share * diary.went_alone(begun, at))
        if any(begun <= emptied <= at for emptied in diary.emptied):
            extra = limit
        if last - first + 1 > limit + extra:
            over.append(f"{last - first + 1} of {limit + extra}: {diary.story(at - 2 * WINDOW, at)}")
    return over


def crowded_probes(arrivals: list[float], diary: Diary) -> list[str]:
    """Attempts that met a dead upstream too soon after one another, though its circuit was open.

    A circuit that opens while Redis is away is each worker's own, and a Redis that comes back empty knows of none: what
    is seen then is not looked at.
    """
    crowded, probes = [], 0
    for begun, ended in diary.phases:
        backs = [until for times in diary.alone.values() for since, until in times if since < begun + SETTLES < until]
        settled = max([begun, *backs]) + SETTLES
        if any(begun - WINDOW < one < ended for one in diary.emptied):
            continue
        seen = [at for at in arrivals if settled < at < ended]
        probes += len(seen)
        if most_within(seen, RECOVERY - 0.1) > 1:
            crowded.append(f"{[f'{at - ended:.2f}' for at in seen]}; {diary.story(begun - WINDOW, ended)}")
    print(f"{probes} probes")
    assert probes
    return crowded


@pytest.mark.case(2)
@pytest.mark.case(51)
@pytest.mark.case(52)
@pytest.mark.timeout(int(MINUTES * 60 + 240))
async def test_limits_and_circuits_hold_whatever_happens(workers: Fleet) -> None:
    # given a fleet at work
    bus, diary = await FleetBus.of(workers), Diary()
    await bus.settled(WORKERS)
    paths = {
        slug: await bus.connector(
            slug,
            rate_limit_per_minute=rate,
            max_retries=retries,
            retry_delay_seconds=0.2,
            timeout_seconds=2,
            **DEFAULTS,
        )
        for slug, rate, retries in (("wide", LIMITS["wide"], 2), ("narrow", LIMITS["narrow"], 0), ("dying", 0, 0))
    }
    # when everything goes wrong for a while
    async with Callers(bus, list(paths), concurrency=24, deadline_ms=3000) as callers:
        luck = [asyncio.create_task(moody(workers)), asyncio.create_task(dying(workers, diary))]
        await misfortune(workers, diary, time.monotonic() + MINUTES * 60)
        for task in luck:
            task.cancel()
        await asyncio.gather(*luck, return_exceptions=True)
    arrivals = {slug: workers.upstream.arrivals(path) for slug, path in paths.items()}
    diary.read(workers)
    print(f"{len(callers.answers)} requests: {dict(callers.outcomes)}")
    print(f"attempts: { {slug: len(one) for slug, one in arrivals.items()} }")
    print(
        f"Redis killed {len(diary.emptied)} times, stopped {len(diary.stopped)} times; {len(diary.died)} workers killed"
    )
    # then no window is over its limit, no circuit was probed twice, and every request was answered
    for slug, limit in LIMITS.items():
        assert most_within(arrivals[slug], SEEN) > limit / 2, "the limit was not put to the test"
        assert over_the_limit(arrivals[slug], limit, diary) == []
    assert crowded_probes(arrivals["dying"], diary) == []
    check_answers(callers, diary)
    # and at the end all circuits close
    for slug in paths:
        workers.upstream.set(slug, status=200)
    await all_closed(workers, bus, list(paths))
    await bus.nc.close()


def check_answers(callers: Callers, diary: Diary) -> None:
    """None is without an answer but what a killed worker had taken."""
    assert set(callers.outcomes) <= ANSWERS | {"circuit-open", "upstream-unreachable", "none"}
    offset = time.time() - time.monotonic()
    unanswered = [answer for answer in callers.answers if answer.outcome == "none"]
    lost = [
        answer
        for answer in unanswered
        if not any(answer.begin + offset - 1 <= killed <= answer.begin + offset + 4 for killed in diary.died.values())
    ]
    assert lost == []
    assert len(unanswered) <= callers.concurrency * len(diary.died)


async def all_closed(workers: Fleet, bus: FleetBus, slugs: list[str]) -> None:
    async with Redis.from_url(workers.redis.url) as redis, Callers(bus, slugs, concurrency=8) as callers:

        async def closed() -> bool:
            stats = await bus.stats()
            circuits = [key async for key in redis.scan_iter("res:*:c")]
            states = [await redis.hget(key, "s") for key in circuits]
            return (
                len(circuits) >= len(slugs)
                and not any(states)
                and all(one["resilience"]["state"] == "shared" for one in stats.values())
            )

        await eventually(closed, 60)
        seen = len(callers.answers)
        await eventually(lambda: len(callers.answers) > seen + 100, 60)
    assert {answer.outcome for answer in callers.answers[seen:]} <= ANSWERS
