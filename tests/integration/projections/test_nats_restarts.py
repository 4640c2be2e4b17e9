"""NATS dies under running executors: what changed meanwhile is what they go by as soon as they are connected again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from nats.errors import Error as NatsError

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.messaging.bootstrap import bootstrap, key_value_stream
from shared.messaging.connection import BusClient, connect
from shared.messaging.kv import KvMirror
from shared.settings import BusSettings
from tests.integration.executor.world import read
from tests.integration.projections.conftest import Platform, Serve
from tests.support.executors import executors
from tests.support.fault_server import FaultServer
from tests.support.inboxes import TEST_INBOXES
from tests.support.polling import eventually
from tests.support.servers import NatsServer
from tests.support.tokens import Tokens

WORKERS: Final = 2
ASKED: Final = 12
"""So many requests at once reach every worker."""

BEFORE: Final = {
    "acme comes": "unknown-connector",
    "acme grows": "1.0.0",
    "acme shrinks": "1.0.1",
    "acme grows branch": "1.0.0",
    "initech grows": "1.0.0",
}
AFTER: Final = {
    "acme comes": "1.0.0",
    "acme grows": "1.0.1",
    "acme shrinks": "1.0.0",
    "acme grows branch": "unknown-connection",
    "initech grows": "enterprise-suspended",
}


@pytest.fixture
async def start_executors(redis_url: str, upstream: FaultServer, tokens: Tokens) -> AsyncIterator[Callable[[str], Any]]:
    settings = ExecutorSettings(
        redis_url=redis_url, egress_allow=upstream.authority, token_key_file=tokens.key_file, drain_seconds=2
    )
    async with executors(settings) as start:

        async def started(nats_url: str) -> list[Executor]:
            return [await start(nats_url=nats_url) for _ in range(WORKERS)]

        yield started


class Caller:
    """Somebody who goes on calling, whatever happens to the server."""

    def __init__(self, nc: BusClient) -> None:
        self._nc = nc

    async def outcome(self, what: str) -> str:
        """The version that ran, or the error's code, for `<enterprise> <connector> [<connection>]`."""
        enterprise, slug, *connection = what.split()
        headers = {"Dibop-Connection": connection[0]} if connection else None
        subject = subjects.execute(enterprise, slug, "now")
        try:
            reply = read(await self._nc.request(subject, b'{"parameters":{"q":"x"}}', timeout=5, headers=headers))
        except DibopError as error:
            return error.code
        except NatsError as error:
            return type(error).__name__
        return str(reply["version"])

    async def finds(self, expected: dict[str, str]) -> bool:
        """True where every worker answers so."""
        for what, outcome in expected.items():
            found = set(await asyncio.gather(*(self.outcome(what) for _ in range(ASKED))))
            assert found == {outcome}, f"{what}: {found}"
        return True


@pytest.fixture
async def server(own_nats: Callable[[], NatsServer], serve: Serve) -> NatsServer:
    """A server whose catalogue and connections are as before."""
    made = own_nats()
    async with serve(made.url) as platform:
        await platform.publish("grows")
        await platform.publish("shrinks")
        await platform.publish("shrinks", 1)
        await platform.connect("grows", "branch")
    return made


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors look after their buckets more often."""
    monkeypatch.setitem(KvMirror.__init__.__kwdefaults__ or {}, "check_seconds", 0.2)


@pytest.fixture
async def caller(server: NatsServer, start_executors: Callable[[str], Any]) -> AsyncIterator[Caller]:
    """With executors that serve, and know how everything was."""
    await start_executors(server.url)
    settings = BusSettings(nats_url=server.url, nats_inbox_prefix=TEST_INBOXES)
    nc = await connect(settings, name="caller", wait_seconds=10)
    made = Caller(nc)
    assert await made.finds(BEFORE)
    yield made
    await nc.close()


async def change(platform: Platform) -> None:
    """Something of every kind that executors go by."""
    await platform.publish("comes")
    await platform.publish("grows", 1)
    await platform.unpublish("shrinks", "1.0.1")
    await platform.disconnect("grows", "branch")
    await platform.tell("initech", "suspended")


async def test_what_changed_while_the_server_was_away_is_known_after_it(
    server: NatsServer, caller: Caller, serve: Serve, tmp_path: Path
) -> None:
    server.kill()
    elsewhere = NatsServer(tmp_path / "nats-0").start()
    try:
        async with serve(elsewhere.url) as platform:
            await change(platform)
    finally:
        elsewhere.stop()

    server.start()

    assert await eventually(lambda: caller.finds(AFTER), timeout=30)


async def test_a_store_that_is_lost_is_rebuilt_under_running_executors(
    server: NatsServer, caller: Caller, serve: Serve, tmp_path: Path
) -> None:
    server.kill()
    shutil.rmtree(tmp_path / "nats-0" / "jetstream")
    elsewhere = NatsServer(tmp_path / "nats-elsewhere").start()
    try:
        async with serve(elsewhere.url) as platform:
            await change(platform)
    finally:
        elsewhere.stop()

    server.start()
    async with serve(server.url) as platform:
        assert await platform.rebuild() == {"templates": 5, "catalogue": 3, "connections": 0, "enterprises": 1}

        assert await eventually(lambda: caller.finds(AFTER), timeout=30)
        await platform.publish("grows", 2)
        await platform.tell("initech", "resumed")
        later = {**AFTER, "acme grows": "1.0.2", "initech grows": "1.0.2"}
        assert await eventually(lambda: caller.finds(later), timeout=30)
        assert set((await platform.rebuild()).values()) == {0}


async def test_buckets_that_are_made_anew_are_followed_without_a_restart(
    quick_looks: None, server: NatsServer, caller: Caller, serve: Serve
) -> None:
    async with serve(server.url) as platform:
        for bucket in (subjects.CATALOGUE_BUCKET, subjects.CONNECTIONS_BUCKET, subjects.ENTERPRISES_BUCKET):
            await platform.js.delete_stream(key_value_stream(bucket))
        await bootstrap(platform.js)
        assert await platform.rebuild() == {"templates": 0, "catalogue": 2, "connections": 1, "enterprises": 0}
        await change(platform)

        assert await eventually(lambda: caller.finds(AFTER), timeout=30)
