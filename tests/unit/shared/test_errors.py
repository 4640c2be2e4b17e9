"""The error catalogue and its RFC 9457 form."""

from typing import get_args

import pytest

from shared.contracts.errors import CATALOGUE, ERROR_CODE_HEADER, ERROR_HEADER, DibopError, ErrorCode
from shared.contracts.execution import Attempt


def test_every_code_has_a_row_and_every_row_speaks_in_sentences() -> None:
    assert set(CATALOGUE) == set(get_args(ErrorCode))
    for kind in CATALOGUE.values():
        assert 400 <= kind.status <= 599
        assert kind.title
        assert not kind.title.endswith(".")
        assert kind.when.endswith(".")
        assert kind.next_step.endswith(".")


def test_headers_carry_the_status_as_digits_and_the_code_with_its_title() -> None:
    headers = DibopError("invalid-parameters", "q is missing").headers()

    assert headers == {
        ERROR_HEADER: "invalid-parameters: The parameters are not valid",
        ERROR_CODE_HEADER: "422",
    }


def test_a_problem_survives_the_way_over_the_bus() -> None:
    sent = DibopError(
        "upstream-timeout",
        "api.example.com did not answer within 2 s.",
        outcome="unknown",
        retry_after_ms=40,
        attempts=[Attempt(duration_ms=2000.0, waited_ms=0.0, error="upstream-timeout")],
        errors=[{"name": "q", "problem": "is missing"}],
    )

    got = DibopError.from_problem(sent.to_problem("r-1"))

    assert (got.code, got.status, got.detail) == ("upstream-timeout", 504, sent.detail)
    assert (got.outcome, got.retry_after_ms, got.request_id) == ("unknown", 40, "r-1")
    assert got.errors == ({"name": "q", "problem": "is missing"},)
    assert got.attempts == ({"duration_ms": 2000.0, "waited_ms": 0.0, "error": "upstream-timeout"},)


def test_members_that_say_nothing_are_left_out() -> None:
    assert set(DibopError("not-found", "No draft.").to_problem("r")) == {
        "type",
        "title",
        "status",
        "detail",
        "request_id",
    }


@pytest.mark.parametrize("problem", [{}, {"type": "urn:other:x", "detail": "strange"}, {"type": 7, "title": None}])
def test_a_problem_that_is_not_ours_becomes_internal(problem: dict[str, object]) -> None:
    error = DibopError.from_problem(problem)

    assert error.code == "internal"
    assert error.detail


def test_only_what_cannot_have_happened_is_retryable() -> None:
    assert {code for code, kind in CATALOGUE.items() if kind.retryable} == {
        "rate-limited",
        "circuit-open",
        "overloaded",
        "upstream-unreachable",
        "deadline-exceeded",
    }
