"""What the external system answered: decoded by what it says it is, and nothing invented."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.executor.domain.echoes import Hidden
from services.executor.domain.response import Decoded, decode_response, visible_headers
from services.executor.domain.schemas import SchemaCache, pack_schema
from services.executor.transport.interface import HttpResponse


def decoded(
    body: bytes, content_type: str | None = None, *, status: int = 200, schema: dict[str, Any] | None = None
) -> Decoded:
    headers = {} if content_type is None else {"content-type": content_type}
    packed = None if schema is None else pack_schema(schema)
    return decode_response(HttpResponse(status, headers, body), packed, SchemaCache())


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "value"),
    [
        (b'{"a":1}', "application/json", "json", {"a": 1}),
        (b'{"a":1}', "APPLICATION/JSON; charset=UTF-8", "json", {"a": 1}),
        (b" [1, 2]\n", "application/problem+json", "json", [1, 2]),
        (b"null", "application/json", "json", None),
        (b'"x"', "text/json", "json", "x"),
        (b'\xef\xbb\xbf{"a":1}', "application/json", "json", {"a": 1}),
        ('{"a":"é"}'.encode("utf-16"), "application/json", "json", {"a": "é"}),
        ('{"a":"é"}'.encode("latin-1"), "application/json; charset=latin-1", "json", {"a": "é"}),
        ('{"a":"é"}'.encode(), "application/json; charset=latin-1", "json", {"a": "é"}),
        ('{"a":"é"}'.encode(), "application/json; charset=nonsense", "json", {"a": "é"}),
        (b"123456789012345678901234567890", "application/json", "json", 123456789012345678901234567890),
        (b'{"a":1}', None, "json", {"a": 1}),
        (b"5", None, "text", "5"),
        (b"{not json", None, "text", "{not json"),
        (b"\x00\xff", None, "base64", "AP8="),
        ("é".encode(), "text/plain", "text", "é"),
        ("é".encode(), "text/plain; charset=utf-8", "text", "é"),
        ("é".encode("latin-1"), 'text/plain; charset="ISO-8859-1"', "text", "é"),
        ("é".encode("latin-1"), "text/plain", "base64", "6Q=="),
        ("é".encode("latin-1"), "text/plain; charset=utf-8", "base64", "6Q=="),
        ("é".encode(), "text/plain; charset=ascii", "text", "é"),
        ("é".encode(), "text/plain; charset=no-such-charset", "text", "é"),
        (b"abc", "text/plain; charset=hex", "text", "abc"),
        (b"\\x41", "text/plain; charset=unicode_escape", "text", "\\x41"),
        (b"+2AA-", "text/plain; charset=utf-7", "text", "+2AA-"),
        (b"a", "text/plain; charset=\0", "text", "a"),
        (b"<a/>", "application/xml", "text", "<a/>"),
        (b"<a/>", "application/atom+xml", "text", "<a/>"),
        (b"a,b", "application/vnd.ms-excel; charset=utf-8", "text", "a,b"),
        (b"%PDF", "application/pdf", "base64", "JVBERg=="),
        (b"plain", "application/octet-stream", "base64", "cGxhaW4="),
        (b"", "application/octet-stream", "json", None),
        (b"", None, "json", None),
    ],
)  # fmt: skip
def test_a_body_is_decoded_by_its_type(body: bytes, content_type: str | None, encoding: str, value: Any) -> None:
    found = decoded(body, content_type)
    assert (found.encoding, json.loads(found.value)) == (encoding, value)
    assert (found.schema_valid, found.schema_errors) == (None, ())


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"{", b"NaN", b"{'a': 1}", b'{"a":1}x', b"[1e999]", b'"\xff"', b'"\\ud800"', b"[" * 5000 + b"]" * 5000],
)
def test_json_that_is_none_is_told_and_handed_over(body: bytes) -> None:
    found = decoded(body, "application/json")
    text = json.loads(found.value)
    assert (text.encode() if found.encoding == "text" else base64.b64decode(text)) == body
    assert found.schema_valid is False
    assert "is not JSON" in found.schema_errors[0].problem


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_empty_json_response_is_null(status: int) -> None:
    found = decoded(b"", "application/json", status=status)
    assert (found.encoding, found.value, found.schema_valid) == ("json", b"null", None)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "list": {"items": {"type": "integer"}}},
}


@pytest.mark.parametrize(
    ("body", "content_type", "status", "valid", "path"),
    [
        (b'{"name":"x"}', "application/json", 200, True, None),
        (b'{"name":1}', "application/json", 200, False, "/name"),
        (b"{}", "application/json", 201, False, ""),
        (b'{"name":"x","list":[1,"a"]}', "application/json", 200, False, "/list/1"),
        (b'{"name":1}', "application/json", 404, None, None),
        (b'{"name":1}', "application/json", 500, None, None),
        (b"", "application/json", 200, False, ""),
        (b"", None, 204, None, None),
        (b"text", "text/plain", 200, False, ""),
        (b"\x00", "application/octet-stream", 200, False, ""),
    ],
)
def test_a_success_is_checked_against_its_schema(
    body: bytes, content_type: str | None, status: int, valid: bool | None, path: str | None
) -> None:
    found = decoded(body, content_type, status=status, schema=SCHEMA)
    assert found.schema_valid is valid
    assert [error.path for error in found.schema_errors] == ([] if path is None else [path])


def test_text_is_checked_as_a_string() -> None:
    assert decoded(b"pong", "text/plain", schema={"const": "pong"}).schema_valid is True


def test_schema_errors_are_few_short_and_quote_nothing() -> None:
    body = json.dumps([{"secret" * 200: "hunter2"}] * 100).encode()
    found = decoded(body, "application/json", schema={"items": {"additionalProperties": False}})
    assert len(found.schema_errors) == 20
    assert all(len(error.problem) <= 500 for error in found.schema_errors)
    assert "hunter2" not in str(found.schema_errors)


def test_json_text_is_handed_on_as_it_came() -> None:
    body = b'{ "b" : 1.10, "a":1, "a":2 }'
    assert decoded(body, "application/json").value == body


def test_headers_are_shown_without_cookies_framing_and_credentials() -> None:
    headers = {
        "content-type": "text/plain",
        "content-length": "3",
        "set-cookie": "session=1",
        "transfer-encoding": "chunked",
        "connection": "close",
        "keep-alive": "timeout=5",
        "location": "/next?appid=correct-horse",
        "x-request-id": "7",
    }
    assert visible_headers(headers, Hidden.of(("correct-horse",))) == {
        "content-type": "text/plain",
        "content-length": "3",
        "location": "/next?appid=[redacted]",
        "x-request-id": "7",
    }
