"""What a parameter's value may be: one check for each type, and what each place in a request refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.executor.domain.encoding import texts
from services.executor.domain.plan import ParameterPlan
from services.executor.domain.schemas import SchemaCache, TooMuchToCheck
from shared.contracts.template.values import fits, same

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 7493, 2.2)."""
_MAX_NESTING: Final = 200

_HEADER_BREAKERS: Final = frozenset("\r\n\0")
_KINDS: Final[Mapping[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


_ALLOWED: Final[Mapping[str, str]] = {
    "string": "a string",
    "number": "a finite number; integers between -(2^53-1) and 2^53-1",
    "integer": "an integer between -(2^53-1) and 2^53-1; declare the parameter as a string for longer ones",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


def allowed(parameter: ParameterPlan) -> str:
    """What the parameter takes, for an error."""
    if parameter.enum is not None:
        return "one of " + ", ".join(repr(value) for value in parameter.enum)
    text = _ALLOWED[parameter.type]
    return f"{text} that fits the parameter's schema" if parameter.schema is not None else text


def problem_of(parameter: ParameterPlan, value: Any, schemas: SchemaCache) -> str | None:
    """What is wrong with `value`, as a phrase that completes "the parameter …"; None where nothing is.

    A phrase never quotes the value, which may be secret.
    """
    kind = parameter.type
    if not fits(kind, value):
        return f"is {_KINDS.get(type(value), 'of an unknown type')}, not {_KINDS_OF[kind]}"
    problem = _unholdable(value) if kind != "boolean" else None
    if problem is not None:
        return problem
    if parameter.enum is not None and not any(same(value, one) for one in parameter.enum):
        return "is not one of the allowed values"
    if parameter.schema is not None:
        try:
            errors = schemas.errors(parameter.schema, value, limit=1)
        except TooMuchToCheck:
            return "holds too many values to be checked against its schema"
        if errors:
            return f"does not fit its schema at {errors[0].path or 'the top'}: {errors[0].problem}"
    return _PLACES[parameter.location](value)


def header_problem(text: str) -> str | None:
    """What keeps `text` from being a header's value."""
    if not _HEADER_BREAKERS.isdisjoint(text):
        return "has a CR, LF or NUL, which a header cannot carry"
    return None


_KINDS_OF: Final[Mapping[str, str]] = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
}


def _unholdable(value: Any) -> str | None:
    """Say what JSON (or UTF-8) cannot hold anywhere inside `value`."""
    if isinstance(value, str):
        return _unencodable(value)
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            problem = _unencodable(item)
        elif isinstance(item, float):
            problem = None if math.isfinite(item) else "is not finite, which JSON cannot hold"
        elif isinstance(item, int) and not -MAX_INTEGER <= item <= MAX_INTEGER:
            problem = "has an integer beyond ±(2^53-1), which JSON readers cannot hold exactly"
        elif depth > _MAX_NESTING:
            problem = f"is nested deeper than {_MAX_NESTING} levels"
        elif isinstance(item, list):
            problem = None
            pending.extend((child, depth + 1) for child in item)
        elif isinstance(item, dict):
            problem = next((found for found in map(_key_problem, item) if found), None)
            pending.extend((child, depth + 1) for child in item.values())
        else:
            problem = None if item is None or isinstance(item, int) else f"holds a {type(item).__name__}, not JSON"
        if problem is not None:
            return problem
    return None


def _key_problem(key: Any) -> str | None:
    return _unencodable(key) if isinstance(key, str) else "has an object key that is not a string"


def _unencodable(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which UTF-8 cannot hold"
    return None


def _in_path(value: Any) -> str | None:
    text = ",".join(texts(value))
    if text in {".", ".."}:
        return "is a path's '.' or '..', which would lead to another resource"
    if not text:
        return "is empty, which would lead to another resource"
    return _flat(value)


def _in_query(value: Any) -> str | None:
    return _flat(value)


def _in_header(value: Any) -> str | None:
    return header_problem(",".join(texts(value))) or _flat(value)


def _in_body(_value: Any) -> str | None:
    return None


def _flat(value: Any) -> str | None:
    if isinstance(value, list) and any(item is None or isinstance(item, list | dict) for item in value):
        return "holds something other than strings, numbers and booleans, which only a body can carry"
    return None


_PLACES: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "path": _in_path,
    "query": _in_query,
    "header": _in_header,
    "body": _in_body,
}
