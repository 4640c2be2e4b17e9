"""Error replies: one form, whoever answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from shared.contracts.errors import DibopError
from shared.messaging.replies import MAX_REPLY_BYTES, as_dibop_error, encode_reply, problem_bytes, request_id_of
from shared.security.redaction import keep_out


def test_an_error_reply_has_the_micro_headers_and_the_request_id() -> None:
    body, headers = problem_bytes(DibopError("not-found", "No such draft."), "r-1")

    assert headers == {
        "Nats-Service-Error": "not-found: Not found",
        "Nats-Service-Error-Code": "404",
        "Dibop-Request-Id": "r-1",
        "content-type": "application/problem+json",
    }
    assert json.loads(body) == {
        "type": "urn:dibop:error:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "No such draft.",
        "request_id": "r-1",
    }


@pytest.mark.parametrize("problem", ["short", "x" * 100_000])
def test_an_error_reply_always_fits(problem: str) -> None:
    errors = [{"path": f"/{number}", "problem": problem} for number in range(50_000 if problem == "short" else 50)]

    body, _ = problem_bytes(DibopError("invalid-template", "Not valid.", errors=errors), "r-1")

    assert len(body) <= MAX_REPLY_BYTES
    assert json.loads(body)["status"] == 422


def test_a_bug_is_told_by_its_request_id_and_not_by_its_message() -> None:
    error = as_dibop_error(ValueError("password is hunter2"), "r-1")

    assert error.code == "internal"
    assert "r-1" in error.detail
    assert "hunter2" not in error.detail


def test_an_error_of_the_catalogue_stays_itself() -> None:
    error = DibopError("conflict", "Changed.")

    assert as_dibop_error(error, "r-1") is error


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"Dibop-Request-Id": "abc-1"}, True),
        ({"Dibop-Request-Id": "a b"}, False),
        ({"Dibop-Request-Id": "a\nb"}, False),
        ({"Dibop-Request-Id": "x" * 129}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_request_id_is_echoed_when_it_can_be(headers: dict[str, str] | None, kept: bool) -> None:
    request_id = request_id_of(headers)

    assert (request_id == (headers or {}).get("Dibop-Request-Id")) is kept
    assert request_id


class Model(BaseModel):
    a: int = 1


class Struct(msgspec.Struct):
    a: int = 1


@pytest.mark.parametrize("reply", [Model(), Struct(), {"a": 1}])
def test_models_structs_and_mappings_are_replies(reply: Any) -> None:
    assert json.loads(encode_reply(reply)) == {"a": 1}


def test_a_reply_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(DibopError, match="smaller limit"):
        encode_reply({"a": "x" * MAX_REPLY_BYTES})


def test_an_error_that_quotes_half_a_character_is_answered_all_the_same() -> None:
    error = DibopError("invalid-parameters", "no \ud800", errors=[{"name": "\udc00", "problem": "x", "allowed": "y"}])

    problem = json.loads(problem_bytes(error, "r")[0])

    assert (problem["detail"], problem["errors"][0]["name"]) == ("no ?", "?")


def test_an_error_holds_no_secret_that_its_task_works_with() -> None:
    keep_out(("hunter2/000",))
    error = DibopError(
        "upstream-timeout",
        "It said hunter2%2F000.",
        errors=[{"problem": "hunter2/000", "allowed": "Bearer abc.def.123"}],
    )

    body, _ = problem_bytes(error, "r")

    assert b"hunter2" not in body
    assert b"abc.def" not in body
