"""Executors as processes of their own, on one NATS, one Redis and one upstream, without registry and publisher."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import httpx
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEADLINE_HEADER
from shared.messaging.bootstrap import bootstrap
from shared.messaging.connection import connect
from shared.settings import BusSettings
from tests.integration.executor.world import ENTERPRISE, Bus, read
from tests.support.inboxes import TEST_INBOXES
from tests.support.polling import eventually, wait_until
from tests.support.processes import ManagedProcess
from tests.support.servers import NatsServer, RedisServer, fault_server

REPOSITORY: Final = Path(__file__).parents[2]
ANSWERS: Final = frozenset({"result", "rate-limited", "deadline-exceeded", "upstream-timeout"})
"""What callers may hear of a limit: a permit may come just before their deadline, or too late."""
_UNANSWERED_SECONDS: Final = 5.0
"""After its deadline a request is answered soon, or never."""
_READY: Final = '"Ready"'


class Upstream:
    """The fault server at `url`, and its log of arrivals."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url)

    def close(self) -> None:
        self._client.close()

    def set(self, name: str, **mode: Any) -> None:
        """How `/mode/<name>` answers from now on: status, delay, retry_after."""
        self._client.put(f"/__mode/{name}", params=mode).raise_for_status()

    def arrivals(self, path: str) -> list[float]:
        """When requests for `path` arrived, in Unix seconds, oldest first."""
        log = self._client.get("/__log").raise_for_status().json()
        return sorted(arrival["at"] for arrival in log if arrival["path"] == path)


