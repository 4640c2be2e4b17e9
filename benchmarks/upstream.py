"""The external system: an HTTP/1.1 server on one uvloop protocol, so small that it is never the bottleneck.

It answers the one request of the scenario, and nothing else: a missing parameter or key is a 400. `GET /count`
tells how many right requests it has answered. Prints its port when it listens; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

from benchmarks import scenario

_OK: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(scenario.BODY)
) + scenario.BODY
_BAD: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_PATH: Final = f"GET {scenario.PATH}?".encode()
_QUERY: Final = tuple(f"{name}={value}".encode() for name, value in scenario.PARAMETERS.items())
_KEY: Final = f"{scenario.API_KEY_HEADER}: {scenario.API_KEY}\r\n".encode()


class Counter:
    """How many right requests were answered, over all connections."""

    answered = 0


def answer(head: bytes, counter: Counter) -> bytes:
    """The response to one request head, without its final empty line."""
    line, _, fields = head.partition(b"\r\n")
    if line.startswith(_PATH) and _has_key(fields + b"\r\n") and all(part in line for part in _QUERY):
        counter.answered += 1
        return _OK
    if line.startswith(b"GET /count "):
        body = b"%d" % counter.answered
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    return _BAD


def _has_key(fields: bytes) -> bool:
    return _KEY in fields or _KEY.lower() in fields.lower()


class _Protocol(asyncio.Protocol):
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._buffer = (self._buffer + data).split(_HEAD_END)
        if heads:
            self._transport.write(b"".join(answer(head, self._counter) for head in heads))


async def _serve() -> None:
    counter = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Protocol(counter), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
