"""Fragments as authors write them: alone, by `check_part`, and in place inside a whole document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts.template import PartName, check, check_part, parse_source
from tests.support.fragments import OAUTH2

API_KEY = """\
auth_type: api_key
credential_schema:
  api_key:
    label: "API Key"
    type: password
    required: true
    sensitive: true
    help: "Get your API key from your OpenWeatherMap account settings"
header_name: "X-API-Key"
key_prefix: ""
"""

OPERATION = """\
operation: get_current_weather
method: GET
path: /data/2.5/weather
parameters:
  - name: q
    location: query
    type: string
    required: true
    description: "City name (e.g., 'London' or 'London,UK')"
  - name: units
    location: query
    type: string
    required: false
    default: "metric"
    description: "Units: standard, metric, or imperial"
"""

RESPONSE_SCHEMA = """\
{"type": "object", "properties": {
  "name": {"type": "string", "description": "City name"},
  "main": {"type": "object", "properties": {
    "temp": {"type": "number", "description": "Temperature"},
    "humidity": {"type": "integer", "description": "Humidity %"}}}}}
"""

FRAGMENTS: list[tuple[PartName, str]] = [
    ("auth", API_KEY),
    ("auth", OAUTH2),
    ("operation", OPERATION),
    ("response_schema", RESPONSE_SCHEMA),
]


def indented(text: str, first: str, rest: str) -> str:
    lines = text.splitlines()
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])]) + "\n"


@pytest.mark.parametrize(("part", "text"), FRAGMENTS)
def test_a_fragment_is_valid_alone(part: PartName, text: str) -> None:
    assert check_part(part, parse_source(text).document).errors == []


@pytest.mark.parametrize("auth", [API_KEY, OAUTH2])
def test_fragments_load_in_place(auth: str) -> None:
    text = (
        "name: OpenWeatherMap\nbase_url: https://api.openweathermap.org\n"
        + auth
        + "operations:\n"
        + indented(OPERATION, "  - ", "    ")
        + "    response_schema:\n"
        + indented(RESPONSE_SCHEMA, "      ", "      ")
    )

    report = check(parse_source(text).document)

    assert report.errors == []
    assert report.template is not None
    operation = report.template.operation("get_current_weather")
    assert operation is not None
    assert [parameter.is_required for parameter in operation.parameters] == [True, False]
    assert operation.response_schema == json.loads(RESPONSE_SCHEMA)


@pytest.mark.parametrize(
    ("part", "document", "path"),
    [
        ("auth", {"auth_type": "api_key", "operation": "x"}, "/operation"),
        ("auth", {"auth_type": "oauth2"}, "/grant_type"),
        ("operation", {"operation": "a", "method": "GET", "path": "/{id}"}, "/path"),
        (
            "operation",
            {"operation": "a", "method": "GET", "path": "/", "parameters": [{"name": "q"}]},
            "/parameters/0/location",
        ),
        ("response_schema", {"properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
        ("response_schema", {"$ref": "https://elsewhere.example.com"}, "/$ref"),
        ("response_schema", [], ""),
        ("operation", "x", ""),
    ],
)
def test_a_wrong_fragment_is_told_with_pointers_into_itself(part: PartName, document: Any, path: str) -> None:
    assert path in [problem.path for problem in check_part(part, document).errors]


def test_lines_of_a_fragment_are_its_own() -> None:
    source = parse_source("operation: a\nmethod: get\npath: /\n")

    report = check_part("operation", source.document, position=source.position)

    assert [(problem.path, problem.line, problem.column) for problem in report.errors] == [("/method", 2, 1)]
