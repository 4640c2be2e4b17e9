"""Connections that serve again, and the ends of those that do not."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from services.executor.transport import Transport
from tests.integration.transport.conftest import MakeTransport
from tests.integration.transport.fickle_server import FickleServer
from tests.integration.transport.sending import MEBIBYTE, echoed, failure, is_intact, send
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually


async def test_connections_are_reused(transport: Transport, upstream: FaultServer) -> None:
    for _ in range(5):
        await send(transport, upstream.url("/json"))
    assert upstream.connections == 1


@pytest.mark.parametrize("path", ["/close", "/close-keepalive"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_connection_the_server_closed_is_not_written_to(
    transport: Transport, upstream: FaultServer, path: str, method: str
) -> None:
    await send(transport, upstream.url(path))
    await eventually(lambda: upstream.open_connections == 0)
    response = await send(transport, upstream.url("/json"), method=method)
    assert response.status == 200
    assert upstream.sends("/json") == 1


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"], ids=["closed", "spoken"])
@pytest.mark.parametrize("turns", [0, 20], ids=["loop busy", "loop free"])
async def test_a_connection_that_is_no_longer_fresh_is_not_written_to(
    make_transport: MakeTransport, words: bytes, turns: int
) -> None:
    """While the loop is busy the news waits in the kernel, and only a look there tells."""
    with FickleServer(words) as server:
        transport = make_transport(f"127.0.0.1:{server.port}")
        url = f"http://127.0.0.1:{server.port}/"
        assert (await send(transport, url, method="POST")).body == b"connection 1"
        server.turn_on_the_client()
        for _ in range(turns):
            await asyncio.sleep(0)
        assert (await send(transport, url, method="POST")).body == b"connection 2"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.case(34)
async def test_a_close_at_the_moment_of_sending_is_told_and_never_repeated(
    transport: Transport, upstream: FaultServer, method: str
) -> None:
    await send(transport, upstream.url("/close-on-next"))
    error = await failure(transport, upstream.url("/json"), method=method)
    assert (error.phase, error.sent, error.status) == ("receiving", True, None)
    assert upstream.sends("/json") == 1
    assert upstream.connections == 1


async def test_an_answer_that_nobody_asked_for_is_nobodys(transport: Transport, upstream: FaultServer) -> None:
    assert (await send(transport, upstream.url("/unasked"))).body == b"first"
    assert (await echoed(transport, upstream.url("/echo/mine")))["path"] == "/echo/mine"
    assert await is_intact(transport, upstream)


async def test_a_large_upload_may_be_answered_early(transport: Transport, upstream: FaultServer) -> None:
    response = await send(transport, upstream.url("/early"), method="POST", body=bytes(16 * MEBIBYTE))
    assert (response.status, response.body) == (413, b"too large")
    assert await is_intact(transport, upstream)


async def test_many_at_once_each_get_their_own_answer(transport: Transport, upstream: FaultServer) -> None:
    paths = [f"/echo/{number}" for number in range(100)]
    echoes = await asyncio.gather(*(echoed(transport, upstream.url(path)) for path in paths))
    assert [echo["path"] for echo in echoes] == paths
    assert upstream.connections <= 100


def _arrived(upstream: FaultServer, path: str) -> bool:
    return upstream.sends(path) == 1


async def test_a_cancelled_request_closes_its_connection(make_transport: MakeTransport, upstream: FaultServer) -> None:
    transport = make_transport(max_connections=2)
    for path in ("/never", "/drip"):
        task = asyncio.create_task(send(transport, upstream.url(path)))
        await eventually(partial(_arrived, upstream, path))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: upstream.open_connections == 0, what="the connection is closed")
    assert await is_intact(transport, upstream)


async def test_closing_ends_requests_in_flight(transport: Transport, upstream: FaultServer) -> None:
    task = asyncio.create_task(failure(transport, upstream.url("/never")))
    await eventually(lambda: upstream.sends("/never") == 1)
    await transport.aclose()
    error = await task
    assert (error.phase, error.sent) == ("receiving", True)
    assert (await failure(transport, upstream.url("/json"))).sent is False
