"""The goals, judged on a comparison. Each compares figures of the same run, never of another machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.comparison import Comparison
from benchmarks.results import Goal
from benchmarks.stats import NOISE_SPREAD, Figure, difference, figure, ratio

EXECUTOR_64: Final = "executor@64"
EXECUTOR_1: Final = "executor@1"
AIOHTTP_64: Final = "aiohttp@64"
AIOHTTP_1: Final = "aiohttp@1"
HTTPX_1: Final = "httpx@1"
DIY_AIOHTTP_64: Final = "diy-httpx-aiohttp@64"
HTTPX_TUNINGS: Final = ("httpx@1", "httpx@2", "httpx@4", "httpx@8", "httpx@16")
IDLE_LOAD: Final = 0.5
SATURATED: Final = 0.9
"""The share of its core from which on a worker counts as the bottleneck of its own run."""


def execution_goals(comparison: Comparison) -> list[Goal]:
    """Goals 1 to 5."""

    def rates(key: str) -> Sequence[float]:
        return comparison.metric(key, "req/s")

    def of(metric: str) -> Callable[[str], list[float]]:
        return lambda key: comparison.metric(key, metric)

    cpu, p50 = of("CPU µs/op"), of("p50 ms")
    tuned = comparison.best(HTTPX_TUNINGS)
    ours = rates(EXECUTOR_64)
    return [
        Goal("1", "throughput, 64 in flight, over bare aiohttp", ratio(ours, rates(AIOHTTP_64)), 0.8, True),
        Goal("2", f"throughput, 64 in flight, over tuned httpx ({tuned})", ratio(ours, rates(tuned)), 6.0, True),
        Goal(
            "2",
            "throughput, 64 in flight, over the do-it-yourself stack on httpx-aiohttp",
            ratio(ours, rates(DIY_AIOHTTP_64)),
            5.0,
            True,
        ),
        Goal(
            "3",
            "CPU of the worker per operation, 64 in flight, over bare aiohttp",
            ratio(cpu(EXECUTOR_64), cpu(AIOHTTP_64)),
            1.25,
            False,
        ),
        Goal("4", "p50 one at a time over direct httpx", ratio(p50(EXECUTOR_1), p50(HTTPX_1)), 1.0, False),
        Goal(
            "4",
            "p50 one at a time, added to bare aiohttp",
            difference(p50(EXECUTOR_1), p50(AIOHTTP_1)),
            0.35,
            False,
            "ms",
        ),
        Goal("5", "p99 / p50, 64 in flight", figure(comparison.metric(EXECUTOR_64, "p99/p50")), 2.0, False),
    ]


def schema_goal(checked: Sequence[float], unchecked: Sequence[float]) -> Goal:
    """The part of goal 10 that can be switched off: throughput lost to the response schema check."""
    lost = [1 - with_check / without for with_check, without in zip(checked, unchecked, strict=True)]
    return Goal("10", "share of throughput that the response schema check costs", figure(lost), 0.25, False)


def call_log_goals(comparison: Comparison, logged: str, unlogged: str) -> list[Goal]:
    """The call log's part of goal 10, as throughput lost, and as CPU of the worker for each operation."""
    rates = zip(comparison.metric(logged, "req/s"), comparison.metric(unlogged, "req/s"), strict=True)
    cpu = ratio(comparison.metric(logged, "CPU µs/op"), comparison.metric(unlogged, "CPU µs/op"))
    return [
        Goal(
            "10",
            "share of throughput that the call log costs, 64 in flight",
            figure([1 - with_log / without for with_log, without in rates]),
            0.25,
            False,
        ),
        Goal("10", "CPU of the worker per operation, 64 in flight, over the same without call log", cpu, 1.25, False),
    ]


def resilience_goals(comparison: Comparison) -> list[Goal]:
    """Goals 6 and 8."""

    def over(metric: str, ours: str, theirs: str) -> Figure:
        return ratio(comparison.metric(ours, metric), comparison.metric(theirs, metric))

    redis, cpu = "Redis µs/op", "CPU µs/op"
    permits, zset = "permits-dibop-1@64", "permits-zset-1@64"
    return [
        Goal("6", "Redis CPU per attempt, over a sorted set per call", over(redis, permits, zset), 0.3, False),
        Goal(
            "8", "CPU per operation, 4 workers on one core over 1", over(cpu, "4-executors@64", EXECUTOR_64), 1.3, False
        ),
    ]


def footprint_goals(bytes_per_template: Sequence[float], collection_seconds: Sequence[float]) -> list[Goal]:
    """Goal 7."""
    return [
        Goal(
            "7",
            "memory per compiled template",
            figure([size / 1024 for size in bytes_per_template]),
            8.0,
            False,
            "KB",
        ),
        Goal(
            "7",
            "full garbage collection with all templates loaded",
            figure([s * 1e3 for s in collection_seconds]),
            20.0,
            False,
            "ms",
        ),
    ]


def catalogue_goals(ours: Sequence[float], alone: Sequence[float]) -> list[Goal]:
    """Goal 9, from the medians of each round."""
    return [
        Goal("9", "search among 10,000 connectors, p50 over sqlite3 alone", ratio(ours, alone), 1.5, False),
    ]


def remarks(comparison: Comparison, keys: Sequence[str], *, pinned: bool, load: float) -> list[str]:
    """What a reader must know before trusting the figures; `load` is the load average when the run began."""
    said = []
    if load > IDLE_LOAD:
        said.append(f"The machine was busy with other work when the run began (load average {load:.1f}): run it again.")
    if not pinned:
        said.append("Processes were not pinned (one core, or a system that cannot): trust CPU per operation alone.")
    for key in keys:
        busy = figure(comparison.metric(key, "worker busy")).median
        if key.endswith("@64") and busy < SATURATED:
            said.append(
                f"{key} used {busy:.0%} of its core: something else was the bottleneck, or the machine was busy. Its "
                "req/s is a lower bound; trust its CPU per operation."
            )
    noisy = [key for key in keys if figure(comparison.metric(key, "req/s")).noisy]
    if noisy:
        said.append(f"Noise (req/s differs by more than {NOISE_SPREAD:.0%} between rounds): {', '.join(noisy)}.")
    return said
