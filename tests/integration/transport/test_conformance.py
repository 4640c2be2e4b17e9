"""What every transport must do, whichever client it is built on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest

from services.executor.transport import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
    TransportTimeout,
)
from tests.integration.transport.conftest import MakeTransport, Names
from tests.integration.transport.fickle_server import FickleServer
from tests.support.fault_server import DECODED, FaultServer
from tests.support.polling import eventually

MEBIBYTE = 1 << 20
Headers = tuple[tuple[str, str], ...]


async def send(
    transport: Transport,
    url: str,
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | None = None,
    seconds: float = 20,
    max_bytes: int = MEBIBYTE,
    before_send: BeforeSend | None = None,
) -> HttpResponse:
    return await transport.send(
        HttpRequest(method, url, headers, body), timeout=seconds, max_bytes=max_bytes, before_send=before_send
    )


async def failure(transport: Transport, url: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await send(transport, url, **options)
    return caught.value


async def echoed(transport: Transport, url: str, **options: Any) -> dict[str, Any]:
    response = await send(transport, url, **options)
    echo: dict[str, Any] = json.loads(response.body)
    return echo


async def is_intact(transport: Transport, upstream: FaultServer) -> bool:
    """The transport still works, and gives each request its own answer."""
    paths = [f"/echo/{number}" for number in range(20)]
    answers = await asyncio.gather(*(echoed(transport, upstream.url(path)) for path in paths))
    return [answer["path"] for answer in answers] == paths


# ---- what goes out ----------------------------------------------------------------------------
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
        "http://",
        "http://user:secret@example.com/",
        "http://example.com:99999/",
        "http://example.com/a b",
        "http://example.com/a\r\nX: 1",
        "http://example.com/ü",
        "http://exa mple.com/",
        "http://example.com\\@127.0.0.1/",
    ],
)
async def test_a_url_that_is_not_absolute_and_encoded_is_refused_unsent(transport: Transport, url: str) -> None:
    error = await failure(transport, url)
    assert (error.phase, error.sent) == ("request", False)
    assert "secret" not in error.detail


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "GET / HTTP/1.1\r\nX: "])
async def test_other_methods_are_refused_unsent(transport: Transport, upstream: FaultServer, method: str) -> None:
    error = await failure(transport, upstream.url("/echo"), method=method)
    assert (error.phase, error.sent) == ("request", False)


# ---- what comes back --------------------------------------------------------------------------
@pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 429, 500, 503])
async def test_every_final_status_is_a_response(transport: Transport, upstream: FaultServer, status: int) -> None:
    response = await send(transport, upstream.url(f"/status/{status}?retry_after=7&body=hello"))
    assert response.status == status
    assert response.headers["retry-after"] == "7"
    assert response.body == (b"" if status in {204, 304} else b"hello")
    assert await is_intact(transport, upstream)


async def test_repeated_headers_are_joined_and_cookies_kept_apart(transport: Transport, upstream: FaultServer) -> None:
    headers = (await send(transport, upstream.url("/repeated-headers"))).headers
    assert headers["x-part"] == "a, b"
    assert headers["set-cookie"] == "a=1, 2\nb=3"


async def test_cookies_are_not_kept_for_later_requests(transport: Transport, upstream: FaultServer) -> None:
    await send(transport, upstream.url("/repeated-headers"))
    assert "cookie" not in (await echoed(transport, upstream.url("/echo")))["headers"]


async def test_a_header_value_that_is_not_utf8_is_text_all_the_same(
    transport: Transport, upstream: FaultServer
) -> None:
    assert (await send(transport, upstream.url("/odd-headers"))).headers["x-name"] == "café"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_returned_not_followed(transport: Transport, upstream: FaultServer, code: int) -> None:
    response = await send(transport, upstream.url(f"/redirect?code={code}&to=/json"))
    assert (response.status, response.headers["location"]) == (code, "/json")
    assert len(upstream.arrivals) == 1


@pytest.mark.parametrize(
    ("path", "body"), [("/interim", b'{"ok": true}'), ("/until-close", b"no length"), ("/chunked", b"abcde")]
)
async def test_the_ways_to_frame_a_response(
    transport: Transport, upstream: FaultServer, path: str, body: bytes
) -> None:
    assert (await send(transport, upstream.url(path))).body == body
    assert await is_intact(transport, upstream)


@pytest.mark.parametrize("kind", ["gzip", "gzip-members", "deflate", "raw-deflate", "twice"])
async def test_content_codings_are_undone(transport: Transport, upstream: FaultServer, kind: str) -> None:
    assert (await send(transport, upstream.url(f"/coded/{kind}"))).body == DECODED


async def test_an_empty_body_needs_no_decoding(transport: Transport, upstream: FaultServer) -> None:
    assert (await send(transport, upstream.url("/coded/empty"))).body == b""


# ---- bounds -----------------------------------------------------------------------------------
async def test_a_body_at_the_cap_passes_and_one_byte_more_does_not(transport: Transport, upstream: FaultServer) -> None:
    assert len((await send(transport, upstream.url("/bytes?n=70000"), max_bytes=70000)).body) == 70000
    error = await failure(transport, upstream.url("/bytes?n=70001"), max_bytes=70000)
    assert (error.phase, error.sent, error.status) == ("too_large", True, 200)
    assert await is_intact(transport, upstream)


@pytest.mark.case(49)
async def test_reading_stops_at_the_cap(transport: Transport, upstream: FaultServer) -> None:
    error = await failure(transport, upstream.url("/endless"), max_bytes=MEBIBYTE)
    assert (error.phase, error.status) == ("too_large", 200)
    await eventually(lambda: upstream.open_connections == 0, what="the connection is closed")
    assert upstream.counts["endless"] < 400


@pytest.mark.case(50)
async def test_a_gzip_bomb_is_measured_decoded(transport: Transport, upstream: FaultServer) -> None:
    error = await failure(transport, upstream.url("/bomb?bytes=50000000"), max_bytes=MEBIBYTE)
    assert (error.phase, error.sent, error.status) == ("too_large", True, 200)
    exact = await send(transport, upstream.url("/bomb?bytes=1000000"), max_bytes=1_000_000)
    assert len(exact.body) == 1_000_000


@pytest.mark.parametrize("kind", ["broken", "cut", "unknown"])
async def test_a_body_that_cannot_be_decoded(transport: Transport, upstream: FaultServer, kind: str) -> None:
    error = await failure(transport, upstream.url(f"/coded/{kind}"))
    assert (error.phase, error.sent, error.status) == ("decode", True, 200)
    assert await is_intact(transport, upstream)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cut", 200),
        ("/cut-chunked", 200),
        ("/garbage-chunk", 200),
        ("/garbage", None),
        ("/huge-header", None),
        ("/switch", None),
        ("/interim-flood", None),
        ("/close-without-answer", None),
        ("/reset-after-send", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_broken_answer_ends_the_attempt_after_one_send(
    transport: Transport, upstream: FaultServer, path: str, status: int | None, method: str
) -> None:
    error = await failure(transport, upstream.url(path + "?token=hidden"), method=method)
    assert (error.phase, error.sent) == ("receiving", True)
    # A parser that finds the damage in the same bytes as the headers may not have reported these.
    assert error.status in {status, None}
    assert "hidden" not in error.detail
    assert path not in error.detail
    assert upstream.sends(path) == 1
    assert await is_intact(transport, upstream)


# ---- connecting -------------------------------------------------------------------------------
async def test_a_refused_connection_is_not_sent(make_transport: MakeTransport, free_port: int) -> None:
    transport = make_transport(f"127.0.0.1:{free_port}")
    called = []
    error = await failure(
        transport, f"http://127.0.0.1:{free_port}/", before_send=lambda: called.append(1), method="POST"
    )
    assert (error.phase, error.sent, error.status) == ("connect", False, None)
    assert not called


async def test_a_name_without_address_is_not_sent(transport: Transport) -> None:
    error = await failure(transport, "http://unknown.test/path?token=hidden")
    assert (error.phase, error.sent) == ("resolve", False)
    assert "unknown.test" in error.detail
    assert "hidden" not in error.detail


async def test_a_name_is_resolved_once_and_kept_in_the_host_header(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["api.test"] = ["127.0.0.1"]
    transport = make_transport(f"api.test:{upstream.port}")
    echoes = await asyncio.gather(*(echoed(transport, upstream.url("/echo", host="API.test")) for _ in range(10)))
    assert {echo["headers"]["host"] for echo in echoes} == {f"api.test:{upstream.port}"}
    assert names.asked == ["api.test"]


async def test_an_international_name_is_encoded(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["xn--bcher-kva.test"] = ["127.0.0.1"]
    transport = make_transport(f"bücher.test:{upstream.port}")
    echo = await echoed(transport, upstream.url("/echo", host="bücher.test"))
    assert echo["headers"]["host"] == f"xn--bcher-kva.test:{upstream.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "inner.test"]
)
async def test_an_internal_address_is_refused_in_every_spelling(
    make_transport: MakeTransport, upstream: FaultServer, names: Names, host: str
) -> None:
    names.addresses["inner.test"] = ["127.0.0.1"]
    transport = make_transport("elsewhere.test:1")
    called = []
    error = await failure(transport, upstream.url("/json", host=host), before_send=lambda: called.append(1))
    assert (error.phase, error.sent) == ("egress", False)
    assert upstream.connections == 0
    assert not called


async def test_one_internal_address_among_public_ones_refuses_the_name(
    make_transport: MakeTransport, upstream: FaultServer, names: Names
) -> None:
    names.addresses["mixed.test"] = ["93.184.216.34", "127.0.0.1"]
    transport = make_transport("elsewhere.test:1")
    assert (await failure(transport, upstream.url("/json", host="mixed.test"))).phase == "egress"


# ---- TLS --------------------------------------------------------------------------------------
async def test_a_trusted_certificate_for_the_name_is_accepted(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names, ca_file: Any
) -> None:
    names.addresses["good.test"] = ["127.0.0.1"]
    transport = make_transport(f"good.test:{tls_upstream.port}", ca_file=ca_file)
    for _ in range(3):
        echo = await echoed(transport, tls_upstream.url("/echo", host="good.test"))
        assert echo["headers"]["host"] == f"good.test:{tls_upstream.port}"
    assert tls_upstream.connections == 1


async def test_a_certificate_for_another_name_is_refused(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names, ca_file: Any
) -> None:
    names.addresses["other.test"] = ["127.0.0.1"]
    transport = make_transport(f"other.test:{tls_upstream.port}", ca_file=ca_file)
    error = await failure(transport, tls_upstream.url("/echo", host="other.test"))
    assert (error.phase, error.sent) == ("certificate", False)
    assert tls_upstream.arrivals == []


async def test_an_untrusted_authority_is_refused(
    make_transport: MakeTransport, tls_upstream: FaultServer, names: Names
) -> None:
    names.addresses["good.test"] = ["127.0.0.1"]
    transport = make_transport(f"good.test:{tls_upstream.port}")
    error = await failure(transport, tls_upstream.url("/echo", host="good.test"))
    assert (error.phase, error.sent) == ("certificate", False)


async def test_tls_towards_a_plain_port_fails_in_the_handshake(make_transport: MakeTransport) -> None:
    async def speak_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = make_transport(f"127.0.0.1:{port}")
        error = await failure(transport, f"https://127.0.0.1:{port}/")
    assert (error.phase, error.sent) == ("tls", False)


# ---- time -------------------------------------------------------------------------------------
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


# ---- before_send ------------------------------------------------------------------------------
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


# ---- keep-alive -------------------------------------------------------------------------------
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


# ---- leaving ----------------------------------------------------------------------------------
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


def test_a_request_does_not_show_its_secrets() -> None:
    request = HttpRequest("GET", "http://a.test/?key=hidden", (("X-API-Key", "hidden"),), b"hidden")
    assert "hidden" not in repr(request)
