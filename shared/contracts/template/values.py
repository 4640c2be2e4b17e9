"""Do values fit the types that parameters declare?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

EXAMPLES: Final[Mapping[str, str]] = {
    "string": 'text, in quotes where it looks like something else, as "42"',
    "number": "a number without quotes, as 1.5",
    "integer": "a whole number without quotes, as 42",
    "boolean": "true or false, without quotes",
    "array": "a list, as [1, 2]",
    "object": "a mapping, as {a: 1}",
}


def fits(type_: str, value: object) -> bool:
    """True where `value` is of a parameter's type; 3.0 is an integer, as in JSON Schema, and true is no number."""
    return TYPES[type_](value)


def same(one: object, other: object) -> bool:
    """Equality as JSON has it: 1 equals 1.0, but true does not equal 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
