"""Going on without Redis, and coming back to it; Redis is one that answers when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.executor.resilience import fallback
from services.executor.resilience.fallback import LIMIT_TICKS, SUSPECT_TICKS, FallbackState
from services.executor.resilience.local import LocalState
from services.executor.resilience.on_loss import OnLoss
from services.executor.resilience.patience import Patience
from services.executor.resilience.types import (
    Ask,
    Change,
    Confirmation,
    Decision,
    Limits,
    Outcome,
    ScopeKey,
    StateUnavailableError,
)
from tests.support.polling import eventually

WINDOW = 60.5
LAST_BACK = 1.5
"""Seconds after which all workers have found that Redis is back."""
SCOPE = ScopeKey("res:{platform.weather}:acme.-")
ASK = Ask(SCOPE, Limits(4, 3, 10_000), 0, 5_000)
GRANTED = Decision(granted=True, epoch=7)
PATIENT = Ask(SCOPE, Limits(4, 3, 10_000), 100_000, 5_000)


@dataclass
class SlowRedis:
    """Grants everything. `silent`: says nothing; `alive`: answers pings; `broken`: there is no connection."""

    patience: Patience
    silent: bool = False
    alive: bool = True
    broken: bool = False
    delay: float = 0.0
    decision: Decision = GRANTED
    unanswered: list[asyncio.Future[Any]] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)
    merged: list[tuple[ScopeKey, int]] = field(default_factory=list)
    reports: list[tuple[Outcome, int]] = field(default_factory=list)
    told_later: int = 0
    hung_up: int = 0
    marked: list[int] = field(default_factory=list)
    left_ms: int = 0

    async def _say(self, answer: Any) -> Any:
        if self.broken:
            raise StateUnavailableError("The connection broke.")
        future = asyncio.get_running_loop().create_future()
        if self.silent:
            self.unanswered.append(future)
        else:
            asyncio.get_running_loop().call_later(self.delay, self._answer, future, answer)
        return await self.patience.wait(future)

    def _answer(self, future: asyncio.Future[Any], answer: Any) -> None:
        if future.done():
            self.late.append(answer)
        else:
            future.set_result(answer)

    async def acquire(self, ask: Ask) -> Decision:
        answer: Decision = await self._say(self.decision)
        return answer

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        answer: Confirmation = await self._say(Confirmation("send", epoch=decision.epoch))
        return answer

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        self.reports.append((outcome, cooldown_ms))
        answer: Change | None = await self._say(None)
        return answer

    def report_later(self, ask: Ask, decision: Decision) -> None:
        self.told_later += 1

    async def ping(self, scope: ScopeKey) -> None:
        if self.broken:
            raise StateUnavailableError("Nobody listens.")
        if not self.alive:
            await asyncio.get_running_loop().create_future()

    async def check(self) -> None:
        await self.ping(SCOPE)
        await self._say(None)

    async def merge(self, scope: ScopeKey, ages_us: Sequence[int]) -> None:
        await self._say(None)
        self.merged.append((scope, len(ages_us)))

    async def lost(self, hold_ms: int = 0) -> int:
        await self._say(None)
        if hold_ms:
            self.marked.append(hold_ms)
        return max(self.left_ms, hold_ms)

    async def hang_up(self) -> None:
        self.hung_up += 1


@dataclass
class Rig:
    redis: SlowRedis
    local: LocalState
    state: FallbackState
    clock: list[float]


@pytest.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A worker that has been there for a window; `clock[0]` is its time. The parameter is DIBOP_ON_STATE_LOSS."""
    patience = Patience(suspect=SUSPECT_TICKS, limit=LIMIT_TICKS)
    clock = [1000.0]
    local = LocalState(lambda: 2, window=WINDOW, clock=lambda: clock[0])
    clock[0] += WINDOW
    redis = SlowRedis(patience)
    on_loss = OnLoss.parse(getattr(request, "param", "local"))
    state = FallbackState(redis, local, patience, on_loss, window=WINDOW, clock=lambda: clock[0])
    yield Rig(redis, local, state, clock)
    await state.stop()


async def lose(rig: Rig) -> None:
    rig.redis.broken = True
    assert (await rig.state.acquire(ASK)).local
    assert rig.state.away


async def come_back(rig: Rig) -> None:
    rig.redis.broken = rig.redis.silent = False
    rig.redis.alive = True
    await eventually(lambda: not rig.state.away)


async def test_while_redis_answers_it_decides(rig: Rig) -> None:
    assert await rig.state.acquire(ASK) == rig.redis.decision
    rig.state.report_later(ASK, rig.redis.decision)
    assert (rig.redis.told_later, rig.state.counters.losses) == (1, 0)


