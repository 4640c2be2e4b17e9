"""The tree of errors, and what a problem document becomes in it."""

from __future__ import annotations

import re

import pytest

from dibop import errors
from shared.contracts.errors import CATALOGUE, DibopError


def test_every_code_of_the_catalogue_has_its_class() -> None:
    assert set(errors.BY_CODE) == set(CATALOGUE)


def test_the_tree_in_the_documentation_names_every_class_and_code() -> None:
    documented = errors.__doc__ or ""

    for code, kind in errors.BY_CODE.items():
        line = next(line for line in documented.splitlines() if kind.__name__ in line)
        assert re.search(rf"(?:^|[ ,]){code}|-{code.partition('-')[2]}(?:,|$)", line), (code, line)


def test_a_problem_document_becomes_its_class_with_all_it_says() -> None:
    answered = DibopError(
        "rate-limited", "Wait.", retry_after_ms=900, outcome="not_sent", errors=[{"name": "q"}], request_id="r-1"
    )

    error = errors.from_problem(answered.to_problem())

    assert isinstance(error, errors.BusyError)
    assert error.retryable
    assert (error.code, error.detail, error.retry_after_ms) == ("rate-limited", "Wait.", 900)
    assert (error.outcome, error.errors, error.request_id) == ("not_sent", ({"name": "q"},), "r-1")


def test_a_code_of_a_later_version_is_an_internal_error_that_names_it() -> None:
    error = errors.from_problem({"type": "urn:dibop:error:brand-new", "detail": "Something."})

    assert isinstance(error, errors.InternalError)
    assert "brand-new" in error.detail


@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        (errors.NoServiceError, "no-service", True),
        (errors.ReplyTimeoutError, "no-reply", False),
        (errors.BusUnreachableError, "bus-unreachable", True),
        (errors.ContextError, "no-context", False),
        (errors.BrokenReplyError, "broken-reply", False),
        (errors.LocalStackError, "stack-failed", False),
    ],
)
def test_failures_on_this_side_have_codes_of_their_own(
    kind: type[errors.LocalError], code: str, retryable: bool
) -> None:
    error: DibopError = kind("What happened.", request_id="r-1")

    assert str(error) == f"{code}: What happened."
    assert error.retryable is retryable
    assert error.kind.next_step
    assert error.to_problem()["status"] == error.status
