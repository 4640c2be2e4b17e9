"""Values on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from dibop.errors import InvalidRequestError
from dibop.values import assign, convert, parameter_types, parse


def converted(argument: str, type_: str = "string") -> object:
    given = parse([argument])
    return convert(given, {given[0].name: type_})[given[0].name]


@pytest.mark.parametrize(
    ("argument", "type_", "value"),
    [
        ("zip=02134", "string", "02134"),
        ("flag=true", "string", "true"),
        ("q=a=b", "string", "a=b"),
        ("q=", "string", ""),
        ("n=42", "integer", 42),
        ("n=3.0", "integer", 3),
        ("n=1.5", "number", 1.5),
        ("n=2", "number", 2),
        ("b=True", "boolean", True),
        ('l=["a", 1]', "array", ["a", 1]),
        ('o={"a": null}', "object", {"a": None}),
        ("x:=5", "string", 5),
        ('x:="5"', "integer", "5"),
        ("unknown=7", "string", "7"),
    ],
)
def test_a_value_is_read_by_its_declared_type(argument: str, type_: str, value: object) -> None:
    result = converted(argument, type_)

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("argument", "type_", "says"),
    [
        ("n=02134", "integer", "a whole number"),
        ("n=1.5", "integer", "a whole number"),
        ("n=true", "number", "a number"),
        ("n=NaN", "number", "a number"),
        ("b=yes", "boolean", "true or false"),
        ("l={}", "array", "a JSON list"),
        ("o=[]", "object", "a JSON object"),
        ("x:=abc", "string", "JSON"),
        ("x:=Infinity", "string", "JSON"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would(argument: str, type_: str, says: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        converted(argument, type_)

    assert caught.value.code == "invalid-parameters"
    assert says in caught.value.errors[0]["problem"]


def test_all_that_do_not_fit_are_told_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        convert(parse(["a=x", "b=y", "c=1"]), {"a": "integer", "b": "boolean", "c": "integer"})

    assert [error["name"] for error in caught.value.errors] == ["a", "b"]


@pytest.mark.parametrize("argument", ["q", "=v", ":=1", ""])
def test_what_is_no_assignment_is_wrong_usage(argument: str) -> None:
    with pytest.raises(ValueError, match="name=value"):
        parse([argument])


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="given twice"):
        parse(["q=a", "q=b"])


def test_types_are_those_of_the_named_operation() -> None:
    document = {
        "operations": [
            {"operation": "a", "parameters": [{"name": "n", "type": "integer"}, {"name": "s"}]},
            {"operation": "b"},
        ]
    }

    assert parameter_types(document, "a") == {"n": "integer", "s": "string"}
    assert parameter_types(document, "b") == {}
    assert parameter_types(document, "c") == {}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("base_url=http://127.0.0.1:1", {"base_url": "http://127.0.0.1:1"}),
        ("resilience.timeout_seconds=5", {"resilience": {"timeout_seconds": 5}}),
        ("/operations/0/path=/a=b", {"operations": [{"path": "/a=b"}, {"path": "/y"}]}),
        ("operations.1.idempotent=true", {"operations": [{"path": "/x"}, {"path": "/y", "idempotent": True}]}),
        ("/x-note~1a=b", {"x-note/a": "b"}),
    ],
)
def test_an_assignment_replaces_a_value(assignment: str, expected: dict[str, Any]) -> None:
    document: dict[str, Any] = {"base_url": "https://a", "operations": [{"path": "/x"}, {"path": "/y"}]}

    assign(document, assignment)

    for name, value in expected.items():
        assert document[name] == value


@pytest.mark.parametrize("assignment", ["base_url", "=x", "/operations/2/path=/z", "/operations/a=1", "base_url.x=1"])
def test_an_assignment_that_leads_nowhere_is_refused(assignment: str) -> None:
    with pytest.raises(ValueError, match=r"path=value|no index|neither a mapping nor a list"):
        assign({"base_url": "https://a", "operations": [{}, {}]}, assignment)
