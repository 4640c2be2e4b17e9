"""Checks against schemas take a bounded time and memory, whatever the external system sends."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from services.executor.domain import schemas as module
from services.executor.domain.response import decode_response
from services.executor.domain.schemas import SchemaCache, TooMuchToCheck, pack_schema
from services.executor.transport.interface import HttpResponse
from tests.unit.contracts.template.test_schema_cost import chain

BRANCHES = {"items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}
GENEROUS_SECONDS = 20.0


def errors(schema: dict[str, Any], instance: Any) -> list[tuple[str, str]]:
    return [(error.path, error.problem) for error in SchemaCache().errors(pack_schema(schema), instance)]


def test_a_small_instance_has_all_its_errors_told() -> None:
    assert [path for path, _ in errors(BRANCHES, [1, "a", 2])] == ["/0", "/2"]


def test_of_a_large_instance_the_first_error_is_told() -> None:
    began = time.monotonic()
    found = errors({"items": {"type": "string"}}, [1] * 500_000)

    assert [path for path, _ in found] == ["/0"]
    assert time.monotonic() - began < GENEROUS_SECONDS


@pytest.mark.parametrize(
    "schema", [BRANCHES, {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "object"}}]}]
)
def test_of_a_large_instance_with_branches_no_place_is_told(schema: dict[str, Any]) -> None:
    began = time.monotonic()
    [(path, problem)] = errors(schema, [1] * 500_000)

    assert path == ""
    assert "too large" in problem
    assert time.monotonic() - began < GENEROUS_SECONDS


def test_recursion_in_several_branches_ends() -> None:
    schema = {
        "type": "object",
        "anyOf": [{"properties": {"x": {"$ref": "#"}}}, {"additionalProperties": {"$ref": "#"}}],
    }
    instance: Any = 5
    for _ in range(200):
        instance = {"x": instance}
    began = time.monotonic()

    assert [path for path, _ in errors(schema, instance)] == [""]
    assert time.monotonic() - began < GENEROUS_SECONDS


def test_what_would_take_too_long_is_not_checked() -> None:
    with pytest.raises(TooMuchToCheck):
        SchemaCache().errors(pack_schema(chain(40)), [{}] * 1000)


def test_a_response_that_is_not_checked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHECKS", 100)
    response = HttpResponse(200, {"content-type": "application/json"}, msgspec.json.encode([1] * 200))

    decoded = decode_response(response, pack_schema({"items": {"type": "integer"}}), SchemaCache())

    assert decoded.schema_valid is None
    assert "not checked" in decoded.schema_errors[0].problem
    assert decoded.raw == response.body
