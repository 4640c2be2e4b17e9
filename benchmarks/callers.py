"""The callers of the executor: a load generator that speaks NATS by itself, so that it costs next to nothing.

`python -m benchmarks.callers HOST PORT` answers orders on standard input. It knows only the documented wire
contract: a request with headers, and a reply that is a result or an error.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from typing import Any, Final, cast

import msgspec
import uvloop

from benchmarks import scenario
from benchmarks.orders import Order, Outcome, serve

_HEADERS: Final = b"NATS/1.0\r\nDibop-Deadline-Ms: 20000\r\n\r\n"
_PAYLOAD: Final = json.dumps({"parameters": scenario.PARAMETERS}).encode()
_PATIENCE_SECONDS: Final = 25.0
_CRLF: Final = b"\r\n"


class _Result(msgspec.Struct):
    status_code: int
    response: Any
    schema_valid: bool | None


_DECODE_RESULT: Final = msgspec.json.Decoder(_Result).decode


def is_error(message: bytes, head_size: int) -> bool:
    """True for an error reply, and for the server's own answer that nobody serves the subject."""
    return head_size > 0 and (head_size == len(message) or b"Nats-Service-Error" in message[:head_size])


def complaint(payload: bytes, *, checked: bool) -> str:
    """What is wrong with a result's body, or nothing. `checked` says whether the operation has a response schema."""
    try:
        result = _DECODE_RESULT(payload)
    except msgspec.DecodeError as error:
        return f"not a result: {error}: {payload[:200]!r}"
    if result.status_code == 200 and result.response == scenario.EXPECTED and result.schema_valid is (checked or None):
        return ""
    return f"not the expected result: {payload[:300]!r}"


class Callers(asyncio.Protocol):
    """One connection to NATS; each of its slots has at most one request in flight."""

    def __init__(self) -> None:
        self._inbox = f"_INBOX.{scenario.ENTERPRISE}.{secrets.token_hex(6)}"
        self._buffer = b""
        self._sent: list[float] = []
        self._requests: list[bytes] = []
        self._open = 0
        self._until = 0.0
        self._checked = True
        self._outcome = Outcome(0.0, [])
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "benchmark"}
        self._transport.write(b"CONNECT %s\r\nSUB %s.* 1\r\n" % (json.dumps(options).encode(), self._inbox.encode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionError("the NATS server closed the connection"))

    async def run(self, order: Order) -> Outcome:
        """Keep the order's number of requests in flight; a reply that is missing ends the run with an error."""
        subject = f"exec.v1.{scenario.ENTERPRISE}.{scenario.CONNECTOR}.{order.operation}"
        sizes = f"{len(_HEADERS)} {len(_HEADERS) + len(_PAYLOAD)}"
        self._requests = [
            f"HPUB {subject} {self._inbox}.{slot} {sizes}\r\n".encode() + _HEADERS + _PAYLOAD + _CRLF
            for slot in range(order.concurrency)
        ]
        self._checked = order.operation != scenario.UNCHECKED_OPERATION
        self._outcome = Outcome(0.0, [])
        self._done = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._until = started + order.seconds
        self._sent = [started] * order.concurrency
        self._open = order.concurrency
        self._transport.write(b"".join(self._requests))
        async with asyncio.timeout(order.seconds + _PATIENCE_SECONDS):
            await self._done
        self._outcome.seconds = time.perf_counter() - started
        return self._outcome

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        at = 0
        out: list[bytes] = []
        while (end := buffer.find(_CRLF, at)) >= 0:
            line = buffer[at:end]
            if line.startswith((b"MSG", b"HMSG")):
                words = line.split(b" ")
                head_size = int(words[-2]) if line.startswith(b"H") else 0
                finish = end + 2 + int(words[-1])
                if len(buffer) < finish + 2:
                    break
                self._reply(int(words[1].rpartition(b".")[2]), buffer[end + 2 : finish], head_size, out)
                at = finish + 2
                continue
            if line == b"PING":
                out.append(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionError(line.decode())
            at = end + 2
        self._buffer = buffer[at:]
        if out:
            self._transport.write(b"".join(out))

    def _reply(self, slot: int, message: bytes, head_size: int, out: list[bytes]) -> None:
        now = time.perf_counter()
        problem = (
            f"an error: {message[:400]!r}"
            if is_error(message, head_size)
            else complaint(message[head_size:], checked=self._checked)
        )
        if problem:
            self._outcome.errors += 1
            self._outcome.first_error = self._outcome.first_error or problem
        else:
            self._outcome.latencies.append(now - self._sent[slot])
        if now < self._until:
            self._sent[slot] = time.perf_counter()
            out.append(self._requests[slot])
            return
        self._open -= 1
        if self._open == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def connect() -> Callers:
            _, callers = await asyncio.get_running_loop().create_connection(Callers, host, port)
            return callers

        callers = runner.run(connect())
        serve(lambda order: runner.run(callers.run(order)))


if __name__ == "__main__":
    main()
