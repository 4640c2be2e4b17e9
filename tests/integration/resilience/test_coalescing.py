"""What a worker says to Redis at once goes as one, in order, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
import redis.asyncio

from services.executor.resilience.scripts import WINDOW_MS
from services.executor.resilience.state import FLUSH_SECONDS, RedisState
from services.executor.resilience.types import StateUnavailableError
from tests.support.polling import eventually
from tests.support.servers import RedisServer
from tests.support.shared_state import Workers, ask_for, attempt, most_in_a_window, new_scope


async def calls_of_scripts(client: redis.asyncio.Redis) -> int:
    stats = await client.info("commandstats")
    return sum(int(stats.get(name, {}).get("calls", 0)) for name in ("cmdstat_evalsha", "cmdstat_eval"))


async def reads(client: redis.asyncio.Redis) -> int:
    return int((await client.info("stats"))["total_reads_processed"])


async def asked_for() -> None:
    """What has just begun to ask has asked: it does at the end of its turn of the loop."""
    for _ in range(2):
        await asyncio.sleep(0)


async def test_what_is_asked_in_one_turn_of_the_loop_goes_in_one_write(workers: Workers, state: RedisState) -> None:
    asks = [ask_for(new_scope(), rate=10, threshold=3) for _ in range(64)]
    await state.acquire(asks[0])
    before = await reads(workers.redis)

    decisions = await asyncio.gather(*(state.acquire(ask) for ask in asks))

    assert all(decision.granted for decision in decisions)
    assert await reads(workers.redis) - before <= 3


async def test_attempts_that_ask_for_the_same_are_decided_in_one_call_in_the_order_of_asking(
    workers: Workers, state: RedisState
) -> None:
    scope = new_scope()
    asks = [ask_for(scope, rate=200, threshold=3, max_wait_ms=place % 2 * 600_000) for place in range(600)]
    await state.acquire(ask_for(new_scope()))
    before = await calls_of_scripts(workers.redis)

    decisions = await asyncio.gather(*(state.acquire(ask) for ask in asks))

    times = [decision.at for decision in decisions if decision.granted]
    assert await calls_of_scripts(workers.redis) - before == 3
    assert [decision.granted for decision in decisions] == [True] * 200 + [place % 2 == 1 for place in range(400)]
    assert times == sorted(times)
    assert most_in_a_window(times) == 200


async def test_one_that_is_given_up_does_not_take_along_those_who_asked_with_it(workers: Workers) -> None:
    state = workers.new()
    ask = ask_for(new_scope(), rate=9, threshold=3)
    asked = [asyncio.create_task(state.acquire(ask)) for _ in range(4)]
    await asyncio.sleep(0)
    asked[0].cancel()
    await asked_for()

    asked[2].cancel()

    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "CancelledError",
        "Decision",
        "CancelledError",
        "Decision",
    ]
    assert await workers.redis.llen(f"{ask.scope.prefix}:w") == 3


async def test_a_success_costs_one_call_of_a_script(workers: Workers, state: RedisState) -> None:
    ask = ask_for(new_scope(), rate=100, threshold=3)
    await attempt(state, ask, "success")
    before = await calls_of_scripts(workers.redis)
    for _ in range(50):
        state.report_later(ask, await state.acquire(ask))

    assert await calls_of_scripts(workers.redis) - before == 50


async def test_a_success_rides_on_the_next_acquire(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), threshold=3)
    early = await one.acquire(ask)
    await attempt(other, ask, "failure", "failure")

    one.report_later(ask, early)

    assert (await one.acquire(ask)).failures == 0


async def test_a_success_is_told_soon_where_nothing_follows(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), threshold=3)
    early = await one.acquire(ask)
    await attempt(other, ask, "failure", "failure")
    one.report_later(ask, early)

    async def told() -> bool:
        return (await other.acquire(ask)).failures == 0

    await eventually(told, FLUSH_SECONDS * 10)


async def test_a_failure_carries_the_successes_before_it(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), threshold=3)
    good, bad = await one.acquire(ask), await one.acquire(ask)
    await attempt(other, ask, "failure", "failure")

    one.report_later(ask, good)
    change = await one.report(ask, bad, "failure")

    assert change is None
    assert (await other.acquire(ask)).failures == 1


async def test_successes_of_two_epochs_are_both_told(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), threshold=2, recovery_ms=1_000)
    stale = await one.acquire(ask)
    await attempt(other, ask, "failure", "failure")
    await workers.time_passes(1_000)
    await attempt(other, ask, "success")
    fresh = await one.acquire(ask)
    await attempt(other, ask, "failure")

    one.report_later(ask, fresh)
    one.report_later(ask, stale)

    async def told() -> bool:
        return (await other.acquire(ask)).failures == 0

    await eventually(told)


async def test_closing_tells_what_is_untold(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), threshold=3)
    early = await one.acquire(ask)
    await attempt(other, ask, "failure", "failure")
    one.report_later(ask, early)

    await one.close()

    assert (await other.acquire(ask)).failures == 0


@pytest.mark.case(56)
async def test_a_flushed_script_cache_is_not_noticed(workers: Workers) -> None:
    fleet = [workers.new() for _ in range(4)]
    ask = ask_for(new_scope(), rate=20, threshold=3)
    times = []
    for _ in range(5):
        flushing = workers.redis.script_flush()
        decisions, _ = await asyncio.gather(
            asyncio.gather(*(worker.acquire(ask) for worker in fleet for _ in range(4))), flushing
        )
        times += [decision.at for decision in decisions]
        await asyncio.gather(*(fleet[0].report(ask, decision, "failure") for decision in decisions[:1]))
        await fleet[0].report(ask, decisions[1], "success")

    assert len(times) == 80
    assert most_in_a_window(times) == 20
    assert max(times) == min(times) + 3 * WINDOW_MS * 1_000


async def test_a_late_answer_spends_its_permit_and_frees_its_probe(workers: Workers) -> None:
    hasty, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=9, threshold=1, recovery_ms=1_000)
    await attempt(hasty, ask, "failure")
    await workers.time_passes(1_000)

    given_up = asyncio.create_task(hasty.acquire(ask))
    await asked_for()
    given_up.cancel()
    await asyncio.wait([given_up])

    async def freed() -> bool:
        return (await other.acquire(ask)).probe

    await eventually(freed)
    assert await workers.redis.llen(f"{ask.scope.prefix}:w") == 3


async def test_what_is_under_way_when_the_connection_breaks_fails(own_redis: Callable[[], RedisServer]) -> None:
    server = own_redis()
    state, ask = RedisState(server.url), ask_for(new_scope(), threshold=3)
    early = await state.acquire(ask)
    server.signal(signal.SIGSTOP)
    asked = [asyncio.create_task(state.acquire(ask)) for _ in range(3)]
    asked.append(asyncio.create_task(state.acquire(ask_for(new_scope(), rate=1))))
    state.report_later(ask, early)
    await asyncio.wait(asked, timeout=0.1)

    server.kill()

    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StateUnavailableError] * 4
    server.start()
    assert (await state.acquire(ask)).granted
    await state.close()


async def test_redis_may_be_away_at_first_and_later(own_redis: Callable[[], RedisServer]) -> None:
    server = own_redis()
    server.stop()
    state, ask = RedisState(server.url), ask_for(new_scope(), threshold=3)
    for _ in range(2):
        with pytest.raises(StateUnavailableError, match="Redis did not do what was asked"):
            await state.acquire(ask)
        server.start()
        assert (await state.acquire(ask)).granted
        server.kill()
    await state.close()


async def test_an_answer_is_waited_for_as_long_as_the_caller_waits(own_redis: Callable[[], RedisServer]) -> None:
    server = own_redis()
    state, ask = RedisState(server.url), ask_for(new_scope(), threshold=3)
    await state.acquire(ask)
    server.signal(signal.SIGSTOP)
    waiting = asyncio.create_task(state.acquire(ask))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(state.ping(ask.scope), 0.1)

    server.signal(signal.SIGCONT)

    assert (await waiting).granted
    await state.ping(ask.scope)
    await state.close()
