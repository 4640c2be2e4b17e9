"""The call log: what it costs an executor, how many calls a registry stores, and what those who save drafts notice.

Two executors run the same operation in one comparison, one with the log and one without. The registry's part is its use
cases over its store, on SQLite and PostgreSQL, without the bus.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import psutil
import uvloop

from benchmarks import goals, scenario
from benchmarks.comparison import Comparison, Plan, Progress, Variant, compare
from benchmarks.processes import Placement
from benchmarks.registries import Texts
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stack import Stack, stack, upstream_server
from benchmarks.stats import figure, percentile
from services.registry.app import MIGRATIONS
from services.registry.handlers import calls, drafts
from services.registry.handlers.ports import Caller
from services.registry.store import SqlStore
from shared.contracts.calls import SUCCEEDED, ExecutedCall, ExecutedCalls
from shared.contracts.commands import SaveDraft
from shared.contracts.names import PLATFORM
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade
from shared.security.principals import Principal, Role
from tests.support.servers import postgres_server

NAME: Final = "calls"
TITLE: Final = "The call log"
_LOGGED: Final = "executor"
_UNLOGGED: Final = "executor-no-call-log"
_IN_FLIGHT: Final = (1, 64)
_TOGETHER: Final = 1_000
"""Calls in one event at most."""
_LOAD: Final = 2_000
"""Calls a second that are stored while drafts are saved."""
_EVERY_SECONDS: Final = 0.25

Samples = dict[str, dict[str, list[float]]]
"""A value for each round, by row and metric."""


def run(directory: Path, plan: Plan, progress: Progress) -> Result:
    """Executors first, then one registry after the other."""
    placement = Placement.of_this_machine()
    load = psutil.getloadavg()[0]
    with ExitStack() as running:
        upstream = running.enter_context(upstream_server(directory, placement))
        logged, unlogged = (
            running.enter_context(stack(directory / name, placement, upstream=upstream, settings=settings))
            for name, settings in (("logged", {}), ("unlogged", {"DIBOP_CALL_LOG": "false"}))
        )
        variants = [*_variants(_LOGGED, logged), *_variants(_UNLOGGED, unlogged)]
        progress(f"{len(variants)} variants, about {plan.duration(len(variants)):.0f} s")
        comparison = compare(variants, plan, progress)
    with postgres_server() as url:
        stored = uvloop.run(_registries(directory / "registry.db", url, plan, progress))
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=placement.pinned),
        settings={"rounds": plan.rounds, "seconds of a run": plan.seconds, "calls in one event": _TOGETHER},
        rows=[
            *(Row(variant.name, variant.concurrency, comparison.figures(variant.key)) for variant in variants),
            *(
                Row(name, 1, {metric: figure(values) for metric, values in metrics.items()})
                for name, metrics in stored.items()
            ),
        ],
        goals=goals.call_log_goals(comparison, f"{_LOGGED}@64", f"{_UNLOGGED}@64"),
        remarks=_remarks(comparison, [variant.key for variant in variants], placement, load),
    )


def _variants(name: str, running: Stack) -> list[Variant]:
    return [
        Variant(name, concurrency, scenario.OPERATION, running.callers, running.executor, running.servers)
        for concurrency in _IN_FLIGHT
    ]


async def _registries(file: Path, postgres_url: str, plan: Plan, progress: Progress) -> Samples:
    samples: Samples = {}
    name = f"bench_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    postgres = postgres_url.replace("postgresql://", "postgresql+asyncpg://", 1).rpartition("/")[0] + f"/{name}"
    for title, url in (("SQLite", f"sqlite+aiosqlite:///{file}"), ("PostgreSQL", postgres)):
        async with _migrated(url) as database:
            bench = _Registry(SqlStore(database))
            for number in range(plan.rounds):
                await bench.round(title, plan.seconds, samples)
                progress(f"{title}: round {number + 1} of {plan.rounds}")
    return samples


@asynccontextmanager
async def _migrated(url: str) -> AsyncIterator[Database]:
    database = Database.open(url)
    try:
        await upgrade(database, MIGRATIONS)
        yield database
    finally:
        await database.close()


class _Registry:
    """A registry that stores calls as fast as it can, and drafts that are saved with and without that beside them."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._texts = Texts(0)
        self._author = Caller(Principal("pat", PLATFORM, frozenset({Role.PLATFORM_ADMIN})), PLATFORM, "r")
        self._number = 0
        self._drafts = 0

    async def round(self, title: str, seconds: float, samples: Samples) -> None:
        def note(row: str, metrics: dict[str, float]) -> None:
            for metric, value in metrics.items():
                samples.setdefault(f"{title}: {row}", {}).setdefault(metric, []).append(value)

        stored, cpu, took = await self._store_for(seconds)
        note("store calls", {"calls/s": stored / took, "CPU µs/call": cpu / stored * 1e6})
        note("save a draft", _milliseconds(await self._save_for(seconds)))
        loading = asyncio.create_task(self._store_evenly())
        try:
            beside = await self._save_for(seconds)
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        note(f"save a draft, beside {_LOAD:,} calls/s", _milliseconds(beside))

    async def _store_for(self, seconds: float) -> tuple[int, float, float]:
        """How many calls were stored, and what CPU and time it took, in seconds."""
        began, cpu, stored = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            await calls.keep(self._store, [(scenario.ENTERPRISE, self._some(_TOGETHER))])
            stored += _TOGETHER
        return stored, time.process_time() - cpu, time.perf_counter() - began

    async def _store_evenly(self) -> None:
        due = time.perf_counter()
        while True:
            await calls.keep(self._store, [(scenario.ENTERPRISE, self._some(int(_LOAD * _EVERY_SECONDS)))])
            due += _EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _save_for(self, seconds: float) -> list[float]:
        """The times that drafts took to save, one after the other."""
        began, times = time.perf_counter(), []
        while time.perf_counter() - began < seconds:
            self._drafts += 1
            slug = f"draft-{self._drafts}"
            command = SaveDraft(slug=slug, document=self._texts.document(slug))
            started = time.perf_counter()
            await drafts.save(self._store, self._author, command)
            times.append(time.perf_counter() - started)
        return times

    def _some(self, count: int) -> ExecutedCalls:
        return ExecutedCalls("bench", [self._call() for _ in range(count)])

    def _call(self) -> ExecutedCall:
        self._number += 1
        return ExecutedCall(
            id=f"0123456789ab-{self._number}",
            request_id=uuid.uuid4().hex,
            connector=scenario.CONNECTOR,
            operation=scenario.OPERATION,
            outcome=SUCCEEDED,
            started_ms=int(time.time() * 1000),
            duration_ms=12.345,
            connection="default",
            version="1.0.0",
            status=200,
            attempts=1,
            schema_valid=True,
            reply_bytes=len(scenario.BODY),
        )


def _milliseconds(times: list[float]) -> dict[str, float]:
    return {"p50 ms": percentile(times, 0.5) * 1e3, "p99 ms": percentile(times, 0.99) * 1e3}


def _remarks(comparison: Comparison, keys: list[str], placement: Placement, load: float) -> list[str]:
    return [
        "Calls and drafts of a registry: its use cases over its store, without the bus. Drafts have 20 operations.",
        *goals.remarks(comparison, keys, pinned=placement.pinned, load=load),
    ]
