"""What a worker keeps of a full catalogue: its memory and its start with no connector, and with all of them."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import nats

from benchmarks.comparison import Progress
from benchmarks.processes import Process
from benchmarks.registries import slug_of
from benchmarks.results import Row, now
from benchmarks.stats import figure
from shared.contracts import subjects
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.messaging.bootstrap import bootstrap
from tests.support.servers import nats_server, redis_server

_AT_ONCE: Final = 500


def rows(directory: Path, connectors: int, rounds: int, progress: Progress) -> list[Row]:
    """Workers in fresh processes, so many for each catalogue."""
    with nats_server(directory / "nats") as nats_url, redis_server(directory / "redis") as redis_url:
        environment = {"DIBOP_NATS_URL": nats_url, "DIBOP_REDIS_URL": redis_url}
        asyncio.run(_catalogue(nats_url, 0))
        empty = [_worker(directory / f"empty-{number}.log", environment) for number in range(rounds)]
        asyncio.run(_catalogue(nats_url, connectors))
        full = [_worker(directory / f"full-{number}.log", environment) for number in range(rounds)]
    progress(f"worker: {full[0][0] / 2**20:.0f} MiB with {connectors:,} connectors")
    grown = [(with_all - without) / connectors for (with_all, _), (without, _) in zip(full, empty, strict=True)]
    return [
        _row("worker, no connector", empty),
        _row(f"worker, {connectors:,} connectors", full),
        Row("worker, for each connector", 0, {"KB": figure([size / 1024 for size in grown])}),
    ]


def _row(name: str, taken: Sequence[tuple[int, float]]) -> Row:
    return Row(
        name,
        0,
        {
            "resident MiB": figure([memory / 2**20 for memory, _ in taken]),
            "ready s": figure([seconds for _, seconds in taken]),
        },
    )


def _worker(log: Path, environment: dict[str, str]) -> tuple[int, float]:
    """Resident bytes of a worker that is ready, and the seconds until then."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "services.executor"]
    with Process(argv, log=log, cores=frozenset(), environment=environment) as worker:
        worker.wait_until(lambda: b'"Ready"' in log.read_bytes())
        return worker.memory_bytes(), time.monotonic() - began


async def _catalogue(nats_url: str, connectors: int) -> None:
    """Streams and buckets, and so many entries as the publisher writes them."""
    nc = await nats.connect(nats_url)
    try:
        await bootstrap(nc.jetstream())
        store = await nc.jetstream().key_value(subjects.CATALOGUE_BUCKET)
        for first in range(0, connectors, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, connectors))
            await asyncio.gather(*(store.put(*_entry(number)) for number in numbers))
    finally:
        await nc.close()


def _entry(number: int) -> tuple[str, bytes]:
    slug = slug_of(number)
    version = CatalogueVersion("1.0.0", f"sha256:{hashlib.sha256(slug.encode()).hexdigest()}", "published", now())
    entry = CatalogueEntry(slug, PLATFORM, 1, [version])
    return subjects.catalogue_key(PLATFORM, slug), msgspec.json.encode(entry)
