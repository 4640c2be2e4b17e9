"""The exported JSON Schema and the shipped examples agree with the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from shared.contracts.template import check, compile_schema, json_schema, parse_source
from tests.unit.contracts.template.documents import MISSING, document

ROOT = Path(__file__).parents[4]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def test_the_exported_schema_is_current() -> None:
    exported = json.loads((ROOT / "docs/reference/template.schema.json").read_text())

    assert exported == json_schema(), "run `make docs`"


def test_the_schema_is_a_valid_one_and_explains_every_field() -> None:
    schema = json_schema()

    jsonschema_rs.meta.validate(schema)
    models = [schema, *schema["$defs"].values()]
    silent = [name for model in models for name, field in model["properties"].items() if not field.get("description")]
    assert silent == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_and_without_warnings(path: Path) -> None:
    source = parse_source(path.read_bytes(), name=path.name)

    report = check(source.document, position=source.position)

    assert report.errors == []
    assert report.warnings == []
    assert list(compile_schema(json_schema()).iter_errors(source.document)) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_operations_of_an_example_are_described_and_can_be_tested(path: Path) -> None:
    template = check(parse_source(path.read_bytes()).document).template

    assert template is not None
    for operation in template.operations:
        assert operation.description
        assert {each.name for each in operation.parameters if each.is_required} <= set(operation.sample or {})
        assert all(each.description for each in operation.parameters)


def test_the_httpbin_example_shows_everything_an_operation_can_do() -> None:
    template = check(parse_source((ROOT / "examples/httpbin.yaml").read_bytes()).document).template

    assert template is not None
    parameters = [parameter for operation in template.operations for parameter in operation.parameters]
    assert len(template.operations) >= 12
    assert {operation.method for operation in template.operations} == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert {operation.body_encoding for operation in template.operations} == {"json", "form", "multipart"}
    assert {each.location for each in parameters} == {"query", "path", "header", "body"}
    assert {each.type for each in parameters} == {"string", "number", "integer", "boolean", "array", "object"}
    assert any(each.whole_body for each in parameters)


@pytest.mark.parametrize(
    "changes",
    [
        {"/name": MISSING},
        {"/nam": "x"},
        {"/operations/0/method": "get"},
        {"/operations/0/parameters/0/location": "cookie"},
        {"/resilience": {"max_retries": 11}},
        {"/slug": "No Slug"},
        {"/operations/0/response_schema": {"type": "objekt"}},
    ],
)
def test_editors_see_what_one_field_can_say(changes: dict[str, Any]) -> None:
    assert not compile_schema(json_schema()).is_valid(document(changes))


@pytest.mark.parametrize("changes", [{}, {"/x-own": 1}, {"/operations/0/x-own": []}, {"/icon": None}])
def test_editors_accept_what_is_valid(changes: dict[str, Any]) -> None:
    assert compile_schema(json_schema()).is_valid(document(changes))
