"""Which connections are kept, for how long, and who gets the next turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.executor.transport import HttpRequest, HttpResponse, Transport, TransportError
from services.executor.transport.aiohttp_transport import AiohttpTransport
from services.executor.transport.egress import EgressPolicy
from tests.integration.transport.conftest import MakeTransport
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually


async def get(transport: Transport, url: str, seconds: float = 20) -> HttpResponse:
    return await transport.send(HttpRequest("GET", url), timeout=seconds, max_bytes=1 << 20)


@pytest.fixture
async def other_upstream() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


async def test_a_connection_that_nobody_uses_is_closed_after_a_while(upstream: FaultServer) -> None:
    transport = AiohttpTransport(EgressPolicy.parse(upstream.authority), keepalive=0.1)
    await get(transport, upstream.url("/json"))
    assert upstream.open_connections == 1
    await eventually(lambda: upstream.open_connections == 0, what="the connection is closed")
    await get(transport, upstream.url("/json"))
    assert upstream.connections == 2
    await transport.aclose()


async def test_no_more_connections_are_kept_than_may_be_used(
    make_transport: MakeTransport, upstream: FaultServer, other_upstream: FaultServer
) -> None:
    transport = make_transport(f"{upstream.authority},{other_upstream.authority}", max_connections=1)
    await get(transport, upstream.url("/json"))
    await get(transport, other_upstream.url("/json"))
    await eventually(lambda: upstream.open_connections == 0, what="the older connection is closed")
    await get(transport, other_upstream.url("/json"))
    assert other_upstream.connections == 1


async def test_requests_that_wait_are_served_in_their_order_and_those_that_leave_are_passed_over(
    make_transport: MakeTransport, upstream: FaultServer
) -> None:
    transport = make_transport(max_connections=1)
    tasks = [asyncio.create_task(get(transport, upstream.url(f"/echo/{number}"))) for number in range(6)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    tasks[5].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [arrival.path for arrival in upstream.arrivals] == ["/echo/0", "/echo/1", "/echo/3", "/echo/4"]
    assert upstream.connections == 1
    assert (await get(transport, upstream.url("/json"))).status == 200


async def test_every_way_to_end_frees_the_turn(make_transport: MakeTransport, upstream: FaultServer) -> None:
    transport = make_transport(max_connections=2)
    for path in ("/never", "/cut", "/garbage", "/close", "/close-without-answer", "/early", "/until-close"):
        for _ in range(3):
            try:
                await get(transport, upstream.url(path), 0.1)
            except TransportError as error:
                assert error.phase != "pool"  # noqa: PT017 - some of them end well
    assert (await get(transport, upstream.url("/json"))).status == 200


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_status_without_body_ends_with_its_headers(
    make_transport: MakeTransport, status: int, length: bytes
) -> None:
    async def announce_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 %d Odd\r\n%s\r\n" % (status, length))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(announce_a_body, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        for _ in range(3):
            response = await get(transport, f"http://127.0.0.1:{port}/")
            assert (response.status, response.body) == (status, b"")


async def test_a_server_that_speaks_first_is_not_written_to(make_transport: MakeTransport) -> None:
    received = b""
    left = asyncio.Event()

    async def wait_for_the_end() -> None:
        await left.wait()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        received += await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        with pytest.raises(TransportError) as caught:
            await transport.send(
                HttpRequest("POST", f"http://127.0.0.1:{port}/"),
                timeout=20,
                max_bytes=1000,
                before_send=wait_for_the_end,
            )
    assert (caught.value.phase, caught.value.sent, received) == ("connect", False, b"")
