"""Schemas that would take for ever are refused before anything is checked against them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.template import check_part
from shared.contracts.template.schema_cost import MAX_SCHEMA_WEIGHT, weigh


def chain(length: int, back_to: int | None = None) -> dict[str, Any]:
    """Each definition refers twice to the next, from two branches."""

    def twice(target: int) -> dict[str, Any]:
        reference = {"properties": {"x": {"$ref": f"#/$defs/d{target}"}}}
        return {"type": "object", "anyOf": [reference, {**reference, "minProperties": 0}]}

    last: dict[str, Any] = (
        {"type": "object"} if back_to is None else {"properties": {"x": {"$ref": f"#/$defs/d{back_to}"}}}
    )
    return {"$defs": {**{f"d{i}": twice(i + 1) for i in range(length)}, f"d{length}": last}, "$ref": "#/$defs/d0"}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema, "y": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "checks"),
    [
        ({}, 1),
        ({"type": "string"}, 1),
        ({"properties": {"a": {}, "b": {}}}, 2),
        ({"allOf": [{}, {}]}, 3),
        (nested(10), 11),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, 2),
        ({"$ref": "#a", "$defs": {"a": {"$anchor": "a", "items": {}}}}, 3),
        ({"patternProperties": {"a": {}, "b": {}}}, 3),
        ({"$ref": "#"}, 2),
    ],
)
def test_the_weight_is_what_one_value_meets(schema: dict[str, Any], checks: int) -> None:
    assert weigh(schema).checks == checks


def test_references_multiply() -> None:
    assert weigh(chain(5)).checks < 250
    assert weigh(chain(40)).too_heavy


@pytest.mark.parametrize(
    ("schema", "grows"),
    [
        ({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}, False),
        ({"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}, False),
        ({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}, True),
        ({"anyOf": [{"properties": {"x": {"$ref": "#"}}}, {"properties": {"x": {"$ref": "#"}}}]}, True),
        (chain(3, back_to=0), True),
        (chain(3), False),
    ],
)
def test_recursion_in_several_branches_is_told_from_a_tree(schema: dict[str, Any], grows: bool) -> None:
    assert weigh(schema).grows is grows


def test_an_author_is_told() -> None:
    [problem] = check_part("response_schema", chain(40)).errors

    assert "for ever" in problem.problem
    assert f"{MAX_SCHEMA_WEIGHT:,}" in problem.problem


def test_a_parameter_with_such_a_schema_is_refused_without_checking_its_default() -> None:
    operation = {
        "operation": "run",
        "method": "POST",
        "path": "/",
        "parameters": [
            {"name": "p", "location": "body", "type": "object", "schema": chain(40), "default": {"x": {}}},
        ],
    }

    assert any("for ever" in problem.problem for problem in check_part("operation", operation).errors)


@pytest.mark.parametrize("pattern", [r"^(?=a)b", r"(a)\1", "(?<!a)b", "(?:a{1000}){1000}"])
def test_patterns_that_backtrack_are_refused(pattern: str) -> None:
    [problem] = check_part("response_schema", {"type": "string", "pattern": pattern}).errors

    assert problem.path == "/pattern"
    assert "back-references" in problem.mend


def test_a_part_with_an_id_of_its_own_is_refused() -> None:
    schema = {"$id": "urn:whole", "$defs": {"a": {"$id": "urn:part"}}}

    assert [problem.path for problem in check_part("response_schema", schema).errors] == ["/$defs/a/$id"]


def test_a_property_may_be_called_id() -> None:
    assert check_part("response_schema", {"properties": {"$id": {"type": "string"}}}).ok
