"""The same on a Redis Cluster: each connector's scopes lie on one node, and workers find out which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from services.executor.resilience.scripts import Timing
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Ask, Decision, ScopeKey, StateUnavailableError
from tests.support.polling import eventually
from tests.support.redis_cluster import SLOTS, RedisCluster
from tests.support.shared_state import ask_for, attempt, most_in_a_window, new_connector, new_scope

WINDOW_MS = 2_000
Start = Callable[[], RedisState]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    started = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    """One that the test may break."""
    started = RedisCluster(tmp_path)
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
async def start(cluster: RedisCluster) -> AsyncIterator[Start]:
    """Starts workers in real time, with a short window."""
    started: list[RedisState] = []

    def new() -> RedisState:
        started.append(RedisState(cluster.url, timing=Timing(window_ms=WINDOW_MS)))
        return started[-1]

    yield new
    for state in started:
        await state.close()


def scope_on(node: int, name: str = "acme.1") -> ScopeKey:
    """A new scope whose slot is in the share of the node with this place."""
    while True:
        scope = new_scope(name)
        if key_slot(scope.prefix.encode()) * 3 // SLOTS == node:
            return scope


@pytest.mark.case(64)
@pytest.mark.case(1)
@pytest.mark.parametrize("node", range(3))
async def test_one_more_than_the_limit_waits_for_what_is_left_of_the_window(start: Start, node: int) -> None:
    one, other = start(), start()
    ask = ask_for(scope_on(node), rate=3)

    granted = [await worker.acquire(ask) for worker in (one, other, one)]
    waiting = await other.acquire(ask)

    assert [decision.wait_ms for decision in granted] == [0, 0, 0]
    assert waiting.at == granted[0].at + WINDOW_MS * 1_000
    assert 0 < waiting.wait_ms <= WINDOW_MS


@pytest.mark.case(64)
@pytest.mark.case(3)
async def test_idleness_earns_no_credit(start: Start) -> None:
    worker = start()
    ask = ask_for(scope_on(1), rate=4)
    first = await worker.acquire(ask)

    async def idle() -> bool:
        return (await worker.acquire(ask_for(ask.scope, rate=1, max_wait_ms=0))).granted

    await eventually(idle, WINDOW_MS / 1_000 * 3)
    decisions = [await worker.acquire(ask) for _ in range(9)]

    assert most_in_a_window([decision.at for decision in (first, *decisions)], WINDOW_MS) == 4


@pytest.mark.case(64)
@pytest.mark.case(12)
async def test_stacked_limits_are_decided_on_the_node_of_their_connector(start: Start) -> None:
    worker, connector = start(), new_connector()
    scope, enterprise, platform = (new_scope(name, connector) for name in ("acme.1", "enterprise:acme", "platform"))
    outer = [(enterprise, 2), (platform, 9)]

    decisions = [await worker.acquire(ask_for(scope, rate=5, outer=outer, max_wait_ms=0)) for _ in range(4)]
    alone = [await worker.acquire(ask_for(scope, rate=5, max_wait_ms=0)) for _ in range(4)]

    assert [decision.granted for decision in decisions] == [True, True, False, False]
    assert decisions[2].limit == "enterprise:acme"
    assert [decision.granted for decision in alone] == [True, True, True, False]


@pytest.mark.case(64)
@pytest.mark.case(17)
async def test_of_eight_workers_that_come_at_once_one_is_the_probe(start: Start) -> None:
    fleet = [start() for _ in range(8)]
    ask = ask_for(scope_on(2), threshold=2, recovery_ms=200)
    await attempt(fleet[0], ask, "failure", "failure")
    granted: list[Decision] = []

    async def hurry(worker: RedisState) -> None:
        while not granted:
            decision = await worker.acquire(ask)
            if decision.granted:
                granted.append(decision)

    await asyncio.wait_for(asyncio.gather(*(hurry(worker) for worker in fleet)), 5)

    assert [decision.probe for decision in granted] == [True]


@pytest.mark.case(64)
@pytest.mark.case(56)
async def test_flushed_script_caches_are_not_noticed(start: Start, cluster: RedisCluster) -> None:
    worker = start()
    asks = [ask_for(scope_on(node), rate=100, threshold=3) for node in range(3)]
    for _ in range(3):
        for port in cluster.ports:
            with cluster.client(port) as client:
                client.script_flush()
        decisions = await asyncio.gather(*(worker.acquire(ask) for ask in asks * 8))
        assert all(decision.granted for decision in decisions)

    for node, ask in enumerate(asks):
        with cluster.client(cluster.ports[node]) as client:
            assert client.llen(f"{ask.scope.prefix}:w") == 24


async def test_what_goes_to_a_node_at_once_goes_in_one_write(start: Start, cluster: RedisCluster) -> None:
    worker = start()
    asks = [ask_for(scope_on(node), rate=9, threshold=3) for node in range(3) for _ in range(16)]
    await asyncio.gather(*(worker.acquire(ask) for ask in asks))
    before = [_reads(cluster, port) for port in cluster.ports]

    await asyncio.gather(*(worker.acquire(ask) for ask in asks))

    # the bus of a cluster reads too, and so does who asks
    assert all(_reads(cluster, port) - was <= 12 for port, was in zip(cluster.ports, before, strict=True))


async def test_a_slot_that_moves_is_followed(start: Start, cluster: RedisCluster) -> None:
    worker = start()
    ask = ask_for(scope_on(0), rate=3, threshold=3)
    assert (await worker.acquire(ask)).granted
    slot, key = key_slot(ask.scope.prefix.encode()), f"{ask.scope.prefix}:w"
    source, target = cluster.ports[0], cluster.ports[1]
    with cluster.client(source) as old, cluster.client(target) as new:
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", cluster.node_id(source))
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", cluster.node_id(target))
        old.migrate("127.0.0.1", target, [key, f"{ask.scope.prefix}:c"], 0, 1_000)

        while_it_moves = await worker.acquire(ask)

        for port in (target, source, cluster.ports[2]):
            with cluster.client(port) as client:
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", cluster.node_id(target))
        moved = await worker.acquire(ask)
        assert new.llen(key) == 3

    assert while_it_moves.granted
    assert moved.granted
    assert (await worker.acquire(ask)).wait_ms > 0


async def test_check_and_ping_work_on_a_cluster(start: Start) -> None:
    worker = start()
    await worker.check()
    for node in range(3):
        scope = scope_on(node)
        await worker.acquire(ask_for(scope, rate=1))
        await worker.ping(scope)


async def test_a_node_that_is_gone_takes_only_its_own_scopes_along(own_cluster: RedisCluster) -> None:
    cluster = own_cluster
    worker = RedisState(cluster.url)
    asks = [ask_for(scope_on(node), rate=9, threshold=3) for node in range(3)]
    await asyncio.gather(*(worker.acquire(ask) for ask in asks))
    cluster.kill(cluster.ports[0])

    outcomes = [await _granted(worker, ask) for ask in asks]

    assert outcomes == [False, True, True]
    await worker.close()


async def _granted(worker: RedisState, ask: Ask) -> bool:
    try:
        return (await worker.acquire(ask)).granted
    except StateUnavailableError:
        return False


def _reads(cluster: RedisCluster, port: int) -> int:
    with cluster.client(port) as client:
        return int(client.info("stats")["total_reads_processed"])
