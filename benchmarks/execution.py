"""One executor beside the usual clients: throughput, latency, CPU for one operation, memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil

from benchmarks import goals, scenario
from benchmarks.comparison import Comparison, Plan, Progress, Variant, compare
from benchmarks.processes import Placement, Process, Runner
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stack import Stack, stack, upstream_server

NAME: Final = "execution"
TITLE: Final = "One executor beside the usual clients"
_IN_FLIGHT: Final = (1, 16, 64, 256)
_PEERS: Final[dict[str, tuple[int, ...]]] = {
    "aiohttp": _IN_FLIGHT,
    "httpx": (1, 2, 4, 8, 16),
    "diy-httpx": (64,),
    "diy-httpx-aiohttp": (64,),
}


def run(directory: Path, plan: Plan, progress: Progress) -> Result:
    """Executor and peers at their concurrencies, and the same operation without its schema check."""
    placement = Placement.of_this_machine()
    load = psutil.getloadavg()[0]
    with (
        upstream_server(directory, placement) as upstream,
        _peers(directory, placement, upstream) as peers,
        stack(directory, placement, upstream=upstream) as running,
    ):
        variants = [*_executor_variants(running), *peers]
        progress(f"{len(variants)} variants, about {plan.duration(len(variants)):.0f} s")
        comparison = compare(variants, plan, progress)
    return _result(comparison, variants, plan, placement, load)


def _executor_variants(running: Stack) -> list[Variant]:
    def variant(name: str, concurrency: int, operation: str) -> Variant:
        return Variant(name, concurrency, operation, running.callers, running.executor, running.servers)

    return [
        *(variant("executor", concurrency, scenario.OPERATION) for concurrency in _IN_FLIGHT),
        variant("executor-no-schema", 64, scenario.UNCHECKED_OPERATION),
    ]


@contextmanager
def _peers(directory: Path, placement: Placement, upstream: tuple[str, Process]) -> Iterator[list[Variant]]:
    url, server = upstream
    with ExitStack() as processes:
        variants = []
        for name, concurrencies in _PEERS.items():
            log = directory / f"{name}.log"
            peer = processes.enter_context(Runner("benchmarks.peers", name, url, log=log, cores=placement.worker))
            variants += [
                Variant(name, concurrency, scenario.OPERATION, [peer], peer, {"upstream": server})
                for concurrency in concurrencies
            ]
        yield variants


def _result(comparison: Comparison, variants: list[Variant], plan: Plan, placement: Placement, load: float) -> Result:
    keys = [variant.key for variant in variants]
    rate = "req/s"
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=placement.pinned),
        settings={"rounds": plan.rounds, "seconds of a run": plan.seconds, "seconds of warm-up": plan.warm_up},
        rows=[Row(variant.name, variant.concurrency, comparison.figures(variant.key)) for variant in variants],
        goals=[
            *goals.execution_goals(comparison),
            goals.schema_goal(
                comparison.metric(goals.EXECUTOR_64, rate), comparison.metric("executor-no-schema@64", rate)
            ),
        ],
        remarks=goals.remarks(comparison, keys, pinned=placement.pinned, load=load),
    )