@pytest.mark.case(51)
async def test_where_the_connection_breaks_the_worker_goes_on_at_once_with_its_share(rig: Rig) -> None:
    await rig.state.acquire(ASK)
    await lose(rig)
    refused = await rig.state.acquire(ASK)
    assert (refused.refused, refused.local) == ("rate-limited", True), "two of four are its share, and one was shared"


@pytest.mark.case(53)
async def test_where_redis_says_nothing_on_either_connection_the_worker_goes_on_by_itself(rig: Rig) -> None:
    rig.redis.silent, rig.redis.alive = True, False
    begun = time.monotonic()
    decision = await rig.state.acquire(ASK)
    assert time.monotonic() - begun < 1.0
    assert (decision.granted, decision.local, rig.state.away) == (True, True, True)


async def test_where_redis_answers_on_the_second_connection_the_worker_waits_on(rig: Rig) -> None:
    rig.redis.delay = 0.15
    decision = await rig.state.acquire(ASK)
    assert (decision.local, rig.state.away) == (False, False)


async def test_an_answer_is_not_waited_for_for_ever_though_redis_lives(rig: Rig) -> None:
    rig.redis.silent = True
    decision = await rig.state.acquire(ASK)
    assert (decision.granted, decision.local, rig.state.away) == (True, True, False)
    assert rig.state.counters.given_up == 1
    assert rig.redis.unanswered[0].cancelled(), "who answers sees that nobody waits, and frees a probe"


@pytest.mark.case(63)
async def test_a_loop_that_stood_still_does_not_believe_redis_away(rig: Rig) -> None:
    rig.redis.delay = 0.02
    asked = [asyncio.create_task(rig.state.acquire(PATIENT)) for _ in range(3)]
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - the loop stands still
    assert [(await one).local for one in asked] == [False] * 3
    assert (rig.state.counters.losses, rig.state.counters.given_up) == (0, 0)


async def test_a_cancelled_caller_leaves_nothing_that_is_waited_for(rig: Rig) -> None:
    rig.redis.silent = True
    asked = asyncio.create_task(rig.state.acquire(ASK))
    await eventually(lambda: rig.redis.unanswered)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    assert asked.cancelled()
    assert len(rig.redis.patience) == 0


@pytest.mark.case(54)
@pytest.mark.parametrize("rig", ["open"], indirect=True)
async def test_open_sends_without_limits(rig: Rig) -> None:
    await lose(rig)
    decisions = [await rig.state.acquire(ASK) for _ in range(20)]
    assert all(decision.granted and decision.local for decision in decisions)


@pytest.mark.case(54)
@pytest.mark.parametrize("rig", ["closed"], indirect=True)
async def test_closed_sends_nothing(rig: Rig) -> None:
    rig.redis.broken = True
    refused = await rig.state.acquire(ASK)
    assert (refused.granted, refused.refused, refused.retry_after_ms) == (False, "circuit-open", 1000)
    assert "Redis is away" in refused.cause


@pytest.mark.case(54)
@pytest.mark.parametrize("rig", ["closed, platform.weather=open"], indirect=True)
async def test_a_connector_may_differ(rig: Rig) -> None:
    rig.redis.broken = True
    other = Ask(ScopeKey("res:{acme.weather}:acme.-"), ASK.limits, 0, 5_000)
    assert (await rig.state.acquire(ASK)).granted
    assert not (await rig.state.acquire(other)).granted


@pytest.mark.case(52)
async def test_back_again_it_enters_what_it_granted_alone(rig: Rig) -> None:
    await rig.state.acquire(ASK)
    await lose(rig)
    await come_back(rig)
    await eventually(lambda: rig.redis.merged)
    assert rig.redis.merged == [(SCOPE, 1)]
    assert rig.local.take_unshared() == []


@pytest.mark.case(52)
async def test_for_one_window_more_its_own_share_holds_as_well(rig: Rig) -> None:
    await lose(rig)
    await rig.state.acquire(ASK)
    await come_back(rig)
    refused = await rig.state.acquire(ASK)
    assert (refused.refused, refused.retry_after_ms, refused.local) == ("rate-limited", WINDOW * 1000, False)
    place = await rig.state.acquire(PATIENT)
    assert (place.granted, place.wait_ms) == (True, WINDOW * 1000)
    rig.clock[0] += WINDOW
    assert (await rig.state.confirm(PATIENT, place)).verdict == "void", "now the shared state is asked"
    assert await rig.state.acquire(PATIENT) == rig.redis.decision
    rig.clock[0] += LAST_BACK
    for _ in range(9):
        assert await rig.state.acquire(ASK) == rig.redis.decision, "the window of the last that came back is over"


