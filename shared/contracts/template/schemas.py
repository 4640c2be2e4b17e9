"""JSON Schemas that authors write: 2020-12, self-contained, and compiled the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs

from shared.contracts.names import nearest
from shared.contracts.template.problems import Problem, one_of, pointer, shown
from shared.contracts.template.schema_cost import MAX_SCHEMA_WEIGHT, weigh

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_LINEAR: Final = jsonschema_rs.RegexOptions()
_DATA_KEYWORDS: Final = frozenset({"const", "enum", "default", "examples"})


def compile_schema(schema: Any, *, mask: str | None = None) -> jsonschema_rs.Draft202012Validator:
    """A validator that fetches nothing, and whose patterns take time in proportion to the text.

    `mask` stands for values in its messages. Raises ValueError where the schema is not valid.
    """
    return jsonschema_rs.Draft202012Validator(schema, offline=True, mask=mask, pattern_options=_LINEAR)


def schema_problems(schema: object, path: str) -> Iterator[Problem]:
    """What is wrong with a schema that stands at `path`."""
    if not isinstance(schema, dict):
        yield Problem(path, f"{shown(schema)} is not a JSON Schema.", "Write a mapping, as {type: object}.")
        return
    found = list(_against_the_dialect(schema, path)) or list(_references(schema, path))
    yield from found
    if found:
        return
    if weigh(schema).too_heavy:
        yield Problem(
            path,
            "Checking against this schema could take for ever: its references and alternatives multiply to more than "
            f"{MAX_SCHEMA_WEIGHT:,} checks of one value.",
            "Refer to a definition once where it is meant, rather than in every branch of anyOf, oneOf or allOf.",
        )
        return
    try:
        compile_schema(schema)
    except ValueError as error:
        yield _does_not_compile(error, path)


@cache
def _dialect() -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, offline=True)


def _against_the_dialect(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    try:
        errors = list(_dialect().iter_errors(schema))
    except ValueError:  # a value that no JSON carries; told by `plain`
        return
    for error in errors:
        place = list(error.instance_path)
        keyword = str(place[-1]) if place else "the schema"
        if keyword == "type" or (len(place) > 1 and place[-2] == "type"):
            yield _unknown_type(error.instance, path + pointer(place))
            continue
        yield Problem(
            path + pointer(place),
            f"`{keyword}` does not have the form that JSON Schema 2020-12 asks for: {_form(error)}.",
            "Mend the keyword's value, or take the keyword out.",
        )


def _unknown_type(value: object, path: str) -> Problem:
    close = nearest(value.lower(), SCHEMA_TYPES, 1) if isinstance(value, str) else []
    if isinstance(value, list):
        value = ", ".join(str(name) for name in value if name not in SCHEMA_TYPES) or value
    mend = f"Did you mean {close[0]}?" if close else f"Write {one_of(SCHEMA_TYPES)}, or a list of them."
    return Problem(path, f"{shown(value)} is not a type of JSON Schema.", mend)


def _form(error: jsonschema_rs.ValidationError) -> str:
    """What the keyword should have been, for the common cases."""
    expected = getattr(error.kind, "types", None)
    if expected:
        return f"it must be of type {one_of(list(expected))}"
    return f"{shown(error.instance)} does not fit"


def _references(schema: dict[str, Any], path: str) -> Iterator[Problem]:
    stack: list[tuple[str, Any]] = [(path, schema)]
    while stack:
        place, value = stack.pop()
        if isinstance(value, list):
            stack.extend((f"{place}/{index}", item) for index, item in enumerate(value))
        if not isinstance(value, dict):
            continue
        for key, item in value.items():
            at = place + pointer([key])
            if isinstance(item, str) and (key in _REFERENCES or key == "$schema"):
                yield from _reference(schema, key, item, at)
            elif key == "$id" and isinstance(item, str) and value is not schema:
                yield Problem(at, "A part of the schema has an $id of its own.", "Take it out; use $anchor or $defs.")
            elif key not in _DATA_KEYWORDS:
                stack.append((at, item))


def _reference(schema: dict[str, Any], key: str, target: str, at: str) -> Iterator[Problem]:
    if key == "$schema":
        if target.rstrip("#") != DIALECT:
            yield Problem(at, f"The dialect is {shown(target)}.", f"Use {DIALECT}, or leave $schema out.")
    elif not target.startswith("#"):
        yield Problem(
            at,
            f"{shown(target)} points out of this schema; nothing is fetched from elsewhere.",
            "Copy the schema into $defs and point to it with `#/$defs/...`.",
        )
    elif target.startswith("#/") and not _leads_somewhere(schema, target):
        yield Problem(at, f"{shown(target)} leads nowhere in this schema.", "Point to what exists, as `#/$defs/name`.")


def _leads_somewhere(schema: dict[str, Any], reference: str) -> bool:
    """True where a local pointer finds something in the schema."""
    value: Any = schema
    for token in unquote(reference).removeprefix("#/").split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return False
    return True


def _does_not_compile(error: ValueError, path: str) -> Problem:
    place: list[str | int] = []
    if isinstance(error, jsonschema_rs.ValidationError):
        place = list(error.instance_path)
    if {"pattern", "patternProperties"} & set(place[-2:]):
        return Problem(
            path + pointer(place),
            "The regular expression cannot be used.",
            "Mend it. Lookahead, lookbehind and back-references are not supported, and very large repeats are not.",
        )
    return Problem(
        path + pointer(place),
        "A reference of the schema leads nowhere, or a keyword cannot be used as it is.",
        "Point each $ref to something that exists in this schema, as `#/$defs/name` or `#anchor`.",
    )
