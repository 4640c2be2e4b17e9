"""How the harness and its child processes talk: one JSON line asks for a run, one answers with what it gave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import msgspec


class Order(msgspec.Struct, frozen=True):
    """Keep `concurrency` requests in flight for `seconds`, then wait for the last of them."""

    concurrency: int
    seconds: float
    operation: str


class Outcome(msgspec.Struct):
    """What a run gave. A reply that is not the expected one is an error, and no latency of it is kept."""

    seconds: float
    """From the first request to the last reply."""
    latencies: list[float]
    """Seconds, one for each right reply."""
    errors: int = 0
    first_error: str = ""


_DECODE_ORDER: Final = msgspec.json.Decoder(Order).decode
DECODE_OUTCOME: Final = msgspec.json.Decoder(Outcome).decode


def serve(run: Callable[[Order], Outcome]) -> None:
    """Say that this process is ready, then answer orders from standard input until it ends."""
    _say(b"ready")
    for line in sys.stdin.buffer:
        _say(msgspec.json.encode(run(_DECODE_ORDER(line))))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
