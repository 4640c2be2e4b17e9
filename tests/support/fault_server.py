"""An HTTP upstream that misbehaves as its path says, and remembers every request that reached it.

In a test: `async with FaultServer() as upstream: upstream.url("/cut")`. As a process, for tests with several
clients: `python -m tests.support.fault_server --port 0`, which prints `{"port": N}` when it listens;
`GET /__log` then answers the arrivals as JSON and `DELETE /__log` forgets them.

It speaks HTTP/1.1 on raw streams, since a proper server would mend most of what is broken here on purpose.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Arrival:
    """A request as it reached the server. `at` is Unix time in seconds; `connection` counts from 1."""

    at: float
    connection: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class Call:
    """One request being answered. A behaviour that returns True leaves the connection open."""

    arrival: Arrival
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: FaultServer
    unread: int = 0

    def number(self, name: str, default: float) -> float:
        return float(self.arrival.query.get(name, default))

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int = 200, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> bool:
        await self.write(head(status, (*headers, ("Content-Length", str(len(body))))) + body)
        return True

    async def answer_json(self, value: object, status: int = 200) -> bool:
        return await self.answer(status, json.dumps(value).encode(), (("Content-Type", "application/json"),))

    def reset(self) -> None:
        """Make the close that follows a reset instead of an orderly end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def head(status: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


Behaviour = Callable[[Call], Awaitable[bool]]
_BEHAVIOURS: dict[str, Behaviour] = {}
# These answer before the body is read.
_EARLY = {"early"}


def behaviour(name: str) -> Callable[[Behaviour], Behaviour]:
    """Serve `/name` and everything below it."""

    def register(function: Behaviour) -> Behaviour:
        _BEHAVIOURS[name] = function
        return function

    return register


@dataclass
class FaultServer:
    """The server. `arrivals` grows by one for each request, in order of arrival."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    modes: dict[str, dict[str, str]] = field(default_factory=dict)
    open_connections: int = 0
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    def url(self, path: str, *, host: str | None = None) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def sends(self, path: str) -> int:
        """How often `path` was requested."""
        return sum(arrival.path == path for arrival in self.arrivals)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self.tls, backlog=512, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve_forever(self) -> None:
        if self._server is not None:
            await self._server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open_connections += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        previous = ""
        while True:
            call = await self._read_call(reader, writer, connection)
            name = call.arrival.path.split("/")[1]
            if previous == "close-on-next":
                return
            if not await _BEHAVIOURS.get(name, unknown)(call):
                return
            previous = name

    async def _read_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Call:
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = raw[:-4].split("\r\n")
        method, target, _ = request_line.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        parts = urlsplit(target)
        size = int(headers.get("content-length", "0"))
        early = parts.path.split("/")[1] in _EARLY
        body = b"" if early else await reader.readexactly(size)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        arrival = Arrival(time.time(), connection, method, parts.path, query, headers, body.decode("latin-1"))
        if not parts.path.startswith("/__"):
            self.arrivals.append(arrival)
        return Call(arrival, reader, writer, self, unread=size if early else 0)


async def unknown(call: Call) -> bool:
    return await call.answer(404, b"no such behaviour")


@behaviour("__log")
async def log(call: Call) -> bool:
    if call.arrival.method == "DELETE":
        call.server.arrivals.clear()
        call.server.counts.clear()
        return await call.answer(204)
    return await call.answer_json([asdict(arrival) for arrival in call.server.arrivals])


@behaviour("__mode")
async def set_mode(call: Call) -> bool:
    """`/__mode/<name>?status=500&delay=0.1`: how `/mode/<name>` answers from now on."""
    call.server.modes[call.arrival.path.split("/")[2]] = call.arrival.query
    return await call.answer(204)


@behaviour("mode")
async def mode(call: Call) -> bool:
    """`/mode/<name>`: what was set last; status 0 resets the connection, and without anything set it is 200."""
    query = call.server.modes.get(call.arrival.path.split("/")[2], {})
    await asyncio.sleep(float(query.get("delay", 0)))
    code = int(query.get("status", 200))
    if not code:
        call.reset()
        return False
    headers = (("Retry-After", query["retry_after"]),) if "retry_after" in query else ()
    return await call.answer(code, b"{}", (*headers, ("Content-Type", "application/json")))


# ---- proper answers ---------------------------------------------------------------------------
@behaviour("json")
async def plain_json(call: Call) -> bool:
    return await call.answer_json({"ok": True})


@behaviour("echo")
async def echo(call: Call) -> bool:
    return await call.answer_json(asdict(call.arrival))


@behaviour("status")
async def status(call: Call) -> bool:
    """`/status/503?retry_after=1&body=text`: any status, with a Retry-After where one is asked for."""
    query = call.arrival.query
    headers = (("Retry-After", query["retry_after"]),) if "retry_after" in query else ()
    code = int(call.arrival.path.split("/")[2])
    if code in {204, 304}:
        await call.write(head(code, headers))
        return True
    return await call.answer(code, query.get("body", "").encode(), headers)


@behaviour("flaky")
async def flaky(call: Call) -> bool:
    """`/flaky/name?fail=2&status=503`: the first requests of each name fail, then all succeed."""
    path = call.arrival.path
    call.server.counts[path] += 1
    failed = call.server.counts[path] <= call.number("fail", 1)
    return await call.answer(int(call.number("status", 500)) if failed else 200, b"flaky")


@behaviour("many")
async def many(call: Call) -> bool:
    """`/many?type=…&n=…`: n bytes; JSON where the type says so."""
    kind, size = call.arrival.query.get("type", "text/plain"), int(call.number("n", 1000))
    body = b'"' + b"j" * (size - 2) + b'"' if kind == "application/json" else b"t" * size
    return await call.answer(body=body, headers=(("Content-Type", kind),))


@behaviour("bytes")
async def some_bytes(call: Call) -> bool:
    return await call.answer(body=b"x" * int(call.number("n", 1000)))


@behaviour("repeated-headers")
async def repeated_headers(call: Call) -> bool:
    return await call.answer(
        body=b"ok", headers=(("X-Part", "a"), ("x-part", "b"), ("Set-Cookie", "a=1, 2"), ("Set-Cookie", "b=3"))
    )


@behaviour("odd-headers")
async def odd_headers(call: Call) -> bool:
    return await call.answer(body=b"ok", headers=(("X-Name", "caf\xe9"),))


@behaviour("redirect")
async def redirect(call: Call) -> bool:
    code = int(call.number("code", 302))
    return await call.answer(code, headers=(("Location", call.arrival.query.get("to", "/json")),))


@behaviour("redirect-loop")
async def redirect_loop(call: Call) -> bool:
    return await call.answer(302, headers=(("Location", "/redirect-loop"),))


@behaviour("interim")
async def interim(call: Call) -> bool:
    await call.write(head(103, (("Link", "</a>"),)))
    return await call.answer_json({"ok": True})


@behaviour("until-close")
async def until_close(call: Call) -> bool:
    await call.write(head(200) + b"no length")
    return False


@behaviour("chunked")
async def chunked(call: Call) -> bool:
    await call.write(head(200, (("Transfer-Encoding", "chunked"),)) + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    return True


# ---- content codings --------------------------------------------------------------------------
def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


_TEXT = b"a body that is worth compressing " * 40
_CODED: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(_TEXT)),
    "gzip-members": ("gzip", gzip.compress(_TEXT[:500]) + gzip.compress(_TEXT[500:])),
    "deflate": ("deflate", zlib.compress(_TEXT)),
    "raw-deflate": ("deflate", _raw_deflate(_TEXT)),
    "twice": ("deflate, gzip", gzip.compress(zlib.compress(_TEXT))),
    "broken": ("gzip", b"this is not gzip at all"),
    "cut": ("gzip", gzip.compress(_TEXT)[:-10]),
    "unknown": ("br", b"whatever"),
    "empty": ("gzip", b""),
}


@behaviour("coded")
async def coded(call: Call) -> bool:
    """`/coded/<kind>`; the decoded text is `DECODED`."""
    coding, body = _CODED[call.arrival.path.split("/")[2]]
    return await call.answer(body=body, headers=(("Content-Encoding", coding),))


DECODED = _TEXT


@behaviour("bomb")
async def bomb(call: Call) -> bool:
    """`/bomb?bytes=N`: gzip that decodes to N zeros."""
    body = gzip.compress(bytes(int(call.number("bytes", 50_000_000))), compresslevel=1)
    return await call.answer(body=body, headers=(("Content-Encoding", "gzip"),))


# ---- slow -------------------------------------------------------------------------------------
@behaviour("never")
async def never(call: Call) -> bool:
    await call.reader.read(1)
    return False


@behaviour("delay")
async def delay(call: Call) -> bool:
    await asyncio.sleep(call.number("seconds", 1))
    return await call.answer_json({"ok": True})


@behaviour("drip")
async def drip(call: Call) -> bool:
    """`/drip?bytes_per_s=20&total=1000`: a body that comes byte by byte."""
    total = int(call.number("total", 1000))
    await call.write(head(200, (("Content-Length", str(total)),)))
    for _ in range(total):
        await call.write(b"x")
        await asyncio.sleep(1 / call.number("bytes_per_s", 20))
    return True


@behaviour("drip-headers")
async def drip_headers(call: Call) -> bool:
    await call.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        await call.write(f"X-{number}: x\r\n".encode())
        await asyncio.sleep(1 / call.number("lines_per_s", 20))
    return False


# ---- broken -----------------------------------------------------------------------------------
@behaviour("endless")
async def endless(call: Call) -> bool:
    await call.write(head(200, (("Transfer-Encoding", "chunked"),)))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        call.server.counts["endless"] += 1
        await call.write(chunk)


@behaviour("cut")
async def cut(call: Call) -> bool:
    await call.write(head(200, (("Content-Length", "1000"),)) + b"only this")
    return False


@behaviour("cut-chunked")
async def cut_chunked(call: Call) -> bool:
    await call.write(head(200, (("Transfer-Encoding", "chunked"),)) + b"5\r\nhello\r\n")
    return False


@behaviour("garbage")
async def garbage(call: Call) -> bool:
    await call.write(b"\x00\x01 this is no HTTP\r\n\r\n")
    return False


@behaviour("garbage-chunk")
async def garbage_chunk(call: Call) -> bool:
    await call.write(head(200, (("Transfer-Encoding", "chunked"),)) + b"zz\r\nhello\r\n0\r\n\r\n")
    return False


@behaviour("huge-header")
async def huge_header(call: Call) -> bool:
    return await call.answer(headers=(("X-Huge", "x" * 200_000),))


@behaviour("switch")
async def switch(call: Call) -> bool:
    await call.write(head(101, (("Upgrade", "other"), ("Connection", "Upgrade"))))
    return False


@behaviour("interim-flood")
async def interim_flood(call: Call) -> bool:
    while True:
        await call.write(head(103))


@behaviour("close-without-answer")
async def close_without_answer(call: Call) -> bool:
    return False


@behaviour("reset-after-send")
async def reset_after_send(call: Call) -> bool:
    call.reset()
    return False


# ---- keep-alive -------------------------------------------------------------------------------
@behaviour("close")
async def close(call: Call) -> bool:
    await call.answer(body=b"bye", headers=(("Connection", "close"),))
    return False


@behaviour("close-keepalive")
async def close_keepalive(call: Call) -> bool:
    """Promise to keep the connection, and close it right after the answer."""
    await call.answer(body=b"bye")
    return False


@behaviour("close-on-next")
async def close_on_next(call: Call) -> bool:
    """Answer, then read the next request on this connection and close without a word."""
    return await call.answer(body=b"ok")


@behaviour("unasked")
async def unasked(call: Call) -> bool:
    """Answer, and send a second response that nobody asked for."""
    await call.answer(body=b"first")
    return await call.answer(body=b"SECOND")


@behaviour("early")
async def early(call: Call) -> bool:
    """Refuse an upload before reading it, then read and drop it, as a polite server does."""
    await call.answer(413, b"too large", (("Connection", "close"),))
    while call.unread > 0 and (data := await call.reader.read(65536)):
        call.unread -= len(data)
    return False


async def _main() -> None:
    parser = argparse.ArgumentParser(description="HTTP upstream that misbehaves as its path says")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options: Any = parser.parse_args()
    async with FaultServer(host=options.host, port=options.port) as server:
        print(json.dumps({"port": server.port}), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
