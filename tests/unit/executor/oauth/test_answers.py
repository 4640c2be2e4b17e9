"""What answers of token endpoints mean, the proper ones and the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.oauth import DEFAULT_LIFETIME, MAX_LIFETIME
from services.executor.oauth.answers import Granted, RefusedError, UnreadableError, lifetime, read_answer

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def told(granted: Granted) -> tuple[str, float, str | None, str | None]:
    return granted.access_token, granted.lifetime, granted.refresh_token, granted.scopes


def answer(status: int = 200, **fields: Any) -> Granted:
    return read_answer(status, JSON, json.dumps(fields).encode())


def test_a_proper_answer_is_read() -> None:
    granted = answer(access_token="a", token_type="Bearer", expires_in=60, refresh_token="r", scope="read write")
    assert granted == Granted("a", 60.0, "r", "read write", stated=60.0)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600.0),
        (1.5, 1.5),
        ("120", 120.0),
        (" 90 ", 90.0),
        (10**9, MAX_LIFETIME),
        (None, DEFAULT_LIFETIME),
        (0, DEFAULT_LIFETIME),
        (-1, DEFAULT_LIFETIME),
        ("-5", DEFAULT_LIFETIME),
        ("soon", DEFAULT_LIFETIME),
        ("", DEFAULT_LIFETIME),
        (True, DEFAULT_LIFETIME),
        ([60], DEFAULT_LIFETIME),
        ({}, DEFAULT_LIFETIME),
        ("nan", DEFAULT_LIFETIME),
        ("inf", DEFAULT_LIFETIME),
        ("1e999", DEFAULT_LIFETIME),
        (10**400, DEFAULT_LIFETIME),
    ],
)
def test_a_lifetime_is_what_makes_sense(expires_in: Any, seconds: float) -> None:
    assert lifetime(expires_in) == seconds


@pytest.mark.parametrize(
    ("expires_in", "stated"), [(10**9, 1e9), ("90", 90.0), (0, None), ("never", None), (None, None)]
)
def test_what_the_endpoint_states_is_kept_beside_what_is_used(expires_in: Any, stated: float | None) -> None:
    assert answer(access_token="a", expires_in=expires_in).stated == stated


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "BearerToken", "", None])
def test_bearer_tokens_are_known_by_many_names(token_type: str | None) -> None:
    assert answer(access_token="a", token_type=token_type).access_token == "a"


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "N_A"])
def test_other_tokens_cannot_be_sent(token_type: str) -> None:
    with pytest.raises(UnreadableError, match=token_type):
        answer(access_token="a", token_type=token_type)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\r\nX: y", "é", 5, None, ["a"], "x" * 20_000])
def test_a_token_that_no_header_can_carry_is_none(token: Any) -> None:
    with pytest.raises(UnreadableError, match="no access_token"):
        answer(access_token=token)
    assert answer(access_token="a", refresh_token=token).refresh_token is None


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=utf-8", "text/plain"])
def test_a_form_is_understood(content_type: str) -> None:
    granted = read_answer(200, content_type, b"access_token=a&expires_in=60&scope=read")
    assert told(granted) == ("a", 60.0, None, "read")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>"),
        (JSON, b"[1]"),
        (JSON, b'"a"'),
        (JSON, b""),
        (JSON, b"\xff"),
        (FORM, b"a=b"),
        ("", b"x"),
    ],
)
def test_what_is_neither_json_nor_a_form_is_told(content_type: str, body: bytes) -> None:
    with pytest.raises(UnreadableError, match="neither JSON nor a form"):
        read_answer(200, content_type, body)


@pytest.mark.parametrize(
    ("status", "fields", "error", "description"),
    [
        (400, {"error": "invalid_grant", "error_description": "Gone."}, "invalid_grant", "Gone."),
        (401, {"error": "invalid_client"}, "invalid_client", ""),
        (403, {"error": "access_denied", "error_description": ["x"]}, "access_denied", ""),
        (200, {"error": "bad_code", "error_description": "Old"}, "bad_code", "Old"),
        (400, {"error": {"message": "Bad", "type": "OAuthException"}}, "OAuthException", "Bad"),
        (401, {}, "status 401", "no reason in the form that OAuth2 has for it"),
    ],
)
def test_a_refusal_is_told_in_the_endpoints_words(
    status: int, fields: dict[str, Any], error: str, description: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        answer(status, **fields)
    assert (caught.value.error, caught.value.description) == (error, description)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (500, {"error": "server_error"}),
        (503, {"error": "invalid_client"}),
        (400, {"error": "temporarily_unavailable"}),
        (429, {"error": "slow_down"}),
        (404, {}),
        (302, {}),
        (204, {}),
    ],
)
def test_what_may_pass_is_no_refusal(status: int, fields: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        answer(status, **fields)


def test_what_is_told_is_short_printable_and_without_secrets() -> None:
    description = "bad\r\nsecret hunter2-hunter2 \x1b[31m" + "x" * 1000
    body = json.dumps({"error": "invalid_client", "error_description": description}).encode()
    with pytest.raises(RefusedError) as caught:
        read_answer(400, JSON, body, secrets=("hunter2-hunter2",))
    said = caught.value.description
    assert said.isprintable()
    assert len(said) <= 300
    assert "hunter2" not in said


@given(
    status=st.integers(100, 599),
    content_type=st.sampled_from([JSON, FORM, "text/html", ""]),
    body=st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["access_token", "expires_in", "token_type", "error", "error_description", "scope"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=5,
            ),
        ).map(lambda fields: json.dumps(fields).encode()),
    ),
)
def test_no_answer_breaks_the_reader(status: int, content_type: str, body: bytes) -> None:
    try:
        granted = read_answer(status, content_type, body)
    except (RefusedError, UnreadableError):
        return
    assert granted.access_token.isascii()
    assert 0 < granted.lifetime <= MAX_LIFETIME
