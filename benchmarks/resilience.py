"""What limits and circuits that all workers share cost: the worker, Redis, and the memory of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil
import redis

from benchmarks import goals, scenario
from benchmarks.comparison import Comparison, Plan, Progress, Variant, compare
from benchmarks.permits import LEASE_MS, RATE, RECOVERY_MS, THRESHOLD, WAYS, scope_key
from benchmarks.processes import Placement, Runner
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stack import Stack, redis_process, stack, upstream_server
from benchmarks.stats import figure, ratio
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Ask, Limits

NAME: Final = "resilience"
TITLE: Final = "Limits and circuits shared by all workers"
_IN_FLIGHT: Final = 64
_WORKERS: Final = 4
_SCOPES: Final = {"dibop": (1, 100, 10_000), "plain": (1,), "zset": (1,)}
_MEMORY: Final = ((10_000, 1), (1_000, 60))
"""Scopes, and permits in the log of each."""


def run(directory: Path, plan: Plan, progress: Progress) -> Result:
    """Permits by themselves, and whole executors: with limits and without, one and four on one core."""
    placement = Placement.of_this_machine()
    load = psutil.getloadavg()[0]
    with ExitStack() as running:
        upstream = running.enter_context(upstream_server(directory, placement))
        one, four = (
            running.enter_context(stack(directory / name, placement, upstream=upstream, workers=workers))
            for name, workers in (("one", 1), ("four", _WORKERS))
        )
        variants = [*_executors(one, four), *running.enter_context(_permits(directory, placement))]
        progress(f"{len(variants)} variants, about {plan.duration(len(variants)):.0f} s")
        comparison = compare(variants, plan, progress)
    rows = [Row(variant.name, variant.concurrency, comparison.figures(variant.key)) for variant in variants]
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=placement.pinned),
        settings={"rounds": plan.rounds, "seconds of a run": plan.seconds, "seconds of warm-up": plan.warm_up},
        rows=[*rows, *_memory(directory, placement)],
        goals=goals.resilience_goals(comparison),
        remarks=_remarks(comparison, [variant.key for variant in variants], placement, load),
    )


def _executors(one: Stack, four: Stack) -> list[Variant]:
    def variant(name: str, running: Stack, operation: str = scenario.OPERATION) -> Variant:
        return Variant(name, _IN_FLIGHT, operation, running.callers, running.executor, running.servers)

    return [
        variant("executor", one),
        variant("executor-no-limits", one, scenario.UNLIMITED_OPERATION),
        variant(f"{_WORKERS}-executors", four),
    ]


@contextmanager
def _permits(directory: Path, placement: Placement) -> Iterator[list[Variant]]:
    with ExitStack() as processes:
        port, server = processes.enter_context(redis_process(directory / "permits", placement))
        variants = []
        for name in WAYS:
            log = directory / f"permits-{name}.log"
            url = f"redis://127.0.0.1:{port}/0"
            runner = processes.enter_context(Runner("benchmarks.permits", name, url, log=log, cores=placement.worker))
            variants += [
                Variant(f"permits-{name}-{scopes}", _IN_FLIGHT, str(scopes), [runner], runner, {"Redis": server})
                for scopes in _SCOPES[name]
            ]
        yield variants


def _memory(directory: Path, placement: Placement) -> list[Row]:
    return [
        Row(
            f"Redis memory, {permits} {'permit' if permits == 1 else 'permits'} in a log",
            0,
            {
                "bytes per scope": figure(
                    [_bytes_per_scope(directory / f"memory-{permits}", placement, scopes, permits)]
                )
            },
        )
        for scopes, permits in _MEMORY
    ]


def _bytes_per_scope(directory: Path, placement: Placement, scopes: int, permits: int) -> float:
    """Memory of a fresh Redis that holds so many scopes, each with a circuit that is closed and a log of permits."""
    with redis_process(directory, placement) as (port, _):
        url = f"redis://127.0.0.1:{port}/0"
        asyncio.run(_fill(url, 1, 1))
        with redis.Redis.from_url(url) as client:
            before = client.info("memory")["used_memory"]
            asyncio.run(_fill(url, scopes, permits))
            after = client.info("memory")["used_memory"]
    return float(after - before) / scopes


async def _fill(url: str, scopes: int, permits: int) -> None:
    state = RedisState(url)
    limits = Limits(RATE, THRESHOLD, RECOVERY_MS)
    try:
        for first in range(0, scopes, 500):
            asks = [Ask(scope_key(number), limits, 0, LEASE_MS) for number in range(first, min(first + 500, scopes))]
            for _ in range(permits):
                await asyncio.gather(*(state.acquire(ask) for ask in asks))
    finally:
        await state.close()


def _remarks(comparison: Comparison, keys: list[str], placement: Placement, load: float) -> list[str]:
    def rates(key: str) -> list[float]:
        return comparison.metric(f"{key}@{_IN_FLIGHT}", "req/s")

    faster = ratio(rates("permits-dibop-1"), rates("permits-plain-1"))
    pairs = zip(rates("executor"), rates("executor-no-limits"), strict=True)
    lost = figure([1 - limited / free for limited, free in pairs])
    what = (
        "permits-dibop, -plain and -zset are permits alone, by the number of scopes that they are spread over: as a "
        "worker asks for them, the same scripts called one by one with redis-py, and a sorted set with redis-py, which "
        "has no circuit."
    )
    cost = (
        f"Rate limit and circuit cost an executor {lost.median:.0%} of its throughput ({lost.low:.0%} to "
        f"{lost.high:.0%}). Without them one question for each attempt is left: whether there is a cooldown."
    )
    return [
        what,
        f"A worker gets {faster.median:.1f} times as many permits a second as one that calls redis-py for each.",
        cost,
        *goals.remarks(comparison, keys, pinned=placement.pinned, load=load),
    ]
