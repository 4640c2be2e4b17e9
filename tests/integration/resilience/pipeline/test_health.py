"""Health of connections: what KV `health` says, and the events that tell of each change."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from services.executor.app import Executor
from services.executor.resilience.health import HealthRecorder
from services.executor.settings import ExecutorSettings
from shared.contracts.events import Event
from shared.contracts.projections import ConnectionEntry, ConnectionHealth
from shared.contracts.subjects import CONNECTIONS_BUCKET, HEALTH_BUCKET, connection_key, health_key
from tests.integration.executor.world import Bus
from tests.integration.resilience.pipeline.calls import STATUS, ask, limits, outcome, outcomes
from tests.support.polling import eventually
from tests.support.processes import ManagedProcess

FRAGILE = limits(circuit_breaker_threshold=3, circuit_breaker_recovery_seconds=1)
KEYED: dict[str, Any] = {"auth_type": "api_key"}


class Health:
    """What can be known of the health of the connection `default` to `shop`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.events: list[Event] = []

    async def heard(self, message: Msg) -> None:
        self.events.append(Event.read(message.subject, message.headers, message.data))

    async def entry(self) -> ConnectionHealth:
        connections = await self._bus.js.key_value(CONNECTIONS_BUCKET)
        connection = await connections.get(connection_key("acme", "shop", "default"))
        identifier = msgspec.json.decode(connection.value or b"", type=ConnectionEntry).id
        kv = await self._bus.js.key_value(HEALTH_BUCKET)
        found = await kv.get(health_key("acme", identifier))
        return msgspec.json.decode(found.value or b"", type=ConnectionHealth)

    async def becomes(self, state: str) -> ConnectionHealth:
        async def there() -> ConnectionHealth:
            try:
                entry = await self.entry()
            except KeyNotFoundError:
                raise AssertionError("there is no entry") from None
            assert entry.state == state
            return entry

        return await eventually(there)

    async def is_there(self, *connections: str) -> bool:
        kv = await self._bus.js.key_value(HEALTH_BUCKET)
        return all([await _has(kv, health_key("acme", connection)) for connection in connections])

    async def is_gone(self, connection: str) -> bool:
        return not await self.is_there(connection)

    def changes(self) -> list[tuple[Any, Any]]:
        return [(event.data["from"], event.data["to"]) for event in self.events]


async def _has(kv: KeyValue, key: str) -> bool:
    try:
        await kv.get(key)
    except KeyNotFoundError:
        return False
    return True


@pytest.fixture
async def health(bus: Bus) -> AsyncIterator[Health]:
    made = Health(bus)
    subscription = await bus.js.subscribe("evt.v1.acme.connection.*.health_changed", cb=made.heard)
    yield made
    await subscription.unsubscribe()


@pytest.mark.case(30)
async def test_each_change_is_written_and_told_once_whoever_of_the_workers_finds_it(
    bus: Bus, start: Callable[..., Any], health: Health
) -> None:
    for _ in range(3):
        await start()
    await bus.publish("shop", STATUS, resilience=FRAGILE, **KEYED)
    await bus.connect("shop", {"api_key": "secret"})
    assert await outcomes(bus, 10, "shop", "status") == {"200": 10}
    await health.becomes("healthy")
    found = await outcomes(bus, 12, "shop", "status", status=503)
    assert set(found) <= {"503", "circuit-open"}
    degraded = await health.becomes("degraded")
    assert degraded.circuits[""].cause == "status 503"
    await asyncio.sleep(1)  # recovery is time that must pass
    assert await outcome(bus, "shop", "status") == "200"
    assert await outcomes(bus, 20, "shop", "status") == {"200": 20}
    healthy = await health.becomes("healthy")
    assert healthy.epoch > degraded.epoch
    await eventually(lambda: len(health.events) >= 3)
    await bus.nc.flush()
    assert health.changes() == [("unchecked", "healthy"), ("healthy", "degraded"), ("degraded", "healthy")]
    down = health.events[1]
    assert down.id == f"health/{degraded.connection}/{degraded.epoch}"
    assert (down.data["connector"], down.data["connection"], down.data["cause"]) == ("shop", "default", "status 503")


Doomed = Callable[[], Awaitable[ManagedProcess]]


@pytest.fixture
async def doomed(settings: ExecutorSettings, tmp_path: Path) -> AsyncIterator[Doomed]:
    """Starts a worker that is killed between a change of the shared state and the moment at which it tells of it."""
    workers: list[ManagedProcess] = []

    async def make() -> ManagedProcess:
        given = settings.model_dump(exclude_none=True, exclude_defaults=True)
        worker = ManagedProcess(
            [sys.executable, "-m", "tests.support.dying_worker", f"{HealthRecorder.__module__}:HealthRecorder.changed"],
            log=tmp_path / f"doomed-{len(workers)}.log",
            ready=lambda: True,
            environment={f"DIBOP_{name.upper()}": str(value) for name, value in given.items()},
            cwd=Path(__file__).parents[4],
        )
        workers.append(worker)
        worker.start()
        await eventually(lambda: '"Ready"' in worker.output, 30)
        return worker

    yield make
    for worker in workers:
        worker.kill()


async def dies_in_a_call(bus: Bus, worker: ManagedProcess, **parameters: Any) -> None:
    """Have the only worker answer a call, which it does not live to."""
    body = msgspec.json.encode({"parameters": parameters})
    await bus.nc.publish("exec.v1.acme.shop.status", body, reply=bus.nc.new_inbox())
    await eventually(lambda: not worker.running, 10)


