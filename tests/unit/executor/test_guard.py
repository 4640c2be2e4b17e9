"""The guard: what it asks, what it tells, and how it explains a refusal."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import msgspec
import pytest

from services.executor.domain.classify import Effect
from services.executor.domain.plan import OperationPlan
from services.executor.domain.scope import Scope
from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.guard import Guard, Permit
from services.executor.resilience.scopes import Hold, OuterRates, hold_of
from services.executor.resilience.types import COOLDOWN, Ask, Change, Confirmation, Decision, Outcome
from shared.contracts.errors import DibopError


class ScriptedState:
    """Answers what it is told, and remembers what it was asked and told."""

    def __init__(self) -> None:
        self.decision = Decision(True, epoch=5)
        self.confirmation = Confirmation("send", epoch=5)
        self.change: Change | None = None
        self.asks: list[Ask] = []
        self.told: list[tuple[int, str, int]] = []
        self.later = 0

    async def acquire(self, ask: Ask) -> Decision:
        self.asks.append(ask)
        return self.decision

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        return self.confirmation

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        self.told.append((decision.epoch, outcome, cooldown_ms))
        return self.change

    def report_later(self, ask: Ask, decision: Decision) -> None:
        self.later += 1


class Watcher:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def changed(self, hold: Hold, change: Change) -> None:
        self.heard.append(change.circuit)

    def found_open(self, hold: Hold, epoch: int, cause: str) -> None:
        self.heard.append(f"open since {epoch}: {cause}")

    def succeeded(self, hold: Hold, epoch: int) -> None:
        self.heard.append(f"success {epoch}")


class World:
    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.state = ScriptedState()
        self.watcher = Watcher()
        self.guard = Guard(self.state, self.watcher, ResilienceCounters())

    async def permit(self, left: float = 30) -> Permit:
        return await self.guard.acquire(self.hold, attempt_ms=1000, left=left)

    async def refused(self, decision: Decision, left: float = 30) -> DibopError:
        self.state.decision = decision
        with pytest.raises(DibopError) as caught:
            await self.permit(left)
        return caught.value


@pytest.fixture
def world(operation_plan: Callable[..., OperationPlan]) -> World:
    scope = Scope("acme", "platform", "shop", "c-1", name="default")
    return World(hold_of(scope, operation_plan(), OuterRates({"*": 20}, {"*": 30})))


@pytest.mark.parametrize(("left", "max_wait_ms"), [(30, 30_000), (0.5, 500), (3000, 60_500)])
async def test_a_permit_is_asked_for_within_the_deadline_and_a_window(
    world: World, left: float, max_wait_ms: int
) -> None:
    await world.permit(left)
    (ask,) = world.state.asks
    assert (ask.max_wait_ms, ask.lease_ms, len(ask.outer)) == (max_wait_ms, 6000, 2)


async def test_a_permit_is_good_for_half_a_second_after_its_time(world: World) -> None:
    world.state.decision = Decision(True, wait_ms=2000)
    before = monotonic()
    permit = await world.permit()
    assert permit.due >= before + 2
    assert before + 2.5 <= permit.sent_by <= permit.due + 0.5


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("acme.c-1", "The limit of 9 attempts a minute on connector 'shop' is used up."),
        ("enterprise:acme", "that operators have set on connector 'shop' for each enterprise is used up."),
        ("platform", "that operators have set on connector 'shop' for all enterprises together is used up."),
        (COOLDOWN, "The external system of connector 'shop' has asked to be left alone (status 429)."),
    ],
)
async def test_a_refusal_names_its_limit_and_the_time(world: World, limit: str, sentence: str) -> None:
    decision = Decision(False, refused="rate-limited", retry_after_ms=42_500, limit=limit, rate=9, cause="status 429")
    error = await world.refused(decision)
    assert (error.code, error.retry_after_ms, error.outcome) == ("rate-limited", 42_500, "not_sent")
    assert sentence in error.detail
    assert "The next attempt may go out in 42.5 s, and the caller waits 30 s." in error.detail


async def test_a_refusal_says_when_the_wait_is_longer_than_anybody_waits(world: World) -> None:
    decision = Decision(False, refused="rate-limited", retry_after_ms=90_000, limit=COOLDOWN)
    assert "no permit is waited for longer than 60.5 s" in (await world.refused(decision, 300)).detail


async def test_an_open_circuit_says_since_when_and_why(world: World) -> None:
    decision = Decision(False, refused="circuit-open", retry_after_ms=17_000, since_ms=13_000, cause="status 503")
    error = await world.refused(decision)
    assert (error.code, error.retry_after_ms, error.outcome) == ("circuit-open", 17_000, "not_sent")
    assert (
        "connector 'shop' has been open for 13 s, since attempts failed one after another (status 503)" in error.detail
    )
    assert "A test request may go out in 17 s." in error.detail


async def test_whoever_finds_a_circuit_open_says_so(world: World) -> None:
    await world.refused(Decision(False, refused="circuit-open", cause="status 503", opened=7))
    world.state.decision = Decision(True, epoch=9, probe=True, cause="status 500", opened=8)
    permit = await world.permit()
    world.state.confirmation = Confirmation("circuit-open", cause="status 504", opened=10)
    with pytest.raises(DibopError):
        await world.guard.confirm(world.hold, permit)
    assert world.watcher.heard == ["open since 7: status 503", "open since 8: status 500", "open since 10: status 504"]


async def test_what_a_worker_decides_alone_says_nothing_of_health(world: World) -> None:
    await world.refused(Decision(False, refused="circuit-open", cause="status 503", local=True))
    assert world.watcher.heard == []


async def test_what_is_closed_for_want_of_redis_says_so(world: World) -> None:
    decision = Decision(False, refused="circuit-open", retry_after_ms=1000, cause="Redis is away", local=True)
    assert "Nothing is sent to connector 'shop' for now: Redis is away." in (await world.refused(decision)).detail


@pytest.mark.parametrize(
    ("decision", "effect", "cooldown_ms", "told", "later"),
    [
        (Decision(True, epoch=5), "success", 0, [], 1),
        (Decision(True, epoch=5, failures=1), "success", 0, [(5, "success", 0)], 0),
        (Decision(True, epoch=5, probe=True), "success", 0, [(5, "success", 0)], 0),
        (Decision(True, epoch=5), "failure", 0, [(5, "failure", 0)], 0),
        (Decision(True, epoch=5), "failure", 900, [(5, "failure", 900)], 0),
        (Decision(True, epoch=5), "neutral", 0, [], 0),
        (Decision(True, epoch=5), "neutral", 900, [(5, "neutral", 900)], 0),
        (Decision(True, epoch=5, probe=True), "neutral", 0, [(5, "neutral", 0)], 0),
        (Decision(True, epoch=5, probe=True), "none", 0, [(5, "neutral", 0)], 0),
        (Decision(True, epoch=5), "none", 0, [], 0),
    ],
)
async def test_only_what_changes_something_is_told_before_the_reply(
    world: World, decision: Decision, effect: Effect, cooldown_ms: int, told: list[tuple[int, str, int]], later: int
) -> None:
    world.state.decision = decision
    await world.guard.report(world.hold, await world.permit(), effect, cooldown_ms=cooldown_ms, cause="status 500")
    assert (world.state.told, world.state.later) == (told, later)


async def test_a_probe_that_succeeds_says_nothing_of_health_but_by_its_change(world: World) -> None:
    world.state.decision, world.state.change = Decision(True, epoch=5, probe=True), Change("closed", 6)
    opened = await world.guard.report(world.hold, await world.permit(), "success")
    assert (opened, world.watcher.heard) == (False, ["closed"])


async def test_the_report_that_opens_the_circuit_says_so(world: World) -> None:
    world.state.change = Change("open", 6, "status 503")
    assert await world.guard.report(world.hold, await world.permit(), "failure", cause="status 503")
    assert world.watcher.heard == ["open"]
    assert world.guard.counters.circuits == {"open": 1}


async def test_a_confirmed_permit_is_reported_with_the_epoch_that_holds_then(world: World) -> None:
    world.state.confirmation = Confirmation("send", epoch=8)
    permit = await world.guard.confirm(world.hold, await world.permit())
    assert permit is not None
    await world.guard.report(world.hold, permit, "failure")
    assert world.state.told == [(8, "failure", 0)]


async def test_a_probe_that_is_confirmed_too_late_is_freed(world: World) -> None:
    world.state.decision = Decision(True, epoch=5, probe=True)
    world.state.confirmation = Confirmation("send", epoch=5, probe=True)
    late = msgspec.structs.replace(await world.permit(), sent_by=monotonic() - 1)
    assert await world.guard.confirm(world.hold, late) is None
    assert world.state.told == [(5, "neutral", 0)]


async def test_a_void_permit_is_none(world: World) -> None:
    world.state.confirmation = Confirmation("void")
    assert await world.guard.confirm(world.hold, await world.permit()) is None


async def test_a_circuit_that_opened_during_the_wait_refuses(world: World) -> None:
    world.state.confirmation = Confirmation("circuit-open", retry_after_ms=9000, since_ms=1000, cause="status 500")
    permit = await world.permit()
    with pytest.raises(DibopError, match="status 500") as caught:
        await world.guard.confirm(world.hold, permit)
    assert (caught.value.code, caught.value.retry_after_ms) == ("circuit-open", 9000)


async def test_a_redirect_takes_a_permit_that_no_circuit_has_a_say_in(world: World) -> None:
    world.state.decision = Decision(True, wait_ms=250)
    assert await world.guard.acquire_redirect(world.hold, 3) == 0.25
    (ask,) = world.state.asks
    assert (ask.limits.rate, ask.limits.threshold, ask.max_wait_ms) == (60, 0, 3000)
    world.state.decision = Decision(False, refused="rate-limited")
    assert await world.guard.acquire_redirect(world.hold, 3) is None


async def test_without_a_rate_a_redirect_asks_for_nothing(world: World) -> None:
    limits = msgspec.structs.replace(world.hold.limits, rate=0)
    hold = msgspec.structs.replace(world.hold, limits=limits, outer=())
    assert await world.guard.acquire_redirect(hold, 3) == 0
    assert world.state.asks == []
