"""What workers share in Redis: a lock with a fence, sealed tokens, and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from redis.asyncio import Redis

from services.executor.domain.oauth import AccessToken, TokenClient
from services.executor.oauth.shared import LEASE_MS, Found, Lock, Refusal, SharedTokens, Wait
from services.executor.resilience.types import StateUnavailableError
from shared.contracts.projections import StoredToken
from shared.security.sealing import KeyRing
from tests.support.redis_cluster import RedisCluster
from tests.support.servers import RedisServer
from tests.unit.executor.oauth.clients import SCOPE, client

RING = KeyRing.generate()


class Worker:
    """One worker's view."""

    def __init__(self, url: str, name: str, ring: KeyRing | None = RING) -> None:
        self.tokens = SharedTokens(url, ring)
        self.name = name

    async def take(self, asked: TokenClient, *, stale: str = "") -> Found:
        return await self.tokens.take(
            asked, stale=stale, generation=asked.generation, holder=self.name, now=monotonic()
        )

    async def lock(self, asked: TokenClient, **options: str) -> Lock:
        found = await self.take(asked, **options)
        assert isinstance(found, Lock), found
        return found

    async def leave(self, asked: TokenClient, lock: Lock, token: AccessToken) -> bool:
        return await self.tokens.leave_token(asked, lock, token, monotonic())


def token(identifier: str = "t1", generation: int = 0, seconds: float = 60.0) -> AccessToken:
    now = monotonic()
    return AccessToken(identifier, f"value-of-{identifier}", generation, now, now + seconds / 2, now + seconds)


@pytest.fixture
async def redis(own_redis: RedisServer) -> AsyncIterator[Redis]:
    connection = Redis.from_url(own_redis.url)
    yield connection
    await connection.aclose()


@pytest.fixture
async def one(redis: Redis, own_redis: RedisServer) -> AsyncIterator[Worker]:
    worker = Worker(own_redis.url, "one")
    yield worker
    await worker.tokens.close()


@pytest.fixture
async def two(redis: Redis, own_redis: RedisServer) -> AsyncIterator[Worker]:
    worker = Worker(own_redis.url, "two")
    yield worker
    await worker.tokens.close()


async def test_one_asks_and_the_others_wait_for_its_token(one: Worker, two: Worker) -> None:
    asked = client()
    lock = await one.lock(asked)
    waiting = await two.take(asked)
    assert isinstance(waiting, Wait)
    assert 0 < waiting.left_ms <= LEASE_MS

    assert await one.leave(asked, lock, token())
    found = await two.take(asked)

    assert isinstance(found, AccessToken)
    assert (found.id, found.value) == ("t1", "value-of-t1")
    assert found.until - found.made == pytest.approx(60, abs=0.1)
    assert found.until - monotonic() == pytest.approx(60, abs=5)
    assert set(found.credentials.secrets) == {"value-of-t1", "a-real-secret"}


async def test_a_late_holder_changes_nothing(one: Worker, two: Worker, redis: Redis) -> None:
    asked = client()
    late = await one.lock(asked)
    await end_leases(redis)
    lock = await two.lock(asked)
    assert int(lock.fence) == int(late.fence) + 1

    assert not await one.tokens.keep_lock(asked, late)
    assert not await one.leave(asked, late, token("late"))
    assert not await one.tokens.leave_refusal(asked, late, Refusal("late"), generation=0, ms=1000, dead="")
    assert not await one.tokens.leave(asked, late)
    assert isinstance(await one.take(asked), Wait)

    assert await two.leave(asked, lock, token("good"))
    assert not await one.leave(asked, late, token("late"))
    found = await one.take(asked)
    assert isinstance(found, AccessToken)
    assert found.id == "good"


async def test_a_late_holder_changes_nothing_after_redis_has_lost_its_data(
    one: Worker, two: Worker, redis: Redis
) -> None:
    asked = client()
    for _ in range(3):
        late = await one.lock(asked)
        await one.tokens.leave(asked, late)
    late = await one.lock(asked)
    await redis.flushall()
    await two.lock(asked)

    assert not await one.leave(asked, late, token("late"))


async def test_a_holder_that_is_still_at_work_keeps_the_lock(one: Worker, two: Worker, redis: Redis) -> None:
    asked = client()
    lock = await one.lock(asked)
    (key,) = await redis.keys("oauth:*:l")
    await redis.pexpire(key, 100)

    assert await one.tokens.keep_lock(asked, lock)

    assert await redis.pttl(key) > LEASE_MS / 2
    assert isinstance(await two.take(asked), Wait)


async def test_a_holder_whose_answer_was_lost_may_ask_again(one: Worker) -> None:
    asked = client()
    await one.lock(asked)
    assert await one.leave(asked, await one.lock(asked), token())