@pytest.mark.case(30)
@pytest.mark.parametrize("recovered", [False, True])
async def test_a_circuit_whose_worker_was_killed_as_it_opened_is_told_of_by_the_next(
    bus: Bus, start: Callable[..., Any], doomed: Doomed, health: Health, recovered: bool
) -> None:
    fragile = {**FRAGILE, "circuit_breaker_threshold": 1}
    await bus.publish("shop", STATUS, resilience=fragile, **KEYED)
    await bus.connect("shop", {"api_key": "secret"})
    await dies_in_a_call(bus, await doomed(), status=503)
    assert health.events == []

    if recovered:
        await asyncio.sleep(1)  # recovery is time that must pass
    for _ in range(2):
        await start()
    if not recovered:
        assert set(await outcomes(bus, 10, "shop", "status")) == {"circuit-open"}
        assert (await health.becomes("degraded")).circuits[""].cause == "status 503"
        await asyncio.sleep(1)
    assert await outcome(bus, "shop", "status") == "200"

    await health.becomes("healthy")
    await eventually(lambda: len(health.events) >= 2)
    await bus.nc.flush()
    assert health.changes() == [("unchecked", "degraded"), ("degraded", "healthy")]


@pytest.mark.case(30)
async def test_a_circuit_whose_worker_was_killed_as_it_closed_is_told_of_by_the_next(
    bus: Bus, settings: ExecutorSettings, start: Callable[..., Any], doomed: Doomed, health: Health
) -> None:
    await bus.publish("shop", STATUS, resilience={**FRAGILE, "circuit_breaker_threshold": 1}, **KEYED)
    await bus.connect("shop", {"api_key": "secret"})
    first = Executor(settings)
    await first.start()
    assert await outcome(bus, "shop", "status", status=503) == "503"
    await health.becomes("degraded")
    await first.drain_and_stop()
    await asyncio.sleep(1)  # recovery is time that must pass
    await dies_in_a_call(bus, await doomed(), status=200)

    await start()
    assert await outcomes(bus, 5, "shop", "status") == {"200": 5}

    await health.becomes("healthy")
    await eventually(lambda: len(health.events) >= 2)
    await bus.nc.flush()
    assert health.changes() == [("unchecked", "degraded"), ("degraded", "healthy")]


async def test_the_circuit_of_an_operation_degrades_its_connection(
    bus: Bus, executor: Executor, health: Health
) -> None:
    own = ask("own", "/status/500", resilience={"circuit_breaker_threshold": 1})
    await bus.publish("shop", own, STATUS, resilience=FRAGILE, **KEYED)
    await bus.connect("shop", {"api_key": "secret"})
    assert await outcome(bus, "shop", "own") == "500"
    assert (await health.becomes("degraded")).circuits["own"].open
    assert await outcomes(bus, 5, "shop", "status") == {"200": 5}
    assert (await health.entry()).state == "degraded"
    await eventually(lambda: len(health.events) == 1)
    assert health.events[0].data["operation"] == "own"


async def test_a_state_that_was_lost_leaves_nobody_degraded(
    bus: Bus, executor: Executor, health: Health, redis_url: str
) -> None:
    await bus.publish("shop", STATUS, resilience={**FRAGILE, "circuit_breaker_recovery_seconds": 600}, **KEYED)
    await bus.connect("shop", {"api_key": "secret"})
    await outcomes(bus, 3, "shop", "status", status=500)
    await health.becomes("degraded")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
    assert await outcome(bus, "shop", "status") == "200"
    await health.becomes("healthy")


async def test_without_a_connection_there_is_no_health(bus: Bus, executor: Executor, health: Health) -> None:
    await bus.publish("shop", STATUS, resilience=FRAGILE)
    await outcomes(bus, 3, "shop", "status", status=500)
    assert await outcome(bus, "shop", "status") == "circuit-open"
    kv = await bus.js.key_value(HEALTH_BUCKET)
    assert (await kv.status()).values == 0


async def test_the_health_of_a_connection_goes_with_it_and_another_of_its_name_has_its_own(
    bus: Bus, start: Callable[..., Any], health: Health
) -> None:
    for _ in range(2):
        await start()
    await bus.publish("shop", STATUS, resilience=FRAGILE, **KEYED)
    first = await bus.connect("shop", {"api_key": "secret"})
    await outcomes(bus, 3, "shop", "status", status=500)
    await health.becomes("degraded")

    await bus.disconnect("shop")
    await eventually(lambda: health.is_gone(first))
    second = await bus.connect("shop", {"api_key": "secret"})
    await eventually(lambda: answers(bus, "200"))
    await health.becomes("healthy")

    third = await bus.connect("shop", {"api_key": "another"})
    await eventually(lambda: health.is_gone(second))
    assert await outcome(bus, "shop", "status") == "200"
    assert (await health.becomes("healthy")).connection == third


async def test_the_health_of_connections_that_went_while_no_worker_ran_goes_at_the_next_start(
    bus: Bus, settings: ExecutorSettings, start: Callable[..., Any], health: Health
) -> None:
    first = Executor(settings)
    await first.start()
    await bus.publish("shop", STATUS, resilience=FRAGILE, **KEYED)
    gone = await bus.connect("shop", {"api_key": "secret"})
    kept = await bus.connect("shop", {"api_key": "secret"}, name="other")
    for name in ("default", "other"):
        await bus.execute("shop", "status", headers={"Dibop-Connection": name})
    await eventually(lambda: health.is_there(gone, kept))
    await first.drain_and_stop()
    await bus.disconnect("shop")

    await start()

    await eventually(lambda: health.is_gone(gone))
    assert await health.is_there(kept)


async def answers(bus: Bus, expected: str) -> bool:
    return await outcome(bus, "shop", "status") == expected
