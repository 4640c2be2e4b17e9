"""`name=value` and `name:=json` on the command line, as the values that an operation declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dibop.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Given:
    """One `-p`: `literal` where it was written `name:=json`."""

    name: str
    text: str
    literal: bool


def parse(arguments: Iterable[str]) -> list[Given]:
    """Split each argument; ValueError says which is not `name=value`."""
    given: list[Given] = []
    for argument in arguments:
        name, sign, text = argument.partition("=")
        literal = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise ValueError(f"{argument!r} is not name=value (or name:=json)")
        if any(name == earlier.name for earlier in given):
            raise ValueError(f'{name!r} is given twice; write a list as {name}:=\'["a", "b"]\'')
        given.append(Given(name, text, literal))
    return given


def convert(given: Iterable[Given], types: Mapping[str, str]) -> dict[str, Any]:
    """The values by their declared types; a name without a declared type stays text.

    Raises InvalidRequestError with an entry for each value that does not fit.
    """
    values: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for one in given:
        wanted = "json" if one.literal else types.get(one.name, "string")
        reader, allowed = _READERS[wanted]
        try:
            values[one.name] = reader(one.text)
        except ValueError:
            errors.append({"name": one.name, "problem": f"{one.text!r} is not {allowed[0]}", "allowed": allowed[1]})
    if errors:
        names = ", ".join(error["name"] for error in errors)
        raise InvalidRequestError("invalid-parameters", f"Values do not fit their types: {names}.", errors=errors)
    return values


def parameter_types(document: Mapping[str, Any], operation: str) -> dict[str, str]:
    """What a template says of an operation's parameters: name to type; {} for an operation that it lacks."""
    for candidate in document.get("operations", []):
        if candidate.get("operation") == operation:
            return {p["name"]: p.get("type", "string") for p in candidate.get("parameters", [])}
    return {}


def assign(document: dict[str, Any], assignment: str) -> None:
    """Apply `path=value` to a document: dots (`resilience.timeout_seconds`) or a JSON pointer (`/operations/0/path`).

    The value is read as JSON where it is a number, true, false, null, or a list or mapping, else it is text.
    ValueError says what does not fit.
    """
    path, sign, text = assignment.partition("=")
    if not sign or not path:
        raise ValueError(f"{assignment!r} is not path=value")
    keys = (
        [key.replace("~1", "/").replace("~0", "~") for key in path[1:].split("/")]
        if path.startswith("/")
        else path.split(".")
    )
    target: Any = document
    for key in keys[:-1]:
        target = _child(target, key, path)
    _put(target, keys[-1], _literal(text), path)


def _child(target: Any, key: str, path: str) -> Any:
    if isinstance(target, dict):
        return target.setdefault(key, {})
    return target[_index(target, key, path)]


def _put(target: Any, key: str, value: Any, path: str) -> None:
    if isinstance(target, dict):
        target[key] = value
    else:
        target[_index(target, key, path)] = value


def _index(target: Any, key: str, path: str) -> int:
    if not isinstance(target, list):
        raise ValueError(  # noqa: TRY004  # the text is wrong, not its type
            f"{path!r} leads through a value that is neither a mapping nor a list (at {key!r})"
        )
    if not key.isdigit() or int(key) >= len(target):
        raise ValueError(f"{path!r}: {key!r} is no index of a list of {len(target)}")
    return int(key)


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _literal(text: str) -> Any:
    try:
        return _json(text)
    except ValueError:
        return text


def _number(text: str) -> float | int:
    number = _json(text)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return _reject(text)  # type: ignore[no-any-return]
    return number


def _integer(text: str) -> int:
    number = _number(text)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError(text)
    return int(number)


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()] if text.lower() in _BOOLEANS else _reject(text)


def _reject(text: str) -> Any:
    raise ValueError(text)


def _of(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = _json(text)
        return value if isinstance(value, kind) else _reject(text)

    return read


_BOOLEANS: Final = {"true": True, "false": False}
_READERS: Final[Mapping[str, tuple[Callable[[str], Any], tuple[str, str]]]] = {
    "string": (str, ("text", "any text")),
    "integer": (_integer, ("a whole number", "a whole number, as 42")),
    "number": (_number, ("a number", "a number, as 1.5")),
    "boolean": (_boolean, ("true or false", "true or false")),
    "array": (_of(list), ("a JSON list", 'a JSON list, as ["a", "b"]')),
    "object": (_of(dict), ("a JSON object", 'a JSON object, as {"a": 1}')),
    "json": (_json, ("JSON", "JSON, with texts in double quotes")),
}