@pytest.mark.case(52)
async def test_whoever_comes_back_says_for_how_long_that_counts(rig: Rig) -> None:
    await lose(rig)
    await come_back(rig)
    assert rig.redis.marked == [round((WINDOW + LAST_BACK) * 1000)]


def newcomer(rig: Rig) -> FallbackState:
    """A worker that starts now: it knows nothing of what was sent in its place."""
    patience = Patience(suspect=SUSPECT_TICKS, limit=LIMIT_TICKS)
    local = LocalState(lambda: 2, window=WINDOW, clock=lambda: rig.clock[0])
    rig.redis.patience = patience
    return FallbackState(rig.redis, local, patience, OnLoss(), window=WINDOW, clock=lambda: rig.clock[0])


@pytest.mark.case(52)
async def test_one_that_starts_while_a_loss_counts_sends_nothing_until_that_is_over(rig: Rig) -> None:
    rig.redis.left_ms = 7_000
    state = newcomer(rig)
    await state.start()
    refused = await state.acquire(ASK)
    assert (refused.refused, refused.retry_after_ms, refused.local) == ("rate-limited", 7_000, False)
    unlimited = Ask(SCOPE, Limits(0, 3, 10_000), 0, 5_000)
    assert await state.acquire(unlimited) == rig.redis.decision
    rig.clock[0] += 7
    for _ in range(9):
        assert await state.acquire(ASK) == rig.redis.decision
    await state.stop()


@pytest.mark.case(52)
async def test_one_that_starts_before_the_last_came_back_hears_of_it_soon(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "_ALL_BACK_SECONDS", 0.05)
    state = newcomer(rig)
    await state.start()
    assert await state.acquire(ASK) == rig.redis.decision
    rig.redis.left_ms = 7_000

    async def holds() -> bool:
        return (await state.acquire(ASK)).refused == "rate-limited"

    await eventually(holds)
    await state.stop()


async def test_one_that_starts_where_nothing_was_lost_is_held_by_the_shared_limits_alone(rig: Rig) -> None:
    state = newcomer(rig)
    await state.start()
    for _ in range(9):
        assert await state.acquire(ASK) == rig.redis.decision
    await state.stop()


async def test_a_connection_that_stays_silent_is_dropped_where_a_new_one_is_answered(rig: Rig) -> None:
    rig.redis.silent, rig.redis.alive = True, False
    await rig.state.acquire(ASK)
    rig.redis.alive = True
    await eventually(lambda: rig.redis.hung_up)
    assert rig.state.away
    await come_back(rig)


async def test_a_permit_that_redis_granted_is_good_where_redis_is_lost_during_its_wait(rig: Rig) -> None:
    granted = await rig.state.acquire(PATIENT)
    rig.redis.broken = True
    assert (await rig.state.confirm(PATIENT, granted)).verdict == "send"


async def test_failures_that_redis_does_not_hear_of_open_the_circuit_here(rig: Rig) -> None:
    granted = await rig.state.acquire(PATIENT)
    await lose(rig)
    for _ in range(3):
        assert await rig.state.report(PATIENT, granted, "failure", cause="status 500") is None
    assert rig.redis.reports == []
    refused = await rig.state.acquire(PATIENT)
    assert (refused.refused, refused.cause) == ("circuit-open", "status 500")


async def test_a_cooldown_learnt_of_alone_is_told_to_all_after_the_return(rig: Rig) -> None:
    await lose(rig)
    alone = await rig.state.acquire(ASK)
    await come_back(rig)
    await rig.state.report(ASK, alone, "neutral", cooldown_ms=5000, cause="status 429")
    assert rig.redis.reports == [("neutral", 5000)]


async def test_a_worker_that_starts_without_redis_begins_by_itself(rig: Rig) -> None:
    rig.redis.broken = True
    await rig.state.start()
    assert rig.state.away
    await come_back(rig)


@pytest.mark.parametrize(
    ("text", "default"), [("", "local"), ("open", "open"), (" closed , platform.weather=local", "closed")]
)
def test_what_to_do_on_loss_is_read(text: str, default: str) -> None:
    assert OnLoss.parse(text).default == default


@pytest.mark.parametrize("text", ["never", "weather=open", "platform.weather=never", "=open"])
def test_what_is_not_known_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        OnLoss.parse(text)