@dataclass
class Fleet:
    """Workers by name. `environment` is what each of them gets."""

    nats: NatsServer
    redis: RedisServer
    upstream: Upstream
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: dict[str, ManagedProcess] = field(default_factory=dict)
    _started: int = 0

    def start(self, count: int = 1) -> list[str]:
        """Start workers, and return their names once all of them are ready."""
        names = [self.launch() for _ in range(count)]
        for name in names:
            wait_until(lambda name=name: self.is_ready(name), 60, what=f"{name} is ready")  # type: ignore[misc]
        return names

    def launch(self) -> str:
        """Start one worker, and do not wait for it."""
        self._started += 1
        name = f"worker-{self._started}"
        worker = ManagedProcess(
            [sys.executable, "-m", "services.executor"],
            log=self.directory / f"{name}.log",
            ready=lambda: True,
            cwd=REPOSITORY,
            environment={
                "DIBOP_NATS_URL": self.nats.url,
                "DIBOP_REDIS_URL": self.redis.url,
                "DIBOP_EGRESS_ALLOW": self.upstream.url.removeprefix("http://"),
                "DIBOP_WORKER": name,
                "DIBOP_DRAIN_SECONDS": "2",
                **self.environment,
            },
        )
        worker.start()
        self.workers[name] = worker
        return name

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye."""
        self.workers.pop(name).kill()

    def logged(self, *texts: str) -> list[tuple[float, str, str]]:
        """When (Unix seconds) which worker, the dead ones too, has logged one of these beginnings of a message."""
        found = []
        for file in self.directory.glob("worker-*.log"):
            for line in file.read_text(errors="replace").splitlines():
                said = json.loads(line) if line.startswith("{") else {}
                for text in texts:
                    if str(said.get("event", "")).startswith(text):
                        at = datetime.fromisoformat(said["timestamp"]).timestamp()
                        found.append((at, file.stem, text))
        return sorted(found)

    def is_ready(self, name: str) -> bool:
        return _READY in self.workers[name].output

    def ready(self) -> int:
        """How many workers are."""
        return sum(self.is_ready(name) for name in self.workers)

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.kill()


@contextmanager
def fleet(directory: Path, **environment: str) -> Iterator[Fleet]:
    """Servers and an upstream of its own; no worker yet. `environment` are DIBOP_ settings in lower case."""
    nats, redis = NatsServer(directory / "nats"), RedisServer(directory / "redis")
    settings = {f"DIBOP_{name.upper()}": value for name, value in environment.items()}
    with fault_server(directory) as url, closing(Upstream(url)) as upstream:
        made = Fleet(nats, redis, upstream, directory, settings)
        try:
            nats.start()
            redis.start()
            asyncio.run(_bootstrap(nats.url))
            yield made
        finally:
            made.stop()
            redis.kill()
            nats.kill()


async def _bootstrap(url: str) -> None:
    nc = await connect(BusSettings(nats_url=url, nats_inbox_prefix=TEST_INBOXES), name="test", wait_seconds=10)
    await bootstrap(nc.jetstream())
    await nc.close()


@dataclass
class FleetBus(Bus):
    """What the registry writes, and what callers ask, of a fleet."""

    @classmethod
    async def of(cls, fleet: Fleet) -> FleetBus:
        nc = await connect(
            BusSettings(nats_url=fleet.nats.url, nats_inbox_prefix=TEST_INBOXES), name="test", wait_seconds=10
        )
        return cls(nc, nc.jetstream(), fleet.upstream.url)

    async def connector(self, slug: str, *, method: str = "GET", **resilience: Any) -> str:
        """Publish `<slug>` with one operation `call` at `/mode/<slug>`, and wait until it can be called.

        The path is returned.
        """
        path = f"/mode/{slug}"
        settings = {"timeout_seconds": 5, "max_retries": 0, **resilience}
        operation = {"operation": "call", "method": method, "path": path, "parameters": []}
        await self.publish(slug, operation, resilience=settings)
        return path

    async def stats(self) -> dict[str, dict[str, Any]]:
        """What each worker says of itself: its counters, those of its resilience under `resilience`."""
        said: dict[str, dict[str, Any]] = {}

        async def heard(message: Msg) -> None:
            stats = json.loads(message.data)
            said[stats["metadata"]["worker"]] = stats["endpoints"][0]["data"]

        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox, cb=heard)
        await self.nc.publish("$SRV.STATS.dibop-executor", b"", reply=inbox)
        before = -1
        while len(said) > before:  # until a while brings nobody new
            before = len(said)
            await asyncio.sleep(0.2)
        await subscription.unsubscribe()
        return said

    async def settled(self, workers: int) -> None:
        """Return once every worker knows how many there are."""

        async def all_know() -> bool:
            stats = await self.stats()
            return len(stats) == workers and all(one["resilience"]["workers"] == workers for one in stats.values())

        await eventually(all_know, 30, what=f"{workers} workers know of each other")


@dataclass(frozen=True)
class Answered:
    """One request: when it began (monotonic seconds), how long it took, and `result`, an error code, or `none`."""

    begin: float
    seconds: float
    outcome: str


@dataclass
class Callers:
    """Keep `concurrency` requests under way, each for one of `slugs`, for as long as they are entered.

    One that is refused waits for a moment, so that it does not spin.
    """

    bus: FleetBus
    slugs: Sequence[str]
    concurrency: int
    deadline_ms: int = 1000
    pause: float = 0.05
    answers: list[Answered] = field(default_factory=list)
    _running: bool = True
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._call()) for _ in range(self.concurrency)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await asyncio.gather(*self._tasks)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(answer.outcome for answer in self.answers)

    async def _call(self) -> None:
        headers = {DEADLINE_HEADER: str(self.deadline_ms)}
        while self._running:
            begin = time.monotonic()
            try:
                subject = subjects.execute(ENTERPRISE, random.choice(self.slugs), "call")
                read(await self.bus.raw(subject, b"", headers, seconds=self.deadline_ms / 1000 + _UNANSWERED_SECONDS))
                outcome = "result"
            except DibopError as error:
                outcome = error.code
            except (NatsTimeout, NoRespondersError):
                outcome = "none"
            self.answers.append(Answered(begin, time.monotonic() - begin, outcome))
            if outcome != "result":
                await asyncio.sleep(self.pause * random.uniform(0.5, 1.5))


def most_within(times: list[float], seconds: float) -> int:
    """The most of `times` (ascending) in any window of that length, its beginning included and its end not."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
