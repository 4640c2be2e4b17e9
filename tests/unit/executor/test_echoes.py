"""Credentials that an external system sends back: whoever may execute does not get to read them."""

from __future__ import annotations

import base64
import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.auth import Credentials, credentials_of
from services.executor.domain.echoes import Hidden
from services.executor.domain.plan import AuthPlan
from services.executor.domain.response import Decoded, decode_response, visible_headers
from services.executor.domain.schemas import SchemaCache, pack_schema
from services.executor.transport.interface import HttpResponse
from shared.security.redaction import REDACTED

KEY: Final = "k3y/with+odd=chars&more"
HIDDEN: Final = Hidden.of((KEY,))


def decode(body: bytes, content_type: str, schema: dict[str, Any] | None = None, hidden: Hidden = HIDDEN) -> Decoded:
    packed = None if schema is None else pack_schema(schema)
    return decode_response(HttpResponse(200, {"content-type": content_type}, body), packed, SchemaCache(), hidden)


def test_an_echo_in_json_is_redacted_and_the_rest_stays_as_it_was_written() -> None:
    body = b'{ "headers": {"X-Api-Key": "k3y/with+odd=chars&more"},\n  "price": 1.10, "big": 123456789012345678901 }'

    decoded = decode(body, "application/json")

    expected = b'{ "headers": {"X-Api-Key": "[redacted]"},\n  "price": 1.10, "big": 123456789012345678901 }'
    assert decoded.value == decoded.raw == expected


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(KEY)[1:-1],
        KEY.replace("/", "\\/"),
        KEY.replace("&", "\\u0026"),
        KEY.replace("+", "\\u002B").replace("&", "\\u0026"),
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        f"https://u:p@host/?key={quote(KEY)}&x=1",
    ],
)
def test_every_way_of_writing_it_counts(written: str) -> None:
    decoded = decode(f'{{"url": "{written}", "{written}": 1}}'.encode(), "application/json")

    shown = json.loads(decoded.raw)
    assert REDACTED in shown["url"]
    assert KEY not in json.dumps(shown)
    assert any(REDACTED in name for name in shown)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-32-be", "cp037"])
def test_an_echo_in_text_of_any_charset_is_redacted(charset: str) -> None:
    decoded = decode(f"key={KEY}.".encode(charset), f"text/plain; charset={charset}")

    assert (decoded.encoding, json.loads(decoded.value)) == ("text", f"key={REDACTED}.")
    assert decoded.raw.decode() == f"key={REDACTED}."


def test_an_echo_in_bytes_is_redacted() -> None:
    decoded = decode(b"\x00\xff" + KEY.encode(), "application/octet-stream")

    assert base64.b64decode(json.loads(decoded.value)) == decoded.raw == b"\x00\xff[redacted]"


def test_json_that_is_none_is_redacted_as_text() -> None:
    decoded = decode(f"{{{KEY}".encode(), "application/json")

    assert decoded.raw == b"{[redacted]"
    assert decoded.schema_valid is False


def test_the_schema_is_checked_against_what_is_answered() -> None:
    schema = {"properties": {"key": {"type": "string", "maxLength": 12}}}

    assert decode(json.dumps({"key": KEY}).encode(), "application/json", schema).schema_valid is True


def test_short_credentials_are_left_in_bodies_and_redacted_in_headers() -> None:
    hidden = Hidden.of(("short",))

    assert decode(b'"short cut"', "application/json", hidden=hidden).raw == b'"short cut"'
    assert visible_headers({"x-echo": "a short one", "date": "now"}, hidden) == {
        "x-echo": f"a {REDACTED} one",
        "date": "now",
    }


def test_an_encoded_echo_in_a_header_is_redacted() -> None:
    location = f"https://api.example.com/login?key={quote(KEY, safe='')}"

    assert visible_headers({"location": location}, HIDDEN) == {
        "location": f"https://api.example.com/login?key={REDACTED}"
    }


def test_nothing_is_hidden_without_credentials() -> None:
    assert Credentials().hidden.needles == ()
    assert decode(b'{"a": "b"}', "application/json", hidden=Credentials().hidden).raw == b'{"a": "b"}'


def test_what_basic_sends_is_hidden_as_pair_and_as_password() -> None:
    auth = AuthPlan("basic", ("username", "password"), "Authorization")
    hidden = credentials_of(auth, {"username": "ada", "password": "correct-horse"}).hidden

    pair = base64.b64encode(b"ada:correct-horse").decode()
    body = json.dumps({"sent": f"Basic {pair}", "password": "correct-horse", "user": "ada"}).encode()
    assert json.loads(decode(body, "application/json", hidden=hidden).raw) == {
        "sent": f"Basic {REDACTED}",
        "password": REDACTED,
        "user": "ada",
    }


texts = st.text(max_size=5) | st.sampled_from([KEY, f"x{KEY}y"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(values, st.booleans())
def test_json_stays_json_without_the_credential(value: Any, ascii_only: bool) -> None:
    decoded = decode(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), "application/json")

    if decoded.encoding == "json":
        assert json.loads(decoded.value) == json.loads(json.dumps(value).replace(KEY, REDACTED))
    assert KEY.encode() not in decoded.raw
