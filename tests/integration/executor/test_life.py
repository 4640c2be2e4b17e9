"""A worker's life: full, drained, beside others, and through a restart of NATS."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest
from nats.errors import Error as NatsError

from services.executor.settings import ExecutorSettings
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.messaging.bootstrap import bootstrap
from shared.messaging.connection import connect
from tests.integration.executor.world import Bus, get, query, read
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.processes import ManagedProcess
from tests.support.servers import NatsServer

REPOSITORY = Path(__file__).parents[3]
SUBJECT = subjects.execute("acme", "shop", "run")
RUN = get("run", "/delay", query("seconds", type="number", default=0.02))


@pytest.fixture
def process(settings: ExecutorSettings, tmp_path: Path) -> Iterator[Callable[..., ManagedProcess]]:
    """`process(DIBOP_…=…)`: a started worker process; killed after the test if it still runs."""
    started: list[ManagedProcess] = []

    def make(**environment: str) -> ManagedProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        worker = ManagedProcess(
            [sys.executable, "-m", "services.executor"],
            log=log,
            ready=lambda: log.exists() and '"Ready"' in log.read_text(),
            cwd=REPOSITORY,
            environment={
                "DIBOP_NATS_URL": settings.nats_url,
                "DIBOP_REDIS_URL": settings.redis_url,
                "DIBOP_EGRESS_ALLOW": settings.egress_allow,
                "DIBOP_SEAL_KEYRING_FILE": str(settings.seal_keyring_file),
                **environment,
            },
        )
        started.append(worker)
        worker.start()
        return worker

    yield make
    for worker in started:
        worker.kill()


class Load:
    """Sends requests one after another from several callers for as long as it is entered; counts what comes back."""

    def __init__(self, bus: Bus, callers: int) -> None:
        self._bus = bus
        self._callers = callers
        self._stop = False
        self.outcomes: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._caller()) for _ in range(self._callers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def _caller(self) -> None:
        while not self._stop:
            try:
                read(await self._bus.raw(SUBJECT, b"{}", seconds=5))
                self.outcomes["ok"] += 1
            except DibopError as error:
                self.outcomes[error.code] += 1
            except NatsError as error:
                self.outcomes[type(error).__name__] += 1


async def test_a_full_worker_refuses_at_once(bus: Bus, start: Callable[..., Any], upstream: FaultServer) -> None:
    await start(max_in_flight=2, queue_size=3)
    await bus.publish("shop", RUN)
    requests = [asyncio.create_task(bus.raw(SUBJECT, b'{"parameters":{"seconds":0.3}}')) for _ in range(20)]
    outcomes: Counter[str] = Counter()
    for message in await asyncio.gather(*requests):
        try:
            read(message)
            outcomes["ok"] += 1
        except DibopError as error:
            outcomes[f"{error.code} {error.outcome}"] += 1
    assert outcomes == {"ok": 5, "overloaded not_sent": 15}
    assert upstream.sends("/delay") == 5


async def test_time_in_the_queue_counts(bus: Bus, start: Callable[..., Any], upstream: FaultServer) -> None:
    await start(max_in_flight=1)
    await bus.publish("shop", RUN)
    first = asyncio.create_task(bus.raw(SUBJECT, b'{"parameters":{"seconds":0.5}}'))
    await eventually(lambda: upstream.sends("/delay") == 1)
    error = await bus.refused("shop", "run", headers={"Dibop-Deadline-Ms": "100"})
    assert error.code == "deadline-exceeded"
    await first
    assert upstream.sends("/delay") == 1


async def test_a_drained_process_loses_nothing(bus: Bus, process: Callable[..., ManagedProcess]) -> None:
    await bus.publish("shop", RUN)
    leaving, staying = process(), process()
    async with Load(bus, 50) as load:
        await eventually(lambda: load.outcomes["ok"] > 300)
        leaving.signal(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait) == 0
        after = load.outcomes["ok"]
        await eventually(lambda: load.outcomes["ok"] > after + 300)
    assert set(load.outcomes) == {"ok"}
    assert staying.stop() == 0


async def test_a_drain_that_takes_too_long_tells_the_callers(
    bus: Bus, process: Callable[..., ManagedProcess], upstream: FaultServer
) -> None:
    await bus.publish("shop", RUN)
    worker = process(DIBOP_DRAIN_SECONDS="0.2", DIBOP_MAX_IN_FLIGHT="1")
    requests = [asyncio.create_task(bus.raw(SUBJECT, b'{"parameters":{"seconds":30}}')) for _ in range(2)]
    await eventually(lambda: upstream.sends("/delay") == 1)
    worker.signal(signal.SIGTERM)
    codes = set()
    for message in await asyncio.gather(*requests):
        with pytest.raises(DibopError) as caught:
            read(message)
        codes.add((caught.value.code, caught.value.outcome))
    assert codes == {("upstream-timeout", "unknown"), ("overloaded", "not_sent")}
    assert await asyncio.to_thread(worker.wait) == 0


async def test_workers_share_the_work_and_one_killed_is_replaced_by_the_other(
    bus: Bus, process: Callable[..., ManagedProcess]
) -> None:
    await bus.publish("shop", RUN)
    first, second = process(DIBOP_WORKER="one"), process(DIBOP_WORKER="two")
    async with Load(bus, 20) as load:
        await eventually(lambda: load.outcomes["ok"] > 100)
        inbox, answers = bus.nc.new_inbox(), []

        async def hear(message: Any) -> None:
            answers.append(msgspec.json.decode(message.data))

        subscription = await bus.nc.subscribe(inbox, cb=hear)
        await bus.nc.publish("$SRV.STATS.dibop-executor", b"", reply=inbox)
        await eventually(lambda: len(answers) == 2)
        await subscription.unsubscribe()
        assert {answer["metadata"]["worker"] for answer in answers} == {"one", "two"}
        assert all(answer["endpoints"][0]["data"]["results"] > 0 for answer in answers)
        first.kill()
        before = load.outcomes["ok"]
        await eventually(lambda: load.outcomes["ok"] > before + 100)
    assert second.running


async def test_a_process_without_its_keys_says_so(process: Callable[..., ManagedProcess], tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(AssertionError, match="is not a key ring"):
        process(DIBOP_SEAL_KEYRING_FILE=str(tmp_path / "none.json"))
    with pytest.raises(AssertionError, match="is not host:port"):
        process(DIBOP_EGRESS_ALLOW="nonsense")


async def test_a_restart_of_nats_is_survived(
    own_nats: Callable[[], NatsServer],
    settings: ExecutorSettings,
    upstream: FaultServer,
    process: Callable[..., ManagedProcess],
    tmp_path: Path,
) -> None:
    server = own_nats()
    nc = await connect(settings.model_copy(update={"nats_url": server.url}), name="test", wait_seconds=10)
    await bootstrap(nc.jetstream())
    bus = Bus(nc, nc.jetstream(), upstream.url("").rstrip("/"))
    assert settings.seal_keyring_file is not None
    settings.seal_keyring_file.write_text(bus.ring.dump())
    worker = process(DIBOP_NATS_URL=server.url)
    await bus.publish("shop", RUN)
    await bus.publish("gone", RUN)
    await bus.execute("shop", "run")
    await bus.execute("gone", "run")

    server.kill()
    server.start()

    async def answers(slug: str) -> bool:
        try:
            await bus.raw(subjects.execute("acme", slug, "run"), b"{}", seconds=1)
        except NatsError:
            return False
        return True

    await eventually(lambda: answers("shop"), 30)
    await bus.publish("new", RUN)
    assert (await bus.execute("new", "run"))["status_code"] == 200
    kv = await bus.js.key_value(subjects.CATALOGUE_BUCKET)
    await kv.delete(subjects.catalogue_key("platform", "gone"))

    async def is_gone() -> bool:
        message = await bus.raw(subjects.execute("acme", "gone", "run"), b"{}")
        return b"unknown-connector" in message.data

    await eventually(is_gone, 30)
    assert worker.running
    assert worker.stop() == 0
    await nc.close()
