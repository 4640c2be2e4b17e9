"""The limit of an attempt is hard, wherever it is when its time is over."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.executor.transport import Transport, TransportTimeout
from tests.integration.transport.conftest import MakeTransport, Names
from tests.integration.transport.sending import MEBIBYTE, failure, is_intact
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually


@pytest.mark.parametrize("path", ["/never", "/drip?bytes_per_s=20", "/drip-headers?lines_per_s=20"])
@pytest.mark.case(45)
@pytest.mark.case(46)
async def test_the_limit_is_hard(transport: Transport, upstream: FaultServer, path: str) -> None:
    started = time.monotonic()
    error = await failure(transport, upstream.url(path), seconds=0.3)
    assert time.monotonic() - started < 3
    assert isinstance(error, TransportTimeout)
    assert (error.phase, error.sent) == ("receiving", True)
    assert error.status == (200 if path.startswith("/drip?") else None)
    await eventually(lambda: upstream.open_connections == 0, what="the connection is closed")
    assert await is_intact(transport, upstream)


async def test_a_handshake_that_never_ends_is_cut_unsent(make_transport: MakeTransport) -> None:
    release = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        error = await failure(transport, f"https://127.0.0.1:{port}/", seconds=0.3)
        release.set()
    assert isinstance(error, TransportTimeout)
    assert (error.phase, error.sent) == ("connect", False)


async def test_a_lookup_that_never_ends_is_cut_unsent(transport: Transport, names: Names) -> None:
    names.hang = True
    error = await failure(transport, "http://slow.test/", seconds=0.2)
    assert isinstance(error, TransportTimeout)
    assert (error.phase, error.sent) == ("resolve", False)


async def test_a_full_pool_is_waited_for_and_its_timeout_named(
    make_transport: MakeTransport, upstream: FaultServer
) -> None:
    transport = make_transport(max_connections=1)
    busy = asyncio.create_task(failure(transport, upstream.url("/never"), seconds=20))
    await eventually(lambda: upstream.sends("/never") == 1)
    error = await failure(transport, upstream.url("/json"), seconds=0.2)
    assert isinstance(error, TransportTimeout)
    assert (error.phase, error.sent) == ("pool", False)
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    assert await is_intact(transport, upstream)


async def test_no_time_left_sends_nothing(transport: Transport, upstream: FaultServer) -> None:
    error = await failure(transport, upstream.url("/json"), seconds=0)
    assert isinstance(error, TransportTimeout)
    assert error.sent is False
    assert upstream.arrivals == []


async def test_an_upload_that_is_not_taken_times_out_as_sending(make_transport: MakeTransport) -> None:
    release = asyncio.Event()

    async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await release.wait()
        writer.close()

    async with await asyncio.start_server(take_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        error = await failure(
            transport, f"http://127.0.0.1:{port}/", method="POST", body=bytes(32 * MEBIBYTE), seconds=0.5
        )
        release.set()
    assert (error.phase, error.sent) == ("sending", True)
