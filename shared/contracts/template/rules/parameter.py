"""Rules about one parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, shown
from shared.contracts.template.rules.auth import unusable_header
from shared.contracts.template.schema_cost import weigh
from shared.contracts.template.schemas import compile_schema, schema_problems
from shared.contracts.template.values import EXAMPLES, TYPES, fits, same

PATH_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


def type_of(parameter: Node) -> str | None:
    """The parameter's type; None where it is not a known one."""
    if not parameter.has("type"):
        return "string"
    type_ = parameter.text("type")
    return type_ if type_ in TYPES else None


def name_suits_the_location(parameter: Node) -> Iterator[Problem]:
    name, location = parameter.text("name"), parameter.text("location")
    if not name:
        return
    if location == "header":
        yield from unusable_header(parameter.child("name"))
    elif location == "path" and not PATH_NAME.match(name):
        yield Problem(
            parameter.at("name"),
            f"{shown(name)} is not a name for a path parameter.",
            "Start with a letter or '_' and go on with letters, digits, '_', '.' and '-'.",
        )
    elif not name.isprintable():
        yield Problem(parameter.at("name"), "The name holds a control character.", "Take it out.")


def type_suits_the_location(parameter: Node) -> Iterator[Problem]:
    type_, location = type_of(parameter), parameter.text("location")
    if type_ == "object" and location in {"query", "path", "header"}:
        yield Problem(
            parameter.at("type"), f"A mapping cannot stand in the {location}.", "Use one parameter for each value."
        )
    if type_ == "array" and location in {"path", "header"}:
        yield Problem(
            parameter.at("type"), f"A list cannot stand in the {location}.", "Use type string, and join the values."
        )


def schema_is_valid(parameter: Node) -> Iterator[Problem]:
    schema = parameter.child("schema")
    if isinstance(schema.value, dict):
        yield from schema_problems(schema.value, schema.path)


def enum_fits(parameter: Node) -> Iterator[Problem]:
    type_, enum = type_of(parameter), parameter.child("enum")
    if not isinstance(enum.value, list):
        return
    for index, value in enumerate(enum.value):
        if type_ and not fits(type_, value):
            yield Problem(enum.at(index), f"{shown(value)} is not of type {type_}.", f"Write {EXAMPLES[type_]}.")
        if any(same(value, earlier) for earlier in enum.value[:index]):
            yield Problem(enum.at(index), f"{shown(value)} stands in the enum twice.", "Take one of them out.")


def default_fits(parameter: Node) -> Iterator[Problem]:
    if parameter.has("default"):
        yield from fit_problem(parameter, parameter.child("default"))


def path_is_required(parameter: Node) -> Iterator[Problem]:
    if (
        parameter.text("location") == "path"
        and parameter.child("required").value is False
        and not parameter.has("default")
    ):
        yield Problem(
            parameter.at("required"),
            "A path parameter cannot be left out of the path.",
            "Write `required: true`, or give it a default.",
        )


def whole_body_is_in_the_body(parameter: Node) -> Iterator[Problem]:
    if parameter.flag("whole_body") and parameter.text("location") in {"query", "path", "header"}:
        yield Problem(parameter.at("whole_body"), "`whole_body` is for the body.", "Write `location: body`.")


def fit_problem(parameter: Node, value: Node) -> Iterator[Problem]:
    """A problem where a value is not one that the parameter takes."""
    type_, enum, schema = type_of(parameter), parameter.child("enum").value, parameter.child("schema").value
    if type_ is None:
        return
    secret = parameter.flag("sensitive")
    told = "The value" if secret else shown(value.value)
    if not fits(type_, value.value):
        yield Problem(value.path, f"{told} is not of type {type_}.", f"Write {EXAMPLES[type_]}.")
    elif isinstance(enum, list) and not any(same(value.value, each) for each in enum):
        allowed = ", ".join(shown(each) for each in enum[:20])
        yield Problem(value.path, f"{told} is not in the enum.", f"Write one of {allowed}.")
    elif isinstance(schema, dict) and not _satisfies(schema, value.value):
        yield Problem(value.path, f"{told} does not fit the parameter's schema.", "Mend the value or the schema.")


def required_with_default(parameter: Node) -> Iterator[Problem]:
    if parameter.flag("required") and parameter.has("default"):
        yield Problem(
            parameter.at("required"),
            "A required parameter has a default, which fills it, so that callers may leave it out.",
            "Take out `required` or `default`.",
        )


def sensitive_with_default(parameter: Node) -> Iterator[Problem]:
    if parameter.flag("sensitive") and parameter.has("default"):
        yield Problem(
            parameter.at("default"),
            "A sensitive parameter has a default, and templates are not secret.",
            "Take the default out unless it gives nothing away.",
        )


def _satisfies(schema: dict[str, object], value: object) -> bool:
    """True also where the schema is broken or too heavy, which is told elsewhere."""
    try:
        return weigh(schema).too_heavy or compile_schema(schema).is_valid(value)
    except ValueError:
        return True
