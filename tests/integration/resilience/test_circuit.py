"""Circuits: failures in a row, counted by all workers together, and the one probe that may find out."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.executor.domain.classify import of_status
from services.executor.resilience.scripts import WINDOW_MS
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Ask, Change, Decision, Outcome
from tests.support.shared_state import Workers, ask_for, attempt, new_scope

RECOVERY_MS = 30_000
LEASE_MS = 35_000
FAILURE: Outcome = "failure"


@pytest.fixture
def ask() -> Ask:
    """Three failures open it."""
    return ask_for(new_scope(), threshold=3, recovery_ms=RECOVERY_MS, lease_ms=LEASE_MS)


async def opened(workers: Workers, state: RedisState, ask: Ask) -> Decision:
    """The circuit is open; the decision of the attempt that opened it."""
    return (await attempt(state, ask, *[FAILURE] * ask.limits.threshold))[-1]


async def probing(workers: Workers, state: RedisState, ask: Ask) -> Decision:
    """The circuit is half-open; the probe's decision."""
    await opened(workers, state, ask)
    await workers.time_passes(ask.limits.recovery_ms)
    probe = await state.acquire(ask)
    assert probe.probe
    return probe


async def refusal(state: RedisState, ask: Ask) -> Decision:
    decision = await state.acquire(ask)
    assert decision.refused == "circuit-open", decision
    return decision


async def effects(state: RedisState, ask: Ask, *statuses: int) -> list[Change | None]:
    """What the circuit makes of responses with these statuses."""
    changes = []
    for status in statuses:
        effect = of_status(status, says_when=False).effect
        assert effect != "none"
        decision = await state.acquire(ask)
        assert decision.granted, decision
        changes.append(await state.report(ask, decision, effect, cause=f"status {status}"))
    return changes


@pytest.mark.case(7)
async def test_a_probe_takes_a_permit(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=4, threshold=3, recovery_ms=RECOVERY_MS)
    await probing(workers, state, ask)
    unlimited = ask_for(ask.scope, rate=4)

    following = await state.acquire(unlimited)

    assert following.wait_ms == WINDOW_MS - RECOVERY_MS


@pytest.mark.case(7)
async def test_a_probe_waits_for_its_permit_and_its_lease_begins_then(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=3, threshold=3, recovery_ms=RECOVERY_MS, lease_ms=LEASE_MS)
    probe = await probing(workers, state, ask)

    assert probe.wait_ms == WINDOW_MS - RECOVERY_MS
    assert (await refusal(state, ask)).retry_after_ms == probe.wait_ms + LEASE_MS


@pytest.mark.case(13)
async def test_a_success_before_the_threshold_sets_the_count_back(state: RedisState, ask: Ask) -> None:
    await attempt(state, ask, "failure", "failure", "success")

    assert (await state.acquire(ask)).failures == 0
    assert [decision.failures for decision in await attempt(state, ask, "failure", "failure", "success")] == [0, 1, 2]


@pytest.mark.case(14)
async def test_it_opens_on_exactly_the_failure_that_reaches_the_threshold(workers: Workers, ask: Ask) -> None:
    one, other = workers.new(), workers.new()
    decisions = [await one.acquire(ask) for _ in range(4)]

    changes = [
        await worker.report(ask, decision, "failure", cause="status 503")
        for worker, decision in zip((one, other, one, other), decisions, strict=True)
    ]

    assert [change and change.circuit for change in changes] == [None, None, "open", None]
    assert changes[2] is not None
    assert changes[2].cause == "status 503"


@pytest.mark.case(16)
async def test_open_it_refuses_at_once_and_says_why(workers: Workers, ask: Ask) -> None:
    one, other = workers.new(), workers.new()
    await opened(workers, one, ask)
    await workers.time_passes(12_000)
    await other.acquire(ask)

    begun = time.perf_counter()
    decision = await other.acquire(ask)
    took = time.perf_counter() - begun

    assert decision == Decision(
        False,
        refused="circuit-open",
        retry_after_ms=RECOVERY_MS - 12_000,
        since_ms=12_000,
        cause="status 503",
        opened=decision.opened,
    )
    assert took < 0.05


@pytest.mark.case(16)
async def test_a_refusal_asks_to_come_back_after_100_ms_at_the_soonest(
    workers: Workers, state: RedisState, ask: Ask
) -> None:
    await opened(workers, state, ask)
    await workers.time_passes(RECOVERY_MS - 1)

    assert (await refusal(state, ask)).retry_after_ms == 100


