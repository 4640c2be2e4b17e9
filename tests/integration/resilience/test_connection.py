"""Connections to Redis: whatever way in its URL names, and how each of them ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis.asyncio
import trustme
from redis.exceptions import NoScriptError, ResponseError

from services.executor.resilience.coalescing import Line
from services.executor.resilience.connection import LostError, connections, packed
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import StateUnavailableError
from tests.support.servers import RedisServer
from tests.support.shared_state import ask_for, new_scope

Lines = Callable[[str], Line]


@pytest.fixture
async def line_to() -> AsyncIterator[Lines]:
    """Makes lines to the Redis at a URL."""
    lines: list[Line] = []

    def make(url: str) -> Line:
        lines.append(Line(connections(url)))
        return lines[-1]

    yield make
    for line in lines:
        await line.close()


@asynccontextmanager
async def tls_in_front_of(server: RedisServer, authority: trustme.CA) -> AsyncIterator[int]:
    """The port of a TLS end point for `localhost` that passes everything on to `server`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    pairs: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead, behind = await asyncio.open_connection("127.0.0.1", server.port)
        pairs.add(asyncio.create_task(carry(reader, behind)))
        pairs.add(asyncio.create_task(carry(ahead, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]
    for pair in pairs:
        pair.cancel()
    await asyncio.gather(*pairs, return_exceptions=True)


async def test_a_password_and_a_database_in_the_url(own_redis: Callable[[], RedisServer], line_to: Lines) -> None:
    server = own_redis()
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.config_set("requirepass", "s3cret")
    line = line_to(f"redis://:s3cret@127.0.0.1:{server.port}/3")

    await line.say(packed("SET", "here", "yes"))

    async with redis.asyncio.Redis(port=server.port, password="s3cret", db=3) as client:
        assert await client.get("here") == b"yes"
    with pytest.raises(LostError, match="invalid username-password"):
        await line_to(f"redis://:wrong@127.0.0.1:{server.port}/3").say(packed("PING"))


async def test_a_unix_socket(tmp_path: Path, line_to: Lines) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path / "redis", socket=path).start()
    try:
        assert await line_to(f"unix://{path}?db=1").say(packed("PING")) == b"PONG"
    finally:
        server.stop()


async def test_tls_with_an_authority_of_ones_own(
    own_redis: Callable[[], RedisServer], tmp_path: Path, line_to: Lines
) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with tls_in_front_of(own_redis(), authority) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={ca_file}"
        state, ask = RedisState(url), ask_for(new_scope(), rate=100, threshold=3)

        decisions = await asyncio.gather(*(state.acquire(ask) for _ in range(50)))

        await state.close()
        assert all(decision.granted for decision in decisions)
        with pytest.raises(LostError, match="certificate"):
            await line_to(f"rediss://localhost:{port}/0").say(packed("PING"))


async def test_errors_are_answers_in_their_place(redis_url: str, line_to: Lines) -> None:
    line = line_to(redis_url)
    answers = await asyncio.gather(
        line.say(packed("EVALSHA", "0" * 40, 0)), line.say(packed("PING")), line.say(packed("NONSENSE"))
    )
    assert [type(answer) for answer in answers] == [NoScriptError, bytes, ResponseError]


async def test_a_server_that_speaks_something_else_is_hung_up_on(line_to: Lines) -> None:
    hung_up = asyncio.Event()

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"PING\r\n")
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()
        hung_up.set()
        writer.close()

    async with await asyncio.start_server(speak_http, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LostError, match="no answer"):
            await line_to(f"redis://127.0.0.1:{port}/0?protocol=2").say(packed("PING"))
        await asyncio.wait_for(hung_up.wait(), 10)


async def test_what_is_asked_in_the_turn_in_which_the_connection_goes_is_lost(
    redis_url: str, line_to: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    line = line_to(redis_url)
    await line.say(packed("PING"))
    said = line.say(packed("PING"))
    await line.close()
    with pytest.raises(LostError):
        await said
    assert await line.say(packed("PING")) == b"PONG"
    assert caplog.records == []


async def test_closing_while_connecting_loses_what_was_asked(
    own_redis: Callable[[], RedisServer], line_to: Lines
) -> None:
    server = own_redis()
    server.pause()
    line = line_to(server.url)
    said = line.say(packed("PING"))

    await line.close()

    with pytest.raises(LostError, match="was closed"):
        await said
    server.resume()
    assert await line.say(packed("PING")) == b"PONG"


async def test_what_cannot_be_reached_is_said_plainly() -> None:
    state = RedisState("redis://127.0.0.1:1/0")
    with pytest.raises(StateUnavailableError, match="See whether it runs"):
        await state.acquire(ask_for(new_scope()))
    await state.close()
