"""Documents: which can be saved, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.domain.templates import digest, require_valid, review, shown
from shared.contracts.commands import TemplateProblem
from shared.contracts.errors import DibopError
from shared.contracts.template import MAX_TEMPLATE_BYTES
from tests.support.connectors import document, operation


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize("number", [2**53, -(2**60), float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused_with_their_place(number: float) -> None:
    with pytest.raises(DibopError) as refused:
        digest("weather", document(operations=[operation("now", sample={"q": number})]))

    assert refused.value.code == "invalid-request"
    assert refused.value.errors[0]["path"] == "/operations/0/sample/q"


def test_a_document_over_the_limit_is_refused_with_the_limit() -> None:
    with pytest.raises(DibopError, match="1,572,864 bytes") as refused:
        digest("weather", document(description="x" * MAX_TEMPLATE_BYTES))

    assert refused.value.code == "invalid-request"


@pytest.mark.parametrize("levels", [100, 50_000])
def test_a_document_nested_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(DibopError, match="64 levels"):
        digest("weather", nested(levels))


def test_a_document_of_another_slug_has_an_error_there() -> None:
    errors, _ = review("weather", document("forecast"))

    assert [(e.path, "'forecast'" in e.problem) for e in errors] == [("/slug", True)]


def test_a_slug_made_from_the_name_must_agree_too() -> None:
    errors, _ = review("forecast", document(slug=None))

    assert [e.path for e in errors] == ["/name"]
    assert review("weather", document(slug=None))[0] == []


def test_an_empty_document_has_errors_and_no_more_than_that() -> None:
    errors, _ = review("weather", {})

    assert errors


def test_a_valid_document_is_a_template() -> None:
    assert require_valid("weather", document()).name == "Weather"


def test_an_invalid_document_is_refused_with_all_errors() -> None:
    with pytest.raises(DibopError) as refused:
        require_valid("weather", document("forecast", base_url=None, auth_type="magic"))

    assert refused.value.code == "invalid-template"
    assert {"/slug", "/auth_type"} <= {error["path"] for error in refused.value.errors}
    assert len(refused.value.errors) == 3


def test_an_answer_lists_a_bounded_number_of_problems() -> None:
    problems = [TemplateProblem(path=f"/{n}", problem="p", mend="m") for n in range(500)]

    listed = shown(problems)

    assert len(listed) == 201
    assert "300 more" in listed[-1].problem
