"""What a reply becomes in the caller's hands."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from dibop.errors import BrokenReplyError, UpstreamStatusError
from dibop.execution import Execution, build, decode_reply, join_parts, parts_of
from shared.contracts.execution import ResponseBody


def raw_reply(**changes: Any) -> bytes:
    reply = {
        "request_id": "r-1",
        "connector": "weather",
        "version": "1.0.0",
        "operation": "now",
        "connection": "default",
        "status_code": 200,
        "headers": {"content-type": "application/json"},
        "response": {"temp": 11.4},
        "response_encoding": "json",
        "duration_ms": 2.5,
        "attempts": [{"status_code": 200, "duration_ms": 2.0, "waited_ms": 0.0}],
        "retry_stopped": None,
        "schema_valid": True,
        "schema_errors": [],
    }
    return msgspec.json.encode(reply | changes)


def result_of(raw: bytes, whole: bytes | None = None) -> Execution:
    return build(raw, decode_reply(raw), whole)


def chunked(whole: bytes, encoding: str) -> bytes:
    body = {
        "id": "b-1",
        "size": len(whole),
        "sha256": hashlib.sha256(whole).hexdigest(),
        "chunks": 2,
        "inner_encoding": encoding,
    }
    return raw_reply(response=None, response_encoding="chunks", response_body=body)


def test_a_result_is_typed_and_keeps_the_reply_as_it_came() -> None:
    raw = raw_reply()

    result = result_of(raw)

    assert result.ok
    assert result.response == {"temp": 11.4}
    assert result.attempts[0].status_code == 200
    assert result.retry_after_ms is None
    assert result.raw == raw
    assert result.raise_for_status() is result


def test_an_error_status_is_a_result_until_it_is_asked_to_raise() -> None:
    result = result_of(raw_reply(status_code=404))

    assert not result.ok
    with pytest.raises(UpstreamStatusError, match=r"weather\.now was answered with status 404") as caught:
        result.raise_for_status()
    assert caught.value.execution is result


def test_a_redirect_is_neither_ok_nor_an_error() -> None:
    result = result_of(raw_reply(status_code=302))

    assert not result.ok
    assert result.raise_for_status() is result


def test_base64_becomes_bytes_and_back() -> None:
    result = result_of(raw_reply(response="AAEC", response_encoding="base64"))

    assert result.response == b"\x00\x01\x02"
    assert result.portable_response() == "AAEC"


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert result_of(raw_reply(colour="blue")).status_code == 200


@pytest.mark.parametrize(
    ("whole", "encoding", "expected"),
    [
        (b'{"a": 1}', "json", {"a": 1}),
        ("gr\u00fcn".encode(), "text", "gr\u00fcn"),
        (b"\xff\x00", "base64", b"\xff\x00"),
    ],
)
def test_a_response_in_parts_is_decoded_as_its_inner_encoding_says(
    whole: bytes, encoding: str, expected: object
) -> None:
    assert result_of(chunked(whole, encoding), whole).response == expected


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b"{}", raw_reply(status_code="200")])
def test_what_is_no_reply_is_refused(raw: bytes) -> None:
    with pytest.raises(BrokenReplyError, match="not an execution reply"):
        decode_reply(raw)


def test_chunks_without_a_place_are_refused() -> None:
    with pytest.raises(BrokenReplyError, match="does not say where"):
        parts_of(decode_reply(raw_reply(response=None, response_encoding="chunks")))


def test_a_response_that_is_not_what_the_reply_says_is_refused() -> None:
    with pytest.raises(BrokenReplyError, match="cannot be read as the reply says"):
        result_of(chunked(b"{", "json"), b"{")


def test_parts_are_joined_only_when_they_are_the_body_that_was_promised() -> None:
    body = ResponseBody("b-1", 4, hashlib.sha256(b"abcd").hexdigest(), 2, "text")

    assert join_parts(body, [b"ab", b"cd"]) == b"abcd"
    for parts in ([b"ab"], [b"ab", b"cx"]):
        with pytest.raises(BrokenReplyError, match="do not add up"):
            join_parts(body, parts)