@pytest.mark.case(16)
async def test_open_it_spends_no_permits(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=4, threshold=3, recovery_ms=RECOVERY_MS)
    await opened(workers, state, ask)
    for _ in range(5):
        await refusal(state, ask)

    assert (await state.acquire(ask_for(ask.scope, rate=4))).wait_ms == 0


async def test_of_many_that_come_when_recovery_has_passed_one_is_the_probe(workers: Workers, ask: Ask) -> None:
    fleet = [workers.new() for _ in range(8)]
    await opened(workers, fleet[0], ask)
    await workers.time_passes(RECOVERY_MS)

    decisions = await asyncio.gather(*(worker.acquire(ask) for worker in fleet for _ in range(4)))

    assert sum(decision.probe for decision in decisions) == 1
    assert sum(decision.granted for decision in decisions) == 1
    assert {decision.retry_after_ms for decision in decisions if not decision.granted} == {LEASE_MS}


@pytest.mark.case(18)
async def test_a_probe_that_succeeds_closes_it_and_others_go(workers: Workers, ask: Ask) -> None:
    one, other = workers.new(), workers.new()
    probe = await probing(workers, one, ask)

    change = await one.report(ask, probe, "success")

    assert change is not None
    assert change.circuit == "closed"
    assert change.epoch > probe.epoch
    assert [decision.failures for decision in await attempt(other, ask, "failure", "failure", "success")] == [0, 1, 2]


@pytest.mark.case(19)
async def test_a_probe_that_fails_opens_it_for_a_full_recovery_again(
    workers: Workers, state: RedisState, ask: Ask
) -> None:
    probe = await probing(workers, state, ask)
    await workers.time_passes(5_000)

    change = await state.report(ask, probe, "failure", cause="upstream-timeout")

    assert change is None
    refused = await refusal(state, ask)
    assert (refused.retry_after_ms, refused.cause) == (RECOVERY_MS, "upstream-timeout")
    assert refused.since_ms == RECOVERY_MS + 5_000
    await workers.time_passes(RECOVERY_MS)
    assert (await state.acquire(ask)).probe


@pytest.mark.case(20)
async def test_a_probe_that_never_reports_loses_its_lease_and_not_before(workers: Workers, ask: Ask) -> None:
    killed, other = workers.new(), workers.new()
    lost = await probing(workers, killed, ask)
    await workers.time_passes(LEASE_MS - 0.001)
    await refusal(other, ask)
    await workers.time_passes(0.001)

    following = await other.acquire(ask)

    assert following.probe
    assert following.epoch > lost.epoch
    assert await killed.report(ask, lost, "success") is None
    await refusal(killed, ask)


@pytest.mark.case(21)
async def test_a_success_from_before_it_opened_does_not_close_it(workers: Workers, ask: Ask) -> None:
    slow, other = workers.new(), workers.new()
    early = await slow.acquire(ask)
    await opened(workers, other, ask)

    assert await slow.report(ask, early, "success") is None

    await refusal(other, ask)
    await workers.time_passes(RECOVERY_MS)
    probe = await other.acquire(ask)
    assert await slow.report(ask, early, "success") is None
    await refusal(slow, ask)
    assert await other.report(ask, probe, "success") is not None


@pytest.mark.case(21)
async def test_a_success_from_before_it_opened_does_not_set_the_count_back(workers: Workers, ask: Ask) -> None:
    slow, other = workers.new(), workers.new()
    early = await slow.acquire(ask)
    probe = await probing(workers, other, ask)
    await other.report(ask, probe, "success")
    await attempt(other, ask, "failure", "failure")

    slow.report_later(ask, early)

    assert (await slow.acquire(ask)).failures == 2


@pytest.mark.case(22)
async def test_a_failure_from_before_it_closed_does_not_reopen_it(workers: Workers, ask: Ask) -> None:
    slow, other = workers.new(), workers.new()
    early = [await slow.acquire(ask) for _ in range(9)]
    probe = await probing(workers, other, ask)
    for decision in early[:3]:
        assert await slow.report(ask, decision, "failure") is None
    await other.report(ask, probe, "success")

    for decision in early[3:]:
        assert await slow.report(ask, decision, "failure") is None

    assert (await other.acquire(ask)).failures == 0


