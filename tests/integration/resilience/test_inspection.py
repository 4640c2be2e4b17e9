"""How a scope stands, as operators see it, and closing it by hand."""

from __future__ import annotations

import pytest
import redis.asyncio

from services.executor.resilience.state import RedisState
from tests.support.shared_state import Workers, ask_for, attempt, new_connector, new_scope


async def test_a_scope_that_nobody_used_is_closed_and_stays_unwritten(state: RedisState, workers: Workers) -> None:
    scope = new_scope()

    standing = await state.inspect(scope, [scope])

    assert (standing.circuit, standing.failures, standing.permits) == ("closed", 0, ((0, 0),))
    assert await workers.keys_of(scope) == []


async def test_failures_an_open_circuit_and_a_probe_are_told_apart(state: RedisState, workers: Workers) -> None:
    ask = ask_for(new_scope(), threshold=2, recovery_ms=30_000)
    await attempt(state, ask, "failure")
    counting = await state.inspect(ask.scope, [])
    await attempt(state, ask, "failure")
    await workers.time_passes(10_000)
    opened = await state.inspect(ask.scope, [])
    await workers.time_passes(20_000)
    due = await state.inspect(ask.scope, [])
    assert (await state.acquire(ask)).probe
    probing = await state.inspect(ask.scope, [])

    assert (counting.circuit, counting.failures) == ("closed", 1)
    assert (opened.circuit, opened.since_ms, opened.cause) == ("open", 10_000, "status 503")
    assert (opened.retry_after_ms, due.retry_after_ms) == (20_000, 0)
    assert (probing.circuit, probing.retry_after_ms, probing.since_ms) == ("half-open", 35_000, 30_000)


async def test_permits_of_the_window_are_counted_and_those_to_come_apart(state: RedisState, workers: Workers) -> None:
    connector = new_connector()
    scope, platform = new_scope(connector=connector), new_scope("platform", connector)
    ask = ask_for(scope, rate=3, outer=[(platform, 5)])
    for _ in range(4):
        assert (await state.acquire(ask)).granted

    full = await state.inspect(scope, [scope, platform])
    await workers.time_passes(60_500)
    later = await state.inspect(scope, [scope, platform])

    assert full.permits == ((4, 1), (4, 1))
    assert later.permits == ((1, 0), (1, 0))


async def test_a_reset_closes_and_ends_the_cooldown_and_gives_no_permit_back(state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=2, threshold=1)
    decision = await state.acquire(ask)
    await state.report(ask, decision, "failure", cooldown_ms=40_000, cause="status 503")
    before = await state.inspect(ask.scope, [ask.scope])

    change = await state.reset(ask.scope)

    assert (before.circuit, before.cooldown_ms, before.cooldown_cause) == ("open", 40_000, "status 503")
    assert change is not None
    assert (change.circuit, change.epoch > decision.epoch) == ("closed", True)
    after = await state.inspect(ask.scope, [ask.scope])
    assert (after.circuit, after.cooldown_ms, after.cause, after.permits) == ("closed", 0, "", ((1, 0),))
    waits = [(await state.acquire(ask)).wait_ms for _ in range(2)]
    assert waits[0] == 0
    assert waits[1] > 0
    assert await state.reset(ask.scope) is None


@pytest.mark.parametrize("nonsense", ["a string", "a list of words"])
async def test_nonsense_is_repaired_and_shown_as_nothing(
    state: RedisState, redis_client: redis.asyncio.Redis, nonsense: str
) -> None:
    scope = new_scope()
    for key in (f"{scope.prefix}:c", f"{scope.prefix}:w"):
        if nonsense == "a string":
            await redis_client.set(key, nonsense)
        else:
            await redis_client.rpush(key, *nonsense.split())

    standing = await state.inspect(scope, [scope])

    assert (standing.circuit, standing.permits) == ("closed", ((0, 0),))
