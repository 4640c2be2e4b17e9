"""Responses: whatever an external system or a token endpoint sends, on the wire and decoded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Final

from hypothesis import strategies as st

from dibop.errors import DibopError as ClientError
from dibop.execution import build, decode_reply
from services.executor.domain.echoes import Hidden
from services.executor.domain.oauth import says_expired
from services.executor.domain.plan import ExpiredPlan
from services.executor.domain.response import decode_response, visible_headers
from services.executor.domain.retry_after import retry_after_ms
from services.executor.domain.schemas import SchemaCache, pack_schema
from services.executor.oauth.answers import Granted, RefusedError, UnreadableError, read_answer
from services.executor.transport.aiohttp_transport import AiohttpTransport
from services.executor.transport.body import Body, BodyError
from services.executor.transport.egress import EgressPolicy
from services.executor.transport.interface import HttpRequest, HttpResponse, TransportError
from tests.fuzz.driver import Target
from tests.fuzz.inputs import any_json, as_bytes, mutated, nasty_text

SECRET: Final = "sk-live/0123456789+abc"
HIDDEN: Final = Hidden.of((SECRET,))
CAP: Final = 50_000
TEXT: Final = b"some text, many times over. " * 40
CACHE: Final = SchemaCache()
SCHEMA: Final = pack_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
TYPES: Final = (
    "application/json",
    "application/problem+json; charset=utf-16",
    "text/plain; charset=",
    "text/plain; charset=latin-1",
    "text/html; charset=utf-7",
    "text/plain; charset=idna",
    "text/plain; charset=zlib_codec",
    "text/plain; charset=unicode_escape",
    "image/png",
    "",
)
WIRE: Final = [
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(TEXT))
    + gzip.compress(TEXT),
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
]


def decoded(given: tuple[int, str, dict[str, str], bytes]) -> None:
    status, kind, headers, body = given
    shown = visible_headers(dict(headers), HIDDEN)
    assert SECRET not in "".join(shown.values())
    response = HttpResponse(status, {**headers, **({"content-type": kind} if kind else {})}, body)
    found = decode_response(response, SCHEMA, CACHE, HIDDEN)
    value = json.loads(found.value)
    assert SECRET.encode() not in found.raw
    if found.encoding == "text":
        assert value == found.raw.decode()
    elif found.encoding == "json" and body:
        assert json.loads(found.raw) == value
    assert len(found.raw) <= 4 * len(body) + 100


def coded(given: tuple[str, list[bytes]]) -> None:
    """A coding is undone within the cap, or refused; undone twice it gives the same."""
    coding, pieces = given
    results: list[bytes | None] = []
    for parts in (pieces, [b"".join(pieces)]):
        try:
            body = Body(coding, CAP)
            for piece in parts:
                body.feed(piece)
            results.append(body.finish())
        except BodyError:
            results.append(None)  # what is both too large and broken is refused for what is seen first
    assert results[0] == results[1]
    assert results[0] is None or len(results[0]) <= CAP


def waits(given: tuple[str, str]) -> None:
    found = retry_after_ms({"retry-after": given[0], "date": given[1]})
    assert found is None or found >= 0


def granted(given: tuple[int, str, bytes]) -> None:
    status, kind, body = given
    try:
        found = read_answer(status, kind, body, secrets=(SECRET,))
    except (RefusedError, UnreadableError) as error:
        told = f"{error} {getattr(error, 'description', '')}"
        assert SECRET not in told
        assert told.isprintable()
        assert len(told) < 1000
        return
    assert isinstance(found, Granted)
    assert found.access_token.isascii()
    assert found.access_token.isprintable()
    assert 0 < found.lifetime <= 86_400
    assert len(found.access_token) < 8 or found.access_token not in repr(found)


def expired(given: tuple[int, bytes, list[str], list[str]]) -> None:
    status, body, path, values = given
    signal = ExpiredPlan(statuses=(401, 400), path=tuple(path), values=tuple(values))
    assert says_expired(signal, HttpResponse(status, {"content-type": "application/json"}, body)) in (True, False)


def client_reply(raw: bytes) -> None:
    with contextlib.suppress(ClientError):
        reply = decode_reply(raw)
        build(raw, reply, None)


class _Upstream:
    """A server that answers each connection with the bytes that are due, and the loop in which all of it runs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answer = b""
        self.pieces = 1
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/x"
        self.transport = AiohttpTransport(EgressPolicy.parse(f"127.0.0.1:{port}"), max_connections=4)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            size = len(self.answer) // self.pieces + 1
            for start in range(0, len(self.answer), size):
                writer.write(self.answer[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    def send(self, answer: bytes, pieces: int) -> HttpResponse | TransportError:
        self.answer, self.pieces = answer, pieces
        try:
            return self.loop.run_until_complete(
                self.transport.send(HttpRequest("GET", self.url), timeout=5.0, max_bytes=CAP)
            )
        except TransportError as error:
            return error

    def close(self) -> None:
        async def end() -> None:
            await self.transport.aclose()
            self._server.close()
            await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

        self.loop.run_until_complete(end())
        self.loop.close()


@cache
def _upstream() -> _Upstream:
    return _Upstream()


@contextlib.contextmanager
def upstream() -> Iterator[None]:
    """Close the server of `on_the_wire` afterwards."""
    try:
        yield
    finally:
        if _upstream.cache_info().currsize:
            _upstream().close()
            _upstream.cache_clear()


def on_the_wire(given: tuple[bytes, int]) -> None:
    """Any bytes are a response, or an error that says whether the request was sent."""
    outcome = _upstream().send(*given)
    if isinstance(outcome, TransportError):
        assert outcome.sent, "it was: the server has read it"
        assert outcome.phase in {"receiving", "too_large", "decode"}
        assert outcome.detail.endswith(".")
        return
    assert 200 <= outcome.status <= 999
    assert len(outcome.body) <= CAP
    assert all(name == name.lower() and not set("\r\n\0") & set(name) for name in outcome.headers)


_ANSWERS: Final = [
    *as_bytes(
        [
            {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r", "scope": "a b"},
            {"error": "invalid_grant", "error_description": f"no {SECRET}"},
            {"error": {"message": SECRET, "code": 5}},
        ]
    ),
    b"access_token=abc&expires_in=5",
    b"error=invalid_client&error_description=sk-live%2F0123456789%2Babc",
]
_BODIES: Final = [
    b'{"a": 1, "b": "sk-live/0123456789+abc"}',
    json.dumps({"url": "x?k=sk-live%2F0123456789%2Babc", SECRET: [SECRET]}).encode(),
    f"<p>{SECRET}</p>".encode("utf-16"),
    b"\x89PNG" + SECRET.encode(),
    b"[1, 2.50, -0]",
]
_CODED: Final = [
    gzip.compress(TEXT),
    zlib.compress(TEXT),
    zlib.compress(gzip.compress(TEXT)),
    gzip.compress(b"\0" * 200_000),
]
_REPLY: Final = {
    "request_id": "r",
    "connector": "c",
    "version": "1.0.0",
    "operation": "o",
    "connection": None,
    "status_code": 200,
    "headers": {},
    "response": None,
    "response_encoding": "chunks",
    "duration_ms": 1.0,
    "attempts": [{"duration_ms": 1, "waited_ms": 0, "status_code": 200}],
    "response_body": {"id": "i", "size": 1, "sha256": "x", "chunks": 1, "inner_encoding": "json"},
}
_statuses: Final = st.sampled_from([200, 204, 302, 400, 401, 404, 429, 500, 503])


def _cut(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=5).map(sorted)
    return places.map(lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])


def _texts(seeds: list[bytes]) -> st.SearchStrategy[str]:
    return mutated(seeds).map(lambda data: data.decode("latin-1"))


TARGETS: Final = (
    Target(
        "decoded",
        st.tuples(
            _statuses,
            st.sampled_from(TYPES) | nasty_text,
            st.dictionaries(st.sampled_from(["x", "location"]), nasty_text | st.just(f"a {SECRET}")),
            mutated(_BODIES) | any_json.map(lambda v: json.dumps(v).encode("utf-8", "surrogatepass")),
        ),
        decoded,
    ),
    Target(
        "coded",
        st.tuples(
            st.sampled_from(["gzip", "deflate", "gzip, deflate", "deflate, gzip", "identity", "br", "x", ""]),
            mutated(_CODED).flatmap(_cut),
        ),
        coded,
    ),
    Target(
        "retry-after",
        st.tuples(*[_texts([b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"Wed, 21 Oct 2026 07:28:00 +9999"])] * 2),
        waits,
    ),
    Target(
        "token answer",
        st.tuples(_statuses, st.sampled_from(["application/json", "text/plain", ""]) | nasty_text, mutated(_ANSWERS)),
        granted,
    ),
    Target(
        "expired token",
        st.tuples(
            st.sampled_from([200, 400, 401]), mutated(_BODIES), st.lists(nasty_text, max_size=3), st.lists(nasty_text)
        ),
        expired,
    ),
    Target("reply to a client", mutated(as_bytes([_REPLY, {**_REPLY, "response_encoding": "json"}])), client_reply),
    Target("on the wire", st.tuples(mutated(WIRE), st.integers(1, 6)), on_the_wire),
)
