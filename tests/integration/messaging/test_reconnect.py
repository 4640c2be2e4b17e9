"""A NATS server that goes away and comes back: connections, services and mirrors go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from shared.contracts.errors import DibopError
from shared.messaging.bootstrap import bootstrap
from shared.messaging.client import request
from shared.messaging.connection import BusUnreachableError, connect
from shared.messaging.kv import KvMirror
from shared.messaging.service import CommandContext, CommandService
from shared.security.principals import Role, TokenVerifier
from shared.settings import BusSettings, ServiceSettings
from tests.support.inboxes import TEST_INBOXES
from tests.support.polling import eventually
from tests.support.processes import free_port
from tests.support.servers import NatsServer
from tests.support.tokens import Tokens

OwnNats = Callable[[], NatsServer]


class Nothing(BaseModel):
    pass


async def test_a_caller_who_will_not_wait_is_told_what_to_do() -> None:
    with pytest.raises(BusUnreachableError, match="dibop up"):
        await connect(BusSettings(nats_url="nats://127.0.0.1:9"), name="test", wait_seconds=0.3)


async def test_a_connection_made_before_the_server_starts_waits_for_it(own_nats: OwnNats) -> None:
    server = own_nats()
    server.stop()
    connecting = asyncio.create_task(connect(BusSettings(nats_url=server.url), name="test"))
    done, _ = await asyncio.wait({connecting}, timeout=0.5)
    assert not done

    server.start()
    client = await asyncio.wait_for(connecting, 20)

    await client.flush()
    await client.close()


async def test_a_service_answers_again_after_the_server_was_killed(
    own_nats: OwnNats, verifier: TokenVerifier, tokens: Tokens
) -> None:
    server = own_nats()
    service = CommandService("registry", ServiceSettings(nats_url=server.url), verifier, "0.0.1")

    @service.command("thing", "get", Nothing)
    async def get(_context: CommandContext, _command: Nothing) -> dict[str, str]:
        return {"a": "b"}

    await service.start()
    token = tokens.issue("eve", "acme", Role.VIEWER)
    caller = await connect(
        BusSettings(nats_url=server.url, nats_inbox_prefix=TEST_INBOXES), name="caller", wait_seconds=10
    )

    async def answered() -> bool:
        try:
            return await request(caller, "registry.v1.acme.thing.get", {}, token=token, timeout=1) == b'{"a":"b"}'
        except DibopError:
            return False

    assert await answered()
    for _ in range(3):
        server.kill()
        server.start()
        await eventually(answered)
    await eventually(lambda: caller.is_connected and service.nc.is_connected)
    await caller.close()
    await service.drain_and_stop()


async def test_listeners_hear_of_every_reconnect_until_they_leave(own_nats: OwnNats) -> None:
    server = own_nats()
    client = await connect(BusSettings(nats_url=server.url), name="test", wait_seconds=10)
    heard: list[str] = []
    client.on_reconnect(lambda: heard.append("stays"))
    leave = client.on_reconnect(lambda: heard.append("leaves"))

    server.kill()
    server.start()
    await eventually(lambda: heard == ["stays", "leaves"])
    leave()
    server.kill()
    server.start()
    await eventually(lambda: heard == ["stays", "leaves", "stays"])
    await client.close()


async def test_a_mirror_is_true_again_soon_after_a_restart_deletions_included(
    own_nats: OwnNats, tmp_path: Path
) -> None:
    server = own_nats()
    client = await connect(BusSettings(nats_url=server.url), name="test", wait_seconds=10)
    await bootstrap(client.jetstream())
    kv = await client.jetstream().key_value("catalogue")
    for key in ("stays", "changes", "goes"):
        await kv.put(key, b"1")
    changes: list[tuple[str, bytes | None]] = []
    mirror = KvMirror(client, "catalogue", bytes, on_change=lambda key, value: changes.append((key, value)))
    await mirror.start()
    assert len(mirror) == 3

    server.kill()
    elsewhere = NatsServer(tmp_path / "nats-0").start()
    other = await connect(BusSettings(nats_url=elsewhere.url), name="other", wait_seconds=10)
    bucket = await other.jetstream().key_value("catalogue")
    await bucket.delete("goes")
    await bucket.put("changes", b"2")
    await bucket.put("comes", b"3")
    await other.close()
    elsewhere.stop()
    server.start()

    await eventually(lambda: mirror.get("comes") == b"3", timeout=10)
    assert (mirror.get("stays"), mirror.get("changes"), mirror.get("goes")) == (b"1", b"2", None)
    assert sorted(changes) == [("changes", b"2"), ("comes", b"3"), ("goes", None)]

    await kv.put("later", b"4")
    await eventually(lambda: mirror.get("later") == b"4")
    await mirror.stop()
    await client.close()


async def test_a_mirror_survives_a_broken_connection_without_telling_changes_that_were_none(own_nats: OwnNats) -> None:
    server = own_nats()
    client = await connect(BusSettings(nats_url=server.url), name="test", wait_seconds=10)
    await bootstrap(client.jetstream())
    kv = await client.jetstream().key_value("catalogue")
    await kv.put("a", b"1")
    changes: list[str] = []
    mirror = KvMirror(client, "catalogue", bytes, on_change=lambda key, _: changes.append(key))
    await mirror.start()
    reconnected = asyncio.Event()
    client.on_reconnect(reconnected.set)

    await client.force_reconnect()
    await asyncio.wait_for(reconnected.wait(), 10)
    await kv.put("b", b"2")

    await eventually(lambda: mirror.get("b") == b"2")
    assert changes == ["b"]
    await mirror.stop()
    await client.close()


async def test_an_attempt_that_is_cancelled_ends_whenever_that_happens() -> None:
    """On Python 3.11 nats-py loses a cancellation that meets a failing attempt, and would try for ever."""
    settings = BusSettings(nats_url=f"nats://127.0.0.1:{free_port()}")
    for turns in range(60):
        attempt = asyncio.create_task(connect(settings, name="test"))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        ended, _ = await asyncio.wait({attempt}, timeout=10)
        assert ended, f"still trying after a cancellation in turn {turns}"
        assert attempt.cancelled()
