"""One connection over a transport that does what the test says."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from services.executor.transport import HttpResponse, TransportError
from services.executor.transport.attempt import Attempt, Origin
from services.executor.transport.connection import Connection
from services.executor.transport.deadline import Deadlines

ORIGIN = Origin("api.test", 80, encrypted=False, host_header="api.test")
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = socket.socketpair()
        self.written = b""
        self.unwritten = 0
        self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.near if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unwritten

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


@pytest.fixture
def transport() -> Iterator[FakeTransport]:
    transport = FakeTransport()
    with transport.near, transport.far:
        yield transport


@pytest.fixture
async def connection(transport: FakeTransport) -> Connection:
    connection = Connection(ORIGIN, Deadlines(), lambda _: None)
    connection.connection_made(transport)
    return connection


def begin(connection: Connection, *, max_bytes: int = 1000) -> asyncio.Future[HttpResponse]:
    return connection.exchange(b"GET", Attempt(ORIGIN, 30, asyncio.get_running_loop().time()), max_bytes)


async def failed(answer: asyncio.Future[HttpResponse]) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await answer
    return caught.value


async def test_a_response_may_arrive_in_any_pieces(connection: Connection) -> None:
    answer = begin(connection)
    for byte in WHOLE:
        assert not answer.done()
        connection.data_received(bytes((byte,)))
    assert (await answer).body == b"ok"
    assert connection.reusable


async def test_empty_data_says_nothing(connection: Connection) -> None:
    answer = begin(connection)
    connection.data_received(b"")
    assert not answer.done()
    connection.data_received(WHOLE)
    assert (await answer).status == 200


async def test_more_than_the_response_ends_the_connection_with_it(connection: Connection) -> None:
    answer = begin(connection)
    connection.data_received(WHOLE + WHOLE)
    assert (await answer).body == b"ok"
    assert not connection.reusable


async def test_what_nobody_asked_for_closes(connection: Connection, transport: FakeTransport) -> None:
    connection.data_received(WHOLE)
    assert transport.closing
    with pytest.raises(TransportError) as caught:
        begin(connection)
    assert (caught.value.phase, caught.value.sent, transport.written) == ("connect", False, b"")


async def test_an_answer_before_the_whole_request_was_taken_ends_the_connection(
    connection: Connection, transport: FakeTransport
) -> None:
    answer = begin(connection)
    transport.unwritten = 10
    connection.data_received(WHOLE)
    assert (await answer).status == 200
    assert not connection.reusable


async def test_a_clean_close_completes_a_body_without_length_and_a_reset_does_not(
    connection: Connection, transport: FakeTransport
) -> None:
    answer = begin(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    connection.connection_lost(None)
    assert (await answer).body == b"half"
    assert not connection.reusable

    connection = Connection(ORIGIN, Deadlines(), lambda _: None)
    connection.connection_made(transport)
    answer = begin(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    connection.connection_lost(ConnectionResetError())
    error = await failed(answer)
    assert (error.phase, error.sent, error.status) == ("receiving", True, 200)


async def test_a_body_over_the_cap_closes_at_once(connection: Connection, transport: FakeTransport) -> None:
    bomb = gzip.compress(bytes(1_000_000))
    answer = begin(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999\r\n\r\n" + bomb)
    error = await failed(answer)
    assert (error.phase, error.status, transport.closing) == ("too_large", 200, True)


async def test_a_request_that_is_not_taken_is_told_as_sending(connection: Connection) -> None:
    answer = begin(connection)
    connection.pause_writing()
    connection.expire()
    assert (await failed(answer)).phase == "sending"


async def test_leaving_closes_and_whatever_comes_later_is_nobodys(
    connection: Connection, transport: FakeTransport
) -> None:
    answer = begin(connection)
    connection.abort()
    assert answer.cancelled()
    assert transport.closing
    connection.data_received(WHOLE)
    connection.expire()
    connection.connection_lost(None)


async def test_the_kernel_tells_what_the_loop_has_not_seen_yet(
    connection: Connection, transport: FakeTransport
) -> None:
    assert connection.is_fresh()
    transport.far.send(b"HTTP/1.1 408 Late\r\n")
    assert not connection.is_fresh()
