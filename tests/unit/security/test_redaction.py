"""What is taken out of everything that leaves a process."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security.redaction import (
    REDACTED,
    at_hand,
    forms,
    hide,
    hide_bytes,
    keep_out,
    keep_out_too,
    names_secret,
    needles,
    redacted,
)

PEM: Final = "PRIVATE " + "KEY"
SECRET: Final = 'tr0ub4dor & "3"/é+'


def test_every_form_of_a_secret_is_found() -> None:
    raw = SECRET.encode()
    for text in (
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        json.dumps(SECRET),
        json.dumps(SECRET).replace("/", "\\/"),
        json.dumps(SECRET, ensure_ascii=False).replace("&", "\\u0026"),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        repr(SECRET),
    ):
        assert REDACTED in hide(f"before {text} after", (SECRET,)), text
        assert REDACTED.encode() in hide_bytes(text.encode(), needles((SECRET,))), text


def test_short_values_stand_in_too_many_words() -> None:
    assert hide("a cat sat", ("cat",)) == "a cat sat"
    assert hide("a catalogue", ("cata",)) == f"a {REDACTED}logue"
    assert needles(("sevench",)) == ()


def test_bytes_without_a_secret_are_not_copied() -> None:
    body = b"x" * 1000
    assert hide_bytes(body, needles((SECRET,))) is body


@given(st.text(st.characters(codec=None), min_size=4, max_size=20), st.text(max_size=10))
def test_no_form_is_left(secret: str, around: str) -> None:
    assert secret not in hide(around + secret + around, (secret,)).replace(REDACTED, "")
    assert all(len(form) >= 4 for form in forms(secret))


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "Set-Cookie",
        "x-api-key",
        "apiKey",
        "API_KEY",
        "password",
        "secret",
        "token",
        "client_secret",
        "refresh_token",
        "accessToken",
        "code",
        "code_verifier",
        "seed",
        "creds",
        "private_key",
        "client_assertion",
        "DIBOP_NATS_SEED",
        "jwt",
        "sealed",
        "signing_key",
        "auth",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "token_file",
        "token_url",
        "status_code",
        "error_code",
        "keys",
        "kid",
        "key",
        "operation",
        "author",
        "authority",
        "public_key",
        "seal_key_file",
        "credentials_count",
        "decoded",
        "connection",
        "auth_type",
        "token_auth_method",
        "barcode",
        "seeding",
    ],
)
def test_names_that_only_tell_of_secrets(name: str) -> None:
    assert not names_secret(name)


def test_a_code_of_the_catalogue_is_no_authorization_code() -> None:
    assert redacted({"code": "rate-limited"}) == {"code": "rate-limited"}
    assert redacted({"code": "4/0AX4XfWh"}) == {"code": REDACTED}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer mF_9.B5f-4.1JqM", f"Authorization: Bearer {REDACTED}"),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", f"Basic {REDACTED}"),
        ("at eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln end", f"at {REDACTED} end"),
        ("redis://:hunter2@cache:6379/0", f"redis://:{REDACTED}@cache:6379/0"),
        ("postgresql+asyncpg://me:hunter2@db/x", f"postgresql+asyncpg://me:{REDACTED}@db/x"),
        ("GET /cb?code=4/0AX&state=1", f"GET /cb?code={REDACTED}&state=1"),
        ("grant=x&client_secret=abc&y=1", f"grant=x&client_secret={REDACTED}&y=1"),
        ("SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4", REDACTED),
        (f"-----BEGIN {PEM}-----\nMC4CAQ\n-----END {PEM}----- x", f"{REDACTED} x"),
        (f"-----BEGIN EC {PEM}-----\ncut off", REDACTED),
    ],
)
def test_what_looks_like_a_secret(text: str, shown: str) -> None:
    assert hide(text, ()) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Send 'Bearer <token>'.",
        "basic authentication",
        "Bearer authentication",
        "http://127.0.0.1:8080/a?page=2",
        "key=weather",
        "S3 bucket",
    ],
)
def test_what_does_not(text: str) -> None:
    assert hide(text, ()) == text


class Struct(msgspec.Struct):
    token: str
    name: str


@dataclass
class Data:
    password: str
    inner: Struct


class Loud:
    def __str__(self) -> str:
        return "loud hunter2000"


def test_anything_becomes_plain_data() -> None:
    value = {
        "a": Data("x", Struct("y", "hunter2000")),
        "b": [b"hunter2000\xff", ("hunter2000",), Loud()],
        "c": 3.5,
        "d": None,
        "hunter2000": True,
        1: 2,
    }

    assert redacted(value, secrets=("hunter2000",)) == {
        "a": {"password": REDACTED, "inner": {"token": REDACTED, "name": REDACTED}},
        "b": [f"{REDACTED}\\xff", [REDACTED], f"loud {REDACTED}"],
        "c": 3.5,
        "d": None,
        REDACTED: True,
        "1": 2,
    }


def test_a_number_that_is_a_secret() -> None:
    assert redacted({"n": 12345678, "m": 5}, secrets=("12345678",)) == {"n": REDACTED, "m": 5}


def test_nesting_ends() -> None:
    value: Any = "x"
    for _ in range(5000):
        value = [value]

    assert "…" in json.dumps(redacted(value), ensure_ascii=False)


async def test_each_task_keeps_its_own_secrets() -> None:
    async def work(secret: str) -> str:
        keep_out((secret,))
        await asyncio.sleep(0)
        return hide("first-one second-one")

    first, second = await asyncio.gather(
        asyncio.create_task(work("first-one")), asyncio.create_task(work("second-one"))
    )

    assert (first, second) == (f"{REDACTED} second-one", f"first-one {REDACTED}")
    assert at_hand() == ()


async def test_what_is_added_is_bounded() -> None:
    keep_out(("first",))
    keep_out_too("first", "second")
    assert at_hand() == ("first", "second")
    for number in range(100):
        keep_out_too(f"secret-{number}")
    assert len(at_hand()) == 64
    assert at_hand()[-1] == "secret-99"
