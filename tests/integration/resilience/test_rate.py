"""Rate limits: an exact sliding log that all workers share."""

from __future__ import annotations

import asyncio

import pytest

from services.executor.resilience.scripts import WINDOW_MS
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Decision
from tests.support.polling import eventually
from tests.support.shared_state import Workers, ask_for, attempt, most_in_a_window, new_connector, new_scope


@pytest.mark.case(1)
async def test_one_more_than_the_limit_waits_for_what_is_left_of_the_window(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=3)
    first = await one.acquire(ask)
    await workers.time_passes(10_000)
    rest = [await other.acquire(ask) for _ in range(2)]
    await workers.time_passes(5_000)

    waiting = await one.acquire(ask)

    assert [decision.wait_ms for decision in (first, *rest)] == [0, 0, 0]
    assert waiting.granted
    assert waiting.wait_ms == WINDOW_MS - 15_000
    assert waiting.at == first.at + WINDOW_MS * 1_000


@pytest.mark.case(1)
async def test_a_limit_holds_in_real_time(hurried: Workers) -> None:
    ask = ask_for(new_scope(), rate=5)

    async def work(worker: RedisState) -> list[Decision]:
        return [await worker.acquire(ask) for _ in range(5)]

    decisions = [
        decision for some in await asyncio.gather(*(work(hurried.new()) for _ in range(4))) for decision in some
    ]

    assert most_in_a_window([decision.at for decision in decisions], 400) == 5
    assert max(decision.at for decision in decisions) - min(decision.at for decision in decisions) >= 3 * 400_000


@pytest.mark.case(3)
async def test_an_idle_hour_earns_no_credit(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=4, max_wait_ms=0)
    await attempt(state, ask, "success", "success")
    await workers.time_passes(3_600_000)

    decisions = [await state.acquire(ask) for _ in range(10)]

    assert [decision.granted for decision in decisions] == [True] * 4 + [False] * 6


@pytest.mark.case(4)
async def test_waiters_are_served_first_come_first_served(workers: Workers) -> None:
    ask = ask_for(new_scope(), rate=2)
    queue = [workers.new() for _ in range(4)]

    decisions = []
    for worker in queue * 2:
        decisions.append(await worker.acquire(ask))
        await workers.time_passes(1)

    times = [decision.at for decision in decisions]
    assert times == sorted(times)
    assert most_in_a_window(times) == 2


@pytest.mark.case(5)
async def test_a_wait_beyond_the_deadline_is_refused_at_once_and_spends_nothing(
    workers: Workers, state: RedisState
) -> None:
    scope = new_scope("acme.7")
    await state.acquire(ask_for(scope, rate=1))
    await workers.time_passes(500)

    refused = [await state.acquire(ask_for(scope, rate=1, max_wait_ms=59_999)) for _ in range(3)]
    patient = await state.acquire(ask_for(scope, rate=1, max_wait_ms=60_000))

    for decision in refused:
        assert decision == Decision(False, refused="rate-limited", retry_after_ms=60_000, limit="acme.7", rate=1)
    assert patient.wait_ms == 60_000


@pytest.mark.case(6)
async def test_every_attempt_takes_a_permit_whether_it_is_the_first_or_a_repeat(state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=3, threshold=10)

    await attempt(state, ask, "failure", "failure", "failure")

    assert (await state.acquire(ask)).wait_ms == WINDOW_MS


@pytest.mark.case(8)
async def test_rate_0_is_unlimited_and_keeps_no_list(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=0)

    decisions = [await state.acquire(ask) for _ in range(500)]

    assert all(decision.granted and decision.wait_ms == 0 for decision in decisions)
    assert await workers.keys_of(ask.scope) == []


@pytest.mark.case(9)
async def test_a_lowered_limit_holds_within_one_window(workers: Workers) -> None:
    old, new = workers.new(), workers.new()
    scope = new_scope()
    times = []
    for _ in range(60):
        times.append((await old.acquire(ask_for(scope, rate=60))).at)
        await workers.time_passes(100)

    lowered = [(await new.acquire(ask_for(scope, rate=10, max_wait_ms=600_000))).at for _ in range(40)]

    assert lowered[0] == times[-10] + WINDOW_MS * 1_000
    assert most_in_a_window(times[-9:] + lowered) == 10