async def test_a_token_that_will_not_do_is_asked_for_anew(one: Worker, two: Worker) -> None:
    asked = client()
    await one.leave(asked, await one.lock(asked), token("t1"))

    lock = await two.lock(asked, stale="t1")
    await two.leave(asked, lock, token("t2"))
    found = await one.take(asked, stale="t1")

    assert isinstance(found, AccessToken)
    assert found.id == "t2"


async def test_a_token_of_an_older_authorization_is_none(one: Worker) -> None:
    old, new = of_generation(1), of_generation(2)
    await one.leave(old, await one.lock(old), token("old", 1))

    lock = await one.lock(new)
    await one.tokens.put_token(new, token("new", 2), monotonic())
    assert await one.leave(old, lock, token("older", 1))
    await one.tokens.put_token(old, token("oldest", 1), monotonic())
    found = await one.take(old)

    assert isinstance(found, AccessToken)
    assert found.id == "new", "an older one does not take its place"


async def test_a_refusal_is_told_to_all_and_takes_the_dead_token_along(one: Worker, two: Worker, redis: Redis) -> None:
    asked = client()
    await one.leave(asked, await one.lock(asked), token("dead"))
    lock = await one.lock(asked, stale="dead")
    refusal = Refusal("invalid_client", "Who?")

    assert await one.tokens.leave_refusal(asked, lock, refusal, generation=0, ms=10_000, dead="dead")

    assert await two.take(asked) == refusal
    assert await redis.keys("oauth:*:t") == []
    rotated = msgspec.structs.replace(asked, credentials=1)
    assert isinstance(await two.take(rotated), Lock), "other credentials are another client"


async def test_a_refusal_says_nothing_of_a_later_authorization(one: Worker) -> None:
    old = of_generation(1)
    lock = await one.lock(old)
    await one.tokens.leave_refusal(old, lock, Refusal("invalid_grant"), generation=1, ms=10_000, dead="")

    assert isinstance(await one.take(of_generation(2)), Lock)


async def test_tokens_are_sealed_for_their_connection(one: Worker, redis: Redis, own_redis: RedisServer) -> None:
    asked = client()
    await one.leave(asked, await one.lock(asked), token())
    (key,) = await redis.keys("oauth:*:t")
    assert b"value-of" not in (await redis.dump(key) or b"")

    stranger = Worker(own_redis.url, "stranger", KeyRing.generate())
    assert isinstance(await stranger.take(asked), Lock), "one that cannot be opened is none"
    await stranger.tokens.close()


async def test_nothing_is_left_once_it_has_ended(one: Worker, redis: Redis) -> None:
    asked = client()
    await one.leave(asked, await one.lock(asked), token())
    lifetimes = {str(key)[-2]: await redis.pttl(key) for key in await redis.keys("oauth:*")}
    assert lifetimes.keys() == {"t", "f"}
    assert all(0 < lifetime <= 3_600_000 for lifetime in lifetimes.values())


async def test_scripts_that_redis_has_forgotten_are_told_again(one: Worker, redis: Redis) -> None:
    asked = client()
    lock = await one.lock(asked)
    await redis.script_flush()
    assert await one.leave(asked, lock, token())


async def test_a_redis_that_is_away_says_so_soon(own_redis: RedisServer) -> None:
    worker, asked = Worker(own_redis.url, "one"), client()
    await worker.lock(asked)
    own_redis.pause()
    with pytest.raises(StateUnavailableError, match="no answer"):
        await worker.take(asked)
    own_redis.resume()
    own_redis.kill()
    with pytest.raises(StateUnavailableError):
        await worker.take(asked)
    own_redis.start()
    await worker.lock(asked)
    await worker.tokens.close()


async def test_on_a_cluster_each_connection_has_its_node(tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path).start()
    workers = [Worker(cluster.url, name) for name in ("one", "two")]
    try:
        for number in range(12):
            asked = client(scope=msgspec.structs.replace(SCOPE, connection=f"c-{number}"))
            lock = await workers[0].lock(asked)
            assert isinstance(await workers[1].take(asked), Wait)
            assert await workers[0].leave(asked, lock, token(f"t{number}"))
            found = await workers[1].take(asked)
            assert isinstance(found, AccessToken)
            assert found.id == f"t{number}"
    finally:
        for worker in workers:
            await worker.tokens.close()
        cluster.stop()


def of_generation(generation: int) -> TokenClient:
    return msgspec.structs.replace(
        client(grant="authorization_code"), stored=StoredToken(generation, RING.active, "sealed")
    )


async def end_leases(redis: Redis) -> None:
    for key in await redis.keys("oauth:*:l"):
        await redis.delete(key)
