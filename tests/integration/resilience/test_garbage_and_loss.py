"""What workers find in Redis that no worker wrote, what they do not find any more, and a Redis that refuses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from services.executor.resilience.scripts import WINDOW_MS
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import StateUnavailableError
from tests.support.polling import eventually
from tests.support.servers import RedisServer
from tests.support.shared_state import BEGIN, Workers, ask_for, attempt, most_in_a_window, new_connector, new_scope

Write = Callable[[redis.asyncio.Redis, str], Awaitable[Any]]

ANYWHERE: dict[str, Write] = {
    "text": lambda client, key: client.set(key, "what is this"),
    "a set": lambda client, key: client.sadd(key, "a", "b"),
    "a sorted set": lambda client, key: client.zadd(key, {"a": 1.5}),
    "a stream": lambda client, key: client.xadd(key, {"a": "b"}),
}
CIRCUITS: dict[str, Write] = ANYWHERE | {
    "a list": lambda client, key: client.rpush(key, "a", "b"),
    "words": lambda client, key: client.hset(key, mapping={"s": "open", "e": "yesterday", "f": "many"}),
    "no number": lambda client, key: client.hset(key, mapping={"e": "nan", "f": "inf"}),
    "open for ever": lambda client, key: client.hset(key, mapping={"s": 1, "e": BEGIN, "u": 9 * 10**15}),
    "an unknown state": lambda client, key: client.hset(key, mapping={"s": 7, "e": BEGIN}),
    "open without an epoch": lambda client, key: client.hset(key, mapping={"s": 1, "u": BEGIN + 10**6}),
    "negative": lambda client, key: client.hset(key, mapping={"e": -5}),
    "bytes": lambda client, key: client.hset(key, mapping={"e": b"\xff\x00\xfe"}),
}
PERMITS: dict[str, Write] = ANYWHERE | {
    "a hash": lambda client, key: client.hset(key, mapping={"a": "b"}),
    "words": lambda client, key: client.rpush(key, "one", "two", "three"),
    "a word last": lambda client, key: client.rpush(key, BEGIN, "two"),
    "far ahead": lambda client, key: client.rpush(key, 9 * 10**15),
    "fractions": lambda client, key: client.rpush(key, "0.5"),
    "bytes": lambda client, key: client.rpush(key, b"\xff\x00\xfe"),
}
MARKS: dict[str, Write] = ANYWHERE | {
    "a list": lambda client, key: client.rpush(key, "a", "b"),
    "a word": lambda client, key: client.hset(key, mapping={"u": "soon"}),
    "no number": lambda client, key: client.hset(key, mapping={"u": "nan"}),
    "for ever": lambda client, key: client.hset(key, mapping={"u": 9 * 10**15}),
    "bytes": lambda client, key: client.hset(key, mapping={"u": b"\xff\x00\xfe"}),
}


def repairs(logs: list[Any], key: str) -> int:
    return sum(entry["event"] == "scope_repaired" and key in entry["keys"] for entry in logs)


@pytest.mark.parametrize("found", MARKS)
async def test_the_mark_of_a_loss_repairs_itself_and_ends(workers: Workers, state: RedisState, found: str) -> None:
    key = "res:{check}:check:lost"
    await workers.redis.delete(key)
    await MARKS[found](workers.redis, key)
    with capture_logs() as logs:
        assert await state.lost() == 0
        assert await state.lost(5_000) == 5_000
        await workers.time_passes(2_000)
        assert (await state.lost(1_000), await state.lost()) == (3_000, 3_000)
    assert await workers.redis.pttl(key) > 0
    assert repairs(logs, key) == 1
    await workers.redis.delete(key)


@pytest.mark.parametrize("found", CIRCUITS)
@pytest.mark.parametrize("by", ["acquire", "confirm", "report"])
async def test_a_circuit_repairs_itself_and_says_so_once(
    workers: Workers, state: RedisState, found: str, by: str
) -> None:
    ask = ask_for(new_scope(), rate=3, threshold=2)
    earlier = await state.acquire(ask)
    key = f"{ask.scope.prefix}:c"
    await workers.redis.delete(key)
    await CIRCUITS[found](workers.redis, key)

    with capture_logs() as logs:
        if by == "confirm":
            assert (await state.confirm(ask, earlier)).verdict == "send"
        elif by == "report":
            assert await state.report(ask, earlier, "failure") is None
        decisions = await attempt(state, ask, "failure", "failure")

    assert [decision.failures for decision in decisions] == [0, 1]
    assert (await state.acquire(ask)).refused == "circuit-open"
    assert repairs(logs, key) == 1


@pytest.mark.parametrize("found", PERMITS)
@pytest.mark.parametrize("where", ["own", "further out"])
async def test_a_list_of_permits_repairs_itself(workers: Workers, state: RedisState, found: str, where: str) -> None:
    connector = new_connector()
    scope, further = new_scope("acme.1", connector), new_scope("platform", connector)
    key = f"{(scope if where == 'own' else further).prefix}:w"
    await PERMITS[found](workers.redis, key)
    ask = ask_for(scope, rate=2 if where == "own" else 0, outer=[] if where == "own" else [(further, 2)])

    with capture_logs() as logs:
        decisions = [await state.acquire(ask) for _ in range(5)]

    times = [decision.at for decision in decisions]
    assert most_in_a_window(times) == 2
    assert max(times) <= BEGIN + 3 * WINDOW_MS * 1_000
    assert repairs(logs, key) == 1


async def test_a_word_amid_the_times_is_found_by_those_who_look_for_a_gap(workers: Workers, state: RedisState) -> None:
    connector = new_connector()
    scope, further = new_scope("acme.1", connector), new_scope("platform", connector)
    await workers.redis.rpush(f"{further.prefix}:w", BEGIN, "two", BEGIN + 50_000_000)

    decisions = [await state.acquire(ask_for(scope, outer=[(further, 2)])) for _ in range(4)]

    assert [decision.wait_ms for decision in decisions] == [0, 0, WINDOW_MS, WINDOW_MS]


@pytest.mark.case(55)
async def test_lost_data_means_closed_with_a_new_epoch_and_one_more_limit_at_most(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    ask = ask_for(new_scope(), rate=5, threshold=3, max_wait_ms=0)
    before = await attempt(one, ask, "failure", "failure")
    late = await one.acquire(ask)
    await workers.time_passes(1_000)
    await workers.redis.delete(*await workers.keys_of(ask.scope))

    after = [decision for _ in range(9) if (decision := await other.acquire(ask)).granted]

    assert len(after) == 5
    assert after[0].epoch > late.epoch
    assert await one.report(ask, late, "failure") is None
    assert await one.report(ask, after[0], "failure") is None
    assert await one.report(ask, after[1], "success") is None
    assert most_in_a_window([decision.at for decision in (*before, late, *after)]) <= 10


@pytest.mark.case(55)
async def test_flushall_in_traffic_is_survived(own_redis: Callable[[], RedisServer]) -> None:
    server = own_redis()
    async with redis.asyncio.Redis.from_url(server.url) as client:
        state, ask = RedisState(server.url), ask_for(new_scope(), rate=50, threshold=3, max_wait_ms=0)
        granted = 0
        for turn in range(200):
            decision = await state.acquire(ask)
            granted += decision.granted
            if decision.granted:
                state.report_later(ask, decision)
            if turn == 100:
                await client.flushall()
        assert granted == 100
        await state.close()


@pytest.mark.case(57)
async def test_a_replica_that_is_behind_lets_one_more_limit_pass_and_hears_no_stale_report(
    own_redis: Callable[[], RedisServer],
) -> None:
    primary, replica = own_redis(), own_redis()
    async with redis.asyncio.Redis.from_url(replica.url) as client, redis.asyncio.Redis.from_url(primary.url) as writer:
        await client.replicaof("127.0.0.1", primary.port)
        worker, ask = RedisState(primary.url), ask_for(new_scope(), rate=6, threshold=2, recovery_ms=100, max_wait_ms=0)
        times = [(await attempt(worker, ask, "failure"))[0].at]

        async def caught_up() -> bool:
            return bool(await writer.wait(1, 100)) and await client.llen(f"{ask.scope.prefix}:w") == 1

        await eventually(caught_up)
        await client.replicaof("NO", "ONE")
        first = await worker.acquire(ask)
        change = await worker.report(ask, first, "failure")
        assert change is not None
        probe = await eventually(lambda: probe_of(worker, ask))
        times += [first.at, probe.at]
        primary.kill()
        await worker.close()

        promoted = RedisState(replica.url)
        assert await promoted.report(ask, probe, "success") is None
        after = [decision for _ in range(9) if (decision := await promoted.acquire(ask)).granted]
        assert len(after) == 5
        assert most_in_a_window(times + [decision.at for decision in after]) <= 2 * 6
        opened = await promoted.report(ask, after[0], "failure")
        assert opened is not None
        assert opened.epoch > probe.epoch
        await promoted.close()


async def probe_of(worker: RedisState, ask: Any) -> Any:
    decision = await worker.acquire(ask)
    return decision if decision.probe else None


@pytest.mark.case(58)
async def test_a_workers_clock_that_is_an_hour_wrong_has_no_effect(
    workers: Workers, state: RedisState, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ask_for(new_scope(), rate=2, threshold=2)
    right = [await state.acquire(ask)]
    monkeypatch.setattr(time, "time", lambda: 3_600.0)
    wrong = workers.new()

    right += [await wrong.acquire(ask) for _ in range(3)]

    assert [decision.wait_ms for decision in right] == [0, 0, WINDOW_MS, WINDOW_MS]
    assert {decision.epoch for decision in right} == {BEGIN}


# ---- a Redis that refuses -------------------------------------------------------------------------
REFUSALS: dict[str, tuple[Write, str]] = {
    "wrong password": (
        lambda client, _: client.config_set("requirepass", "another"),
        "Redis refuses the user name or password. Correct the ones in DIBOP_REDIS_URL.",
    ),
    "no scripts": (
        lambda client, _: client.acl_setuser(
            "default", commands=["-eval", "-evalsha"], enabled=True, nopass=True, keys=["*"]
        ),
        "may not run scripts on the keys of limits and circuits",
    ),
    "no commands in scripts": (
        lambda client, _: client.acl_setuser("default", commands=["-hset"], enabled=True, nopass=True, keys=["*"]),
        "may not run scripts on the keys of limits and circuits",
    ),
    "no keys": (
        lambda client, _: client.acl_setuser("default", enabled=True, nopass=True, reset_keys=True, keys=["other:*"]),
        "may not run scripts on the keys of limits and circuits",
    ),
    "read-only": (
        lambda client, _: client.replicaof("127.0.0.1", 1),
        "Redis is a read-only replica. Point DIBOP_REDIS_URL at the primary.",
    ),
    "out of memory": (
        lambda client, _: client.config_set("maxmemory", 1),
        "Redis is out of memory and takes no writes. Raise its maxmemory",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_redis_that_refuses_is_explained_at_the_start_and_at_run_time(
    own_redis: Callable[[], RedisServer], refusal: str
) -> None:
    server = own_redis()
    refuse, sentence = REFUSALS[refusal]
    ask = ask_for(new_scope(), rate=3, threshold=2)
    running, starting = RedisState(server.url), RedisState(server.url)
    await running.check()
    await running.acquire(ask)
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await refuse(client, "")

    with pytest.raises(StateUnavailableError) as at_start:
        await starting.check()

    assert sentence in str(at_start.value)
    if refusal != "wrong password":  # who is let in stays in
        with pytest.raises(StateUnavailableError) as at_run_time:
            await running.acquire(ask_for(new_scope(), rate=3, threshold=2))
        assert sentence in str(at_run_time.value)
    await running.close()
    await starting.close()


async def test_redis_that_is_not_there_is_explained(own_redis: Callable[[], RedisServer]) -> None:
    server = own_redis()
    server.kill()
    state = RedisState(server.url)

    with pytest.raises(StateUnavailableError, match=f"{server.port}.*See whether it runs"):
        await state.check()

    await state.close()