@pytest.mark.case(10)
async def test_a_raised_limit_counts_at_once_and_reserved_times_come_first(workers: Workers, state: RedisState) -> None:
    scope = new_scope()
    first = await state.acquire(ask_for(scope, rate=1))
    reserved = await state.acquire(ask_for(scope, rate=1))

    raised = [await state.acquire(ask_for(scope, rate=3)) for _ in range(3)]

    assert [decision.at for decision in raised[:2]] == [reserved.at, reserved.at]
    assert raised[2].at == first.at + 2 * WINDOW_MS * 1_000
    assert most_in_a_window([decision.at for decision in (first, reserved, *raised)]) == 3


@pytest.mark.case(11)
async def test_an_unused_scope_leaves_no_keys(hurried: Workers) -> None:
    connector = new_connector()
    scope, further = new_scope("acme.1", connector), new_scope("platform", connector)
    state = hurried.new()
    ask = ask_for(scope, rate=5, threshold=2, recovery_ms=100, lease_ms=100, outer=[(further, 9)])
    await attempt(state, ask, "success", "failure")
    assert len(await hurried.keys_of(scope)) == 2
    assert len(await hurried.keys_of(further)) == 1

    async def gone() -> bool:
        return not await hurried.keys_of(scope) and not await hurried.keys_of(further)

    await eventually(gone)


@pytest.mark.case(11)
async def test_every_key_has_an_end_that_outlives_what_it_is_for(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=1, threshold=1, recovery_ms=60_000, lease_ms=35_000)
    await attempt(state, ask, "success")
    waiting = await state.acquire(ask)
    await state.report(ask, waiting, "neutral", cooldown_ms=3_600_000)

    permits = await workers.redis.pttl(f"{ask.scope.prefix}:w")
    circuit = await workers.redis.pttl(f"{ask.scope.prefix}:c")

    assert permits > waiting.wait_ms + WINDOW_MS - 5_000
    assert circuit > 60_000 + 35_000 + 3_600_000 + 600_000 - 5_000


@pytest.mark.case(12)
async def test_of_stacked_limits_the_tightest_wins_and_a_refusal_spends_nothing_in_the_others(
    state: RedisState,
) -> None:
    connector = new_connector()
    scope, enterprise, platform = (new_scope(name, connector) for name in ("acme.1", "enterprise:acme", "platform"))
    both = [(enterprise, 2), (platform, 9)]
    stacked = ask_for(scope, rate=5, outer=both, max_wait_ms=0)

    decisions = [await state.acquire(stacked) for _ in range(4)]

    assert [decision.granted for decision in decisions] == [True, True, False, False]
    assert (decisions[3].limit, decisions[3].rate) == ("enterprise:acme", 2)
    alone = [await state.acquire(ask_for(scope, rate=5, max_wait_ms=0)) for _ in range(4)]
    assert [decision.granted for decision in alone] == [True, True, True, False]
    others = [
        await state.acquire(ask_for(new_scope("else.1", connector), outer=[both[1]], max_wait_ms=0)) for _ in range(8)
    ]
    assert [decision.granted for decision in others] == [True] * 7 + [False]


@pytest.mark.case(62)
async def test_a_waiter_of_one_connection_does_not_delay_another_under_the_same_outer_limit(state: RedisState) -> None:
    connector = new_connector()
    busy, quiet, platform = (new_scope(name, connector) for name in ("acme.1", "acme.2", "platform"))
    outer = [(platform, 10)]
    waiters = [await state.acquire(ask_for(busy, rate=1, outer=outer)) for _ in range(3)]

    other = await state.acquire(ask_for(quiet, rate=1, outer=outer))

    assert [decision.wait_ms for decision in waiters] == [0, WINDOW_MS, 2 * WINDOW_MS]
    assert other.wait_ms == 0


@pytest.mark.case(62)
async def test_a_gap_before_a_waiter_is_used_only_as_far_as_every_window_allows(state: RedisState) -> None:
    connector = new_connector()
    busy, quiet, platform = (new_scope(name, connector) for name in ("acme.1", "acme.2", "platform"))
    outer = [(platform, 2)]
    granted = [await state.acquire(ask_for(busy, rate=1, outer=outer)) for _ in range(2)]

    granted += [await state.acquire(ask_for(quiet, outer=outer, max_wait_ms=300_000)) for _ in range(6)]

    assert [decision.wait_ms for decision in granted[2:4]] == [0, WINDOW_MS]
    assert most_in_a_window([decision.at for decision in granted]) == 2
