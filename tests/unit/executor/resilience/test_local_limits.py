"""A worker by itself keeps to its share of every limit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from services.executor.resilience.local import LocalState
from services.executor.resilience.types import COOLDOWN, Ask, Decision, Limits, ScopeKey

WINDOW = 60.5
SCOPE = ScopeKey("res:{platform.weather}:acme.-")
OUTER = ScopeKey("res:{platform.weather}:enterprise:acme")


@dataclass
class Worker:
    """A worker that knows how many there are, and a clock that is set by hand."""

    workers: int = 1
    now: float = 1000.0
    state: LocalState = field(init=False)

    def __post_init__(self) -> None:
        self.state = LocalState(lambda: self.workers, window=WINDOW, clock=lambda: self.now)

    def settled(self) -> Worker:
        """One that has been there for a window."""
        self.now += WINDOW
        return self

    def granted(self, ask: Ask) -> int:
        """How many permits there are to be had at once."""
        count = 0
        while True:
            decision = self.state.acquire(ask)
            if not decision.granted:
                return count
            assert decision.wait_ms == 0
            count += 1


def asking(rate: int, *, outer: int = 0, max_wait_ms: int = 0, scope: ScopeKey = SCOPE) -> Ask:
    stacked = ((OUTER, outer),) if outer else ()
    return Ask(scope, Limits(rate, 0, 1000), max_wait_ms, 5000, stacked)


@pytest.mark.parametrize(("rate", "workers", "share"), [(60, 1, 60), (60, 4, 15), (60, 7, 8), (5, 3, 1)])
def test_a_workers_share_is_the_limit_divided_by_the_workers_and_rounded_down(
    rate: int, workers: int, share: int
) -> None:
    worker = Worker(workers).settled()
    assert worker.granted(asking(rate)) == share
    refused = worker.state.acquire(asking(rate))
    assert (refused.refused, refused.rate, refused.limit, refused.local) == ("rate-limited", rate, "acme.-", True)
    assert refused.retry_after_ms == WINDOW * 1000
    worker.now += WINDOW
    assert worker.granted(asking(rate)) == share


def test_where_the_share_is_nothing_one_permit_lasts_for_several_windows() -> None:
    worker = Worker(workers=5).settled()
    assert worker.granted(asking(2)) == 1
    assert worker.state.acquire(asking(2)).retry_after_ms == 3 * WINDOW * 1000
    worker.now += 3 * WINDOW
    assert worker.granted(asking(2)) == 1


def test_what_the_shared_state_has_granted_counts() -> None:
    worker = Worker(workers=2).settled()
    for _ in range(4):
        worker.state.heard(asking(10), Decision(granted=True))
    assert worker.granted(asking(10)) == 1


def test_a_worker_that_has_just_started_grants_nothing_for_a_window() -> None:
    worker = Worker()
    refused = worker.state.acquire(asking(10))
    assert (refused.refused, refused.retry_after_ms) == ("rate-limited", WINDOW * 1000)
    assert worker.state.acquire(asking(0)).granted, "there is no limit to keep"
    worker.now += WINDOW
    assert worker.granted(asking(10)) == 10


def test_a_share_shrinks_and_grows_with_the_number_of_workers() -> None:
    worker = Worker(workers=2).settled()
    assert worker.granted(asking(12)) == 6
    worker.workers = 3
    assert worker.granted(asking(12)) == 0
    worker.workers = 1
    assert worker.granted(asking(12)) == 6


def test_waiters_are_served_in_order_and_none_beyond_what_the_caller_can_wait() -> None:
    worker = Worker().settled()
    patient = asking(2, max_wait_ms=200_000)
    waits = [worker.state.acquire(patient).wait_ms for _ in range(5)]
    assert waits == [0, 0, 60_500, 60_500, 121_000]
    refused = worker.state.acquire(asking(2, max_wait_ms=60_500))
    assert (refused.granted, refused.retry_after_ms) == (False, 121_000)


def test_the_tightest_of_stacked_limits_wins_and_its_refusal_spends_nothing() -> None:
    worker = Worker().settled()
    assert worker.granted(asking(10, outer=3)) == 3
    refused = worker.state.acquire(asking(10, outer=3))
    assert (refused.limit, refused.rate) == ("enterprise:acme", 3)
    assert worker.granted(asking(10)) == 7


def test_a_cooldown_pauses_the_scope() -> None:
    worker = Worker().settled()
    worker.state.reported(
        asking(0), Decision(granted=True), "neutral", cooldown_ms=2000, cause="status 429", alone=True
    )
    refused = worker.state.acquire(asking(0))
    assert (refused.limit, refused.retry_after_ms, refused.cause) == (COOLDOWN, 2000, "status 429")
    worker.now += 2
    assert worker.state.acquire(asking(0)).granted


def test_a_permit_is_void_where_a_cooldown_came_during_its_wait() -> None:
    worker = Worker().settled()
    patient = asking(1, max_wait_ms=100_000)
    worker.state.acquire(patient)
    decision = worker.state.acquire(patient)
    worker.now += decision.wait_ms / 1000
    assert worker.state.confirm(patient, decision).verdict == "send"
    worker.state.reported(patient, decision, "neutral", cooldown_ms=500, alone=True)
    assert worker.state.confirm(patient, decision).verdict == "void"


def test_only_permits_that_the_shared_log_does_not_have_are_merged_and_only_once() -> None:
    worker = Worker().settled()
    ask = asking(10, outer=20)
    worker.state.heard(ask, Decision(granted=True))
    worker.state.acquire(ask)
    worker.now += 1.5
    worker.state.acquire(ask)
    unshared = worker.state.take_unshared()
    worker.state.acquire(ask)
    worker.now += 1
    ages = {one.scope: worker.state.ages_us(one) for one in unshared}
    assert ages == {SCOPE: (2_500_000, 1_000_000), OUTER: (2_500_000, 1_000_000)}
    assert [worker.state.ages_us(one) for one in worker.state.take_unshared()] == [(1_000_000,), (1_000_000,)]
    assert worker.state.take_unshared() == []


def test_what_could_not_be_merged_is_merged_the_next_time() -> None:
    worker = Worker().settled()
    worker.state.acquire(asking(10))
    (unshared,) = worker.state.take_unshared()
    worker.state.acquire(asking(10))
    worker.state.put_back(unshared)
    assert [len(one.times) for one in worker.state.take_unshared()] == [2]


def test_permits_older_than_a_window_are_not_merged() -> None:
    worker = Worker().settled()
    worker.state.acquire(asking(10))
    worker.now += WINDOW + 0.1
    assert worker.state.take_unshared() == []


def test_a_place_in_the_queue_is_given_back() -> None:
    worker = Worker().settled()
    patient = asking(1, max_wait_ms=100_000)
    assert worker.state.wait(patient) is None
    worker.state.heard(patient, Decision(granted=True))
    place = worker.state.wait(patient)
    assert place is not None
    assert place.wait_ms == 60_500
    behind = worker.state.wait(patient)
    assert behind is not None
    assert not behind.granted
    worker.now += 60.5
    worker.state.take_back(patient, place)
    assert worker.state.wait(patient) is None
    assert worker.state.take_unshared() == []


def test_scopes_that_nobody_uses_are_forgotten() -> None:
    worker = Worker().settled()
    worker.state.acquire(asking(10, outer=20))
    worker.state.forget_idle()
    assert len(worker.state) == 2
    worker.now += 601
    worker.state.forget_idle()
    assert len(worker.state) == 0
