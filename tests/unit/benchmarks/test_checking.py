"""A fast error is not a result: what the load generator and the upstream take for right."""

from __future__ import annotations

import json

import pytest

from benchmarks import scenario
from benchmarks.callers import Callers, complaint, is_error
from benchmarks.orders import Outcome
from benchmarks.upstream import Counter, answer

REPLY = {"status_code": 200, "response": scenario.EXPECTED, "schema_valid": True, "attempts": []}


def encoded(**changes: object) -> bytes:
    return json.dumps({**REPLY, **changes}).encode()


def test_the_expected_result_is_right() -> None:
    assert complaint(encoded(), checked=True) == ""
    assert complaint(encoded(schema_valid=None), checked=False) == ""


@pytest.mark.parametrize(
    "payload",
    [
        encoded(status_code=500),
        encoded(schema_valid=False),
        encoded(schema_valid=None),
        encoded(response={**scenario.EXPECTED, "name": "Paris"}),
        encoded(response=None),
        b"{}",
        b"",
        b"not json",
    ],
)
def test_anything_else_is_wrong(payload: bytes) -> None:
    assert complaint(payload, checked=True)


def test_error_replies_and_missing_responders_are_errors() -> None:
    error = b"NATS/1.0\r\nNats-Service-Error-Code: 503\r\nNats-Service-Error: overloaded: x\r\n\r\n"
    nobody = b"NATS/1.0 503\r\n\r\n"
    traced = b"NATS/1.0\r\ntraceparent: 00-1-2-01\r\n\r\n"
    assert is_error(error + b"{}", len(error))
    assert is_error(nobody, len(nobody))
    assert not is_error(traced + encoded(), len(traced))
    assert not is_error(encoded(), 0)


class _Wire:
    """The transport of a connection: keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.mark.parametrize("size", [1, 7, 4096, 10**6])
def test_replies_are_read_however_the_bytes_arrive(size: int) -> None:
    # given a connection with two requests in flight, whose time is over
    callers, wire = Callers(), _Wire()
    callers.connection_made(wire)  # type: ignore[arg-type]
    callers._outcome, callers._sent, callers._open = Outcome(0.0, []), [0.0, 0.0], 2
    body, head = encoded(), b"NATS/1.0\r\nx: y\r\n\r\n"
    stream = (
        b'INFO {"max_payload":1}\r\nPING\r\n'
        + b"MSG inbox.0 1 %d\r\n%s\r\n" % (len(body), body)
        + b"HMSG inbox.1 1 %d %d\r\n%s\r\n" % (len(head), len(head) + len(body), head + body)
    )
    # when the server's bytes come in pieces
    for at in range(0, len(stream), size):
        callers.data_received(stream[at : at + size])
    # then both replies count and the ping is answered
    assert (len(callers._outcome.latencies), callers._outcome.errors, callers._open) == (2, 0, 0)
    assert b"PONG\r\n" in wire.written


def test_the_upstream_answers_the_one_request_and_counts_it() -> None:
    counter = Counter()
    line = f"GET {scenario.PATH}?q=London&units=metric HTTP/1.1\r\nHost: x\r\n"
    head = f"{line}X-API-Key: {scenario.API_KEY}"
    assert answer(head.encode(), counter).endswith(scenario.BODY)
    assert answer(head.lower().replace("get ", "GET ").replace("london", "London").encode(), counter).startswith(
        b"HTTP/1.1 200"
    )
    assert counter.answered == 2


@pytest.mark.parametrize(
    "head",
    [
        f"GET {scenario.PATH}?q=London&units=metric HTTP/1.1\r\nHost: x",
        f"GET {scenario.PATH}?q=London HTTP/1.1\r\nX-API-Key: {scenario.API_KEY}",
        f"POST {scenario.PATH}?q=London&units=metric HTTP/1.1\r\nX-API-Key: {scenario.API_KEY}",
        f"GET {scenario.PATH}?q=London&units=metric HTTP/1.1\r\nX-API-Key: {scenario.API_KEY}0",
    ],
)
def test_the_upstream_refuses_what_is_not_that_request(head: str) -> None:
    counter = Counter()
    assert answer(head.encode(), counter).startswith(b"HTTP/1.1 400")
    assert counter.answered == 0
