"""The cooldown that an external system asks for holds for all workers, and for those that wait already."""

from __future__ import annotations

import pytest

from services.executor.resilience.scripts import WINDOW_MS
from services.executor.resilience.types import COOLDOWN, Decision
from tests.support.shared_state import Workers, ask_for, new_scope


async def test_what_one_worker_is_told_pauses_the_others(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=5, threshold=3)
    told = await one.acquire(ask)
    await one.report(ask, told, "neutral", cooldown_ms=20_000, cause="status 429")
    await workers.time_passes(5_000)

    assert (await other.acquire(ask)).wait_ms == 15_000


@pytest.mark.parametrize("threshold", [0, 3])
async def test_a_pause_beyond_the_deadline_is_refused_with_the_time(workers: Workers, threshold: int) -> None:
    state = workers.new()
    ask = ask_for(new_scope(), threshold=threshold, max_wait_ms=10_000)
    told = await state.acquire(ask)
    await state.report(ask, told, "neutral", cooldown_ms=20_000, cause="status 429")

    decision = await state.acquire(ask)

    assert decision == Decision(
        False, refused="rate-limited", retry_after_ms=20_000, limit=COOLDOWN, cause="status 429"
    )


async def test_nobody_waits_for_a_pause_of_more_than_a_minute(workers: Workers) -> None:
    state = workers.new()
    ask = ask_for(new_scope(), max_wait_ms=120_000)
    await state.report(ask, await state.acquire(ask), "neutral", cooldown_ms=60_001, cause="status 429")

    assert (await state.acquire(ask)).refused == "rate-limited"
    await workers.time_passes(1)
    assert (await state.acquire(ask)).wait_ms == 60_000


async def test_a_pause_is_an_hour_at_most_and_never_shortened(workers: Workers) -> None:
    state = workers.new()
    ask = ask_for(new_scope())
    told = await state.acquire(ask)
    for pause in (86_400_000, 1_000):
        await state.report(ask, told, "neutral", cooldown_ms=pause, cause="status 429")

    assert (await state.acquire(ask)).retry_after_ms == 3_600_000


async def test_a_pause_counts_even_from_an_attempt_that_the_circuit_no_longer_hears(workers: Workers) -> None:
    state = workers.new()
    ask = ask_for(new_scope(), threshold=1, recovery_ms=1_000)
    stale, failing = await state.acquire(ask), await state.acquire(ask)
    await state.report(ask, failing, "failure", cause="status 500")
    await state.report(ask, stale, "failure", cooldown_ms=30_000, cause="status 503")
    await workers.time_passes(1_000)

    probe = await state.acquire(ask)

    assert probe.probe
    assert probe.wait_ms == 29_000


@pytest.mark.case(61)
async def test_waiters_queued_when_a_pause_begins_lose_their_permits(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=1)
    told, waiting = await one.acquire(ask), await other.acquire(ask)
    await one.report(ask, told, "neutral", cooldown_ms=WINDOW_MS + 5_000, cause="status 429")
    await workers.time_passes(WINDOW_MS)

    confirmation = await other.confirm(ask, waiting)
    anew = await other.acquire(ask)

    assert confirmation.verdict == "void"
    assert anew.at == waiting.at + WINDOW_MS * 1_000


@pytest.mark.case(61)
async def test_waiters_whose_time_comes_after_the_pause_keep_it(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=1, threshold=2)
    told, waiting = await one.acquire(ask), await other.acquire(ask)
    await one.report(ask, told, "neutral", cooldown_ms=WINDOW_MS, cause="status 429")
    await workers.time_passes(WINDOW_MS)

    assert (await other.confirm(ask, waiting)).verdict == "send"


@pytest.mark.case(61)
async def test_a_probe_whose_permit_is_void_may_come_back_as_the_probe(workers: Workers) -> None:
    state = workers.new()
    ask = ask_for(new_scope(), rate=1, threshold=1, recovery_ms=1_000)
    early, failing = await state.acquire(ask), await state.acquire(ask)
    await state.report(ask, failing, "failure", cause="status 500")
    await workers.time_passes(1_000)
    probe = await state.acquire(ask)
    await state.report(ask, early, "neutral", cooldown_ms=200_000, cause="status 429")

    assert (await state.confirm(ask, probe)).verdict == "void"

    await workers.time_passes(150_000)
    assert (await state.acquire(ask)).probe
