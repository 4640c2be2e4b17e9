"""What goes out: the request as it was given, or nothing; and what is asked just before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from services.executor.transport import HttpRequest, Transport, TransportTimeout
from tests.integration.transport.sending import echoed, failure, send
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_method_target_headers_and_body_arrive_as_given(
    transport: Transport, upstream: FaultServer, method: str
) -> None:
    body = b"" if method == "GET" else b'{"a": 1}'
    echo = await echoed(
        transport,
        upstream.url("/echo/a%2Fb/%E2%82%AC;x?q=London%2CUK&empty=&q2=a+b#fragment"),
        method=method,
        headers=(("X-One", "1"), ("x-euro", "€")),
        body=body or None,
    )
    assert echo["method"] == method
    assert echo["path"] == "/echo/a%2Fb/%E2%82%AC;x"
    assert echo["query"] == {"q": "London,UK", "empty": "", "q2": "a b"}
    assert echo["body"].encode() == body
    assert echo["headers"]["x-one"] == "1"
    assert echo["headers"]["x-euro"].encode("latin-1").decode() == "€"
    assert echo["headers"]["host"] == upstream.authority


async def test_defaults_give_way_to_the_callers_headers(transport: Transport, upstream: FaultServer) -> None:
    plain = (await echoed(transport, upstream.url("/echo")))["headers"]
    own = (await echoed(transport, upstream.url("/echo"), headers=(("user-agent", "me"), ("Accept", "a/b"))))["headers"]
    assert (plain["accept"], plain["accept-encoding"]) == ("*/*", "gzip, deflate")
    assert plain["user-agent"].startswith("dibop")
    assert (own["accept"], own["user-agent"]) == ("a/b", "me")


async def test_a_body_method_without_body_says_that_it_has_none(transport: Transport, upstream: FaultServer) -> None:
    assert (await echoed(transport, upstream.url("/echo"), method="POST"))["headers"]["content-length"] == "0"
    assert "content-length" not in (await echoed(transport, upstream.url("/echo")))["headers"]


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nX-Injected: 1"),
        ("X-A", "a\nb"),
        ("X-A", "a\rb"),
        ("X-A", "a\0b"),
        ("X-A", "\udc80"),
        ("X-A\r\nX-Injected", "1"),
        ("X A", "1"),
        ("", "1"),
        ("X-Ä", "1"),
        ("Host", "other.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ],
)
async def test_a_header_that_would_change_the_message_is_refused_unsent(
    transport: Transport, upstream: FaultServer, header: tuple[str, str]
) -> None:
    error = await failure(transport, upstream.url("/echo"), headers=(header,))
    assert (error.phase, error.sent) == ("request", False)
    assert "Injected" not in error.detail
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "/relative",
        "ftp://example.com/",
        "http://example.com/a b",
        "http://example.com/a\r\nX: 1",
        "http://example.com/ü",
    ],
)
async def test_a_url_that_is_not_absolute_and_encoded_is_refused_unsent(transport: Transport, url: str) -> None:
    error = await failure(transport, url)
    assert (error.phase, error.sent) == ("request", False)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://user:secret@example.com/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com\r\nX: secret/",
        "http://example.com\\@127.0.0.1/",
        "http://{secret}.example.com/",
    ],
)
async def test_an_address_that_cannot_be_read_in_one_way_alone_is_refused_unsent(
    transport: Transport, url: str
) -> None:
    error = await failure(transport, url)
    assert (error.phase, error.sent) == ("egress", False)
    assert "secret" not in error.detail


def test_a_request_does_not_show_its_secrets() -> None:
    request = HttpRequest("GET", "http://a.test/?key=hidden", (("X-API-Key", "hidden"),), b"hidden")
    assert "hidden" not in repr(request)


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "GET / HTTP/1.1\r\nX: "])
async def test_other_methods_are_refused_unsent(transport: Transport, upstream: FaultServer, method: str) -> None:
    error = await failure(transport, upstream.url("/echo"), method=method)
    assert (error.phase, error.sent) == ("request", False)


async def test_before_send_runs_once_on_an_open_connection_before_anything_is_written(
    transport: Transport, upstream: FaultServer
) -> None:
    seen: list[tuple[int, int]] = []

    async def look() -> None:
        await eventually(lambda: upstream.connections == 1)
        seen.append((upstream.connections, len(upstream.arrivals)))

    await send(transport, upstream.url("/json"), before_send=look)
    assert seen == [(1, 0)]


async def test_what_before_send_raises_reaches_the_caller_and_nothing_is_sent(
    transport: Transport, upstream: FaultServer
) -> None:
    def refuse() -> Awaitable[None] | None:
        raise LookupError("no permit")

    with pytest.raises(LookupError, match="no permit"):
        await send(transport, upstream.url("/json"), before_send=refuse)
    await send(transport, upstream.url("/echo"))
    assert upstream.sends("/json") == 0
    assert upstream.connections == 1


async def test_time_runs_during_before_send_too(transport: Transport, upstream: FaultServer) -> None:
    error = await failure(transport, upstream.url("/json"), seconds=0.2, before_send=lambda: asyncio.sleep(30))
    assert isinstance(error, TransportTimeout)
    assert error.sent is False
    assert upstream.arrivals == []
