"""Health of connections: what changes of circuits make of it, each written and told once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from services.executor.domain.plan import OperationPlan
from services.executor.domain.scope import Scope
from services.executor.resilience.health import HealthRecorder
from services.executor.resilience.scopes import Hold, OuterRates, hold_of
from services.executor.resilience.types import Change
from shared.contracts.events import Event
from shared.contracts.projections import ConnectionEntry, ConnectionHealth
from tests.support.polling import eventually

KEY = "acme.c-1"


class Bucket:
    """Entries with revisions. What is in `meanwhile` is written by someone else just before the next write."""

    def __init__(self) -> None:
        self.entries: dict[str, ConnectionHealth] = {}
        self.revision = 0
        self.meanwhile: list[ConnectionHealth] = []
        self.failures = 0
        self.reads = 0

    def get(self, key: str) -> ConnectionHealth | None:
        return self.entries.get(key)

    async def read(self, key: str) -> tuple[ConnectionHealth | None, int]:
        if self.failures:
            self.failures -= 1
            raise NatsTimeoutError
        self.reads += 1
        return self.entries.get(key), self.revision

    async def write(self, key: str, entry: ConnectionHealth, revision: int) -> bool:
        if self.meanwhile:
            self.entries[key] = self.meanwhile.pop()
            self.revision += 1
        if revision != self.revision:
            return False
        self.entries[key] = entry
        self.revision += 1
        return True


class World:
    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.bucket = Bucket()
        self.events: list[Event] = []
        self.recorder = self.another()

    def another(self) -> HealthRecorder:
        async def tell(event: Event) -> None:
            if all(event.id != known.id for known in self.events):
                self.events.append(event)

        return HealthRecorder(self.bucket, self.bucket, tell)

    @property
    def entry(self) -> ConnectionHealth:
        return self.bucket.entries[KEY]

    @property
    def state(self) -> str:
        return self.entry.state

    def told(self) -> list[tuple[object, object, str]]:
        return [(event.data["from"], event.data["to"], event.id) for event in self.events]


@pytest.fixture
async def world(operation_plan: Callable[..., OperationPlan]) -> AsyncIterator[World]:
    scope = Scope("acme", "platform", "shop", "c-1", name="default")
    made = World(hold_of(scope, operation_plan(), OuterRates()))
    made.recorder.start()
    yield made
    await made.recorder.stop(1)


async def test_the_first_success_makes_a_connection_healthy(world: World) -> None:
    for _ in range(3):
        world.recorder.succeeded(world.hold, 10)
    await eventually(lambda: world.state == "healthy")
    assert world.told() == [("unchecked", "healthy", "health/c-1/10")]
    event = world.events[0]
    assert (event.subject, event.data["connection"]) == ("evt.v1.acme.connection.c-1.health_changed", "default")


@pytest.mark.case(30)
async def test_each_change_is_written_and_told_once(world: World) -> None:
    world.recorder.succeeded(world.hold, 10)
    for _ in range(2):
        world.recorder.changed(world.hold, Change("open", 20, "status 503"))
    await eventually(lambda: world.state == "degraded")
    assert world.entry.circuits[""].cause == "status 503"
    world.recorder.changed(world.hold, Change("closed", 30))
    await eventually(lambda: world.state == "healthy")
    assert world.told() == [
        ("unchecked", "healthy", "health/c-1/10"),
        ("healthy", "degraded", "health/c-1/20"),
        ("degraded", "healthy", "health/c-1/30"),
    ]


async def test_a_change_that_comes_late_is_dropped(world: World) -> None:
    world.recorder.changed(world.hold, Change("closed", 30))
    world.recorder.changed(world.hold, Change("open", 20, "status 503"))
    world.recorder.changed(world.hold, Change("open", 40, "status 500"))
    await eventually(lambda: world.entry.epoch == 40)
    assert [event.id for event in world.events] == ["health/c-1/30", "health/c-1/40"]


async def test_a_connection_is_degraded_while_any_of_its_circuits_is_open(world: World) -> None:
    operation = Hold(
        world.hold.target, "run", world.hold.scope, world.hold.limits, (), world.hold.scope, "slots", world.hold.health
    )
    world.recorder.changed(world.hold, Change("open", 20))
    world.recorder.changed(operation, Change("open", 21))
    world.recorder.changed(world.hold, Change("closed", 22))
    await eventually(lambda: world.entry.epoch == 22)
    assert world.state == "degraded"
    world.recorder.changed(operation, Change("closed", 23))
    await eventually(lambda: world.state == "healthy")
    assert [event.id for event in world.events] == ["health/c-1/20", "health/c-1/23"]


async def test_where_another_worker_writes_first_nothing_is_overwritten(world: World) -> None:
    world.recorder.changed(world.hold, Change("open", 20))
    await eventually(lambda: world.state == "degraded")
    degraded = world.entry
    world.recorder.changed(world.hold, Change("closed", 30))
    await eventually(lambda: world.state == "healthy")
    healthy, world.bucket.entries[KEY] = world.entry, degraded
    world.bucket.meanwhile = [healthy]
    world.recorder.changed(world.hold, Change("closed", 30))
    await eventually(lambda: not world.bucket.meanwhile and world.entry == healthy)


async def test_a_success_closes_what_the_entry_still_calls_open(world: World) -> None:
    world.recorder.changed(world.hold, Change("open", 20))
    await eventually(lambda: world.state == "degraded")
    world.recorder.succeeded(world.hold, 15)
    world.recorder.succeeded(world.hold, 0)
    world.recorder.succeeded(world.hold, 25)
    await eventually(lambda: world.state == "healthy")
    assert [event.id for event in world.events] == ["health/c-1/20", "health/c-1/25"]


@pytest.mark.case(30)
async def test_a_change_of_which_its_own_worker_never_told_is_told_by_whoever_finds_it(world: World) -> None:
    finder = world.another()
    finder.start()
    world.recorder.changed(world.hold, Change("closed", 10))
    await eventually(lambda: world.state == "healthy")
    for _ in range(3):
        finder.found_open(world.hold, 20, "status 503")
    await eventually(lambda: world.state == "degraded")
    finder.found_open(world.hold, 20, "status 503")
    finder.found_open(world.hold, 15, "status 500")
    world.recorder.changed(world.hold, Change("open", 20, "status 503"))
    await finder.stop(1)
    await world.recorder.stop(1)
    assert world.told() == [("unchecked", "healthy", "health/c-1/10"), ("healthy", "degraded", "health/c-1/20")]
    assert world.bucket.reads == 3


async def test_findings_wait_while_the_bus_is_away(world: World) -> None:
    world.bucket.failures = 2
    world.recorder.changed(world.hold, Change("open", 20))
    await eventually(lambda: KEY in world.bucket.entries)
    assert len(world.events) == 1


async def test_a_scope_without_a_connection_has_no_health(
    world: World, operation_plan: Callable[..., OperationPlan]
) -> None:
    hold = hold_of(Scope("acme", "platform", "shop", None), operation_plan(), OuterRates())
    world.recorder.succeeded(hold, 10)
    world.recorder.changed(hold, Change("open", 20))
    await world.recorder.stop(1)
    assert world.bucket.entries == {}


SCOPE = Scope("acme", "platform", "shop", "c-1", name="default")


async def test_a_refusal_of_the_token_endpoint_is_an_auth_error_until_it_gives_a_token(world: World) -> None:
    world.recorder.succeeded(world.hold, 10)
    for _ in range(3):
        world.recorder.refused(SCOPE, 1, "token endpoint: invalid_grant")
    await eventually(lambda: world.state == "auth_error")
    world.recorder.changed(world.hold, Change("open", 20, "status 503"))
    await eventually(lambda: world.entry.circuits[""].open)
    assert world.state == "auth_error"

    for _ in range(3):
        world.recorder.granted(SCOPE, 1)
    await eventually(lambda: world.state == "degraded")
    changes = [(event.data["from"], event.data["to"], event.data["cause"]) for event in world.events]
    assert changes == [
        ("unchecked", "healthy", ""),
        ("healthy", "auth_error", "token endpoint: invalid_grant"),
        ("auth_error", "degraded", ""),
    ]


async def test_a_refusal_of_credentials_that_were_rotated_meanwhile_is_no_news(world: World) -> None:
    world.recorder.refused(SCOPE, 2, "token endpoint: invalid_client")
    world.recorder.granted(SCOPE, 2)
    world.recorder.refused(SCOPE, 1, "token endpoint: invalid_client")
    world.recorder.changed(world.hold, Change("open", 20))
    await eventually(lambda: world.state == "degraded")


async def test_a_token_alone_makes_nothing_healthy(world: World) -> None:
    world.recorder.granted(SCOPE, 1)
    world.recorder.refused(msgspec.structs.replace(SCOPE, draft=True), 1, "token endpoint: invalid_client")
    await world.recorder.stop(1)
    assert world.bucket.entries == {}


async def test_other_credentials_end_what_a_ping_found_of_the_old_ones_whoever_sees_them(world: World) -> None:
    scope = Scope("acme", "platform", "shop", "c-1", name="default")
    world.recorder.pinged(scope, "auth_error", 1, "auth: status 401")
    await eventually(lambda: KEY in world.bucket.entries and world.state == "auth_error")
    same = ConnectionEntry("c-1", "acme", "shop", "platform", "default", 2, "^1", "", "", {}, {}, credentials=1)
    world.recorder.has_credentials(same)
    assert await world.recorder.written(5)
    assert world.state == "auth_error"

    other = world.another()
    other.start()
    for recorder in (world.recorder, other):
        recorder.has_credentials(msgspec.structs.replace(same, credentials=2))
        assert await recorder.written(5)
    await other.stop(1)

    assert world.state == "unchecked"
    assert [told[:2] for told in world.told()] == [("unchecked", "auth_error"), ("auth_error", "unchecked")]


async def test_a_ping_that_was_late_says_nothing_of_newer_credentials(world: World) -> None:
    scope = Scope("acme", "platform", "shop", "c-1", name="default")
    world.recorder.pinged(scope, "online", 2, "")
    world.recorder.pinged(scope, "auth_error", 1, "auth: status 401")
    assert await world.recorder.written(5)
    assert world.state == "healthy"