@pytest.mark.case(23)
async def test_a_neutral_probe_frees_the_place_of_the_probe(workers: Workers, ask: Ask) -> None:
    one, other = workers.new(), workers.new()
    probe = await probing(workers, one, ask)

    assert await one.report(ask, probe, "neutral") is None

    following = await other.acquire(ask)
    assert following.probe
    assert await one.report(ask, probe, "success") is None
    assert await other.report(ask, following, "success") is not None


@pytest.mark.case(24)
async def test_threshold_0_never_opens(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), threshold=0)

    decisions = await attempt(state, ask, *[FAILURE] * 50)

    assert all(decision.granted for decision in decisions)
    assert await workers.keys_of(ask.scope) == []


@pytest.mark.case(24)
async def test_a_threshold_taken_away_lets_everything_through_an_open_circuit(
    workers: Workers, state: RedisState, ask: Ask
) -> None:
    await opened(workers, state, ask)

    assert (await state.acquire(ask_for(ask.scope, threshold=0))).granted


@pytest.mark.case(25)
async def test_threshold_1_opens_on_the_first_failure(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), threshold=1)

    await attempt(state, ask, "success", "success", "failure")

    await refusal(state, ask)


@pytest.mark.case(26)
async def test_responses_404_never_open_it(state: RedisState, ask: Ask) -> None:
    assert await effects(state, ask, *[404] * 20) == [None] * 20
    assert (await state.acquire(ask)).failures == 0


@pytest.mark.case(27)
async def test_responses_429_never_open_it(state: RedisState, ask: Ask) -> None:
    assert await effects(state, ask, *[429] * 20) == [None] * 20
    assert (await state.acquire(ask)).failures == 0


@pytest.mark.case(28)
async def test_a_404_between_500s_sets_the_count_back(state: RedisState, ask: Ask) -> None:
    changes = await effects(state, ask, 500, 500, 404, 500, 500, 404, 500, 500, 500)

    assert changes[:-1] == [None] * 8
    assert changes[-1] is not None
    assert changes[-1].cause == "status 500"


async def test_changes_of_one_microsecond_have_different_epochs(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), threshold=1, recovery_ms=0, lease_ms=0)
    epochs = []
    outcomes: list[Outcome] = ["failure", "failure", "success"]
    for outcome in outcomes * 3:
        decision = await state.acquire(ask)
        epochs.append(decision.epoch)
        change = await state.report(ask, decision, outcome)
        if change is not None:
            epochs.append(change.epoch)

    assert epochs == sorted(epochs)
    assert len(set(epochs)) >= len(epochs) - 2


@pytest.mark.case(60)
async def test_waiters_queued_when_it_opens_are_told_so(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=3, threshold=3, recovery_ms=90_000)
    sent = [await one.acquire(ask) for _ in range(3)]
    waiting = [await other.acquire(ask) for _ in range(3)]
    for decision in sent:
        await one.report(ask, decision, "failure", cause="status 502")
    await workers.time_passes(WINDOW_MS)

    confirmations = [await other.confirm(ask, decision) for decision in waiting]

    assert [confirmation.verdict for confirmation in confirmations] == ["circuit-open"] * 3
    assert confirmations[0].retry_after_ms == 90_000 - WINDOW_MS
    assert confirmations[0].cause == "status 502"


async def test_a_waiter_over_whom_it_opened_and_closed_sends_and_reports_anew(workers: Workers, ask: Ask) -> None:
    waiter, other = workers.new(), workers.new()
    waiting = await waiter.acquire(ask)
    probe = await probing(workers, other, ask)
    await other.report(ask, probe, "success")

    confirmation = await waiter.confirm(ask, waiting)

    assert confirmation.verdict == "send"
    assert confirmation.epoch == (await other.acquire(ask)).epoch
    assert not confirmation.probe


async def test_a_probe_that_waited_is_still_the_probe(workers: Workers, state: RedisState, ask: Ask) -> None:
    probe = await probing(workers, state, ask)

    confirmation = await state.confirm(ask, probe)

    assert (confirmation.verdict, confirmation.epoch, confirmation.probe) == ("send", probe.epoch, True)


async def test_reset_closes_it_and_ends_the_cooldown(workers: Workers, state: RedisState, ask: Ask) -> None:
    last = await opened(workers, state, ask)
    await state.report(ask, last, "neutral", cooldown_ms=50_000)

    change = await state.reset(ask.scope)

    assert change is not None
    assert change.circuit == "closed"
    following = await state.acquire(ask)
    assert (following.wait_ms, following.failures) == (0, 0)
    assert await state.reset(ask.scope) is None
