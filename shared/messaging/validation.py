"""Bodies of commands: read whole, refused whole, every problem at once and in our own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean
from shared.contracts.unreadable import UNREADABLE
from shared.security.redaction import names_secret

M = TypeVar("M", bound=BaseModel)
Words = tuple[str, str]
"""The problem, and how to mend it."""

_MAX_SHOWN: Final = 80
_PASSED_ON: Final = frozenset({"masked", "parameters", "sample", "values"})


def read_body(body: bytes, model: type[M], *, max_bytes: int) -> M:
    """Read a command's JSON body as `model`; an empty body counts as `{}`. Raises `invalid-request`.

    NUL is refused in fields: PostgreSQL's text holds none. A document inside may hold it; it is kept as an escape.
    """
    if len(body) > max_bytes:
        raise DibopError(
            "invalid-request", f"The body has {len(body)} bytes, and at most {max_bytes} are taken. Send less at once."
        )
    if b"NaN" in body or b"Infinity" in body:
        _refuse_no_numbers(body)
    try:
        command = model.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        raise invalid_request(error, model) from None
    for name, value in command:
        if isinstance(value, str) and "\0" in value:
            raise DibopError("invalid-request", f"`{name}` holds a NUL character. Send it without.")
    return command


def _refuse_no_numbers(body: bytes) -> None:
    """pydantic's reader takes NaN and infinity for numbers, which JSON does not have (RFC 8259, section 6)."""
    try:
        msgspec.json.decode(body)
    except UNREADABLE as error:
        raise DibopError(
            "invalid-request", f"The body is not JSON ({error}). Send one JSON object, in UTF-8; NaN is no number."
        ) from None


def invalid_request(error: ValidationError, model: type[BaseModel]) -> DibopError:
    """`invalid-request` with one entry of `path`, `problem` and `mend` for each of pydantic's errors."""
    details = error.errors(include_url=False)
    first = details[0]
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "")
        return DibopError("invalid-request", f"The body is not JSON ({reason}). Send one JSON object, in UTF-8.")
    if not first["loc"] and first["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        kind = _kind(first["input"])
        return DibopError("invalid-request", f"The body is {kind}. Send one JSON object, in braces.")
    problems = [_problem(detail, model) for detail in details]
    listed = "; ".join(f"{p['path'] or 'the body'} {p['problem']}" for p in problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return DibopError("invalid-request", f"The body does not fit the command: {listed}{more}.", errors=problems)


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> dict[str, str]:
    path = "".join(f"/{_cut(str(part)).replace('~', '~0').replace('/', '~1')}" for part in detail["loc"])
    problem, mend = _words(detail, model)
    return {"path": path, "problem": problem, "mend": mend}


def _words(detail: ErrorDetails, model: type[BaseModel]) -> Words:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(detail, model)
    if kind in _WORDS:
        return _WORDS[kind](limits, _Hidden() if _is_secret(detail["loc"]) else detail["input"])
    if kind.endswith("_type") and (wanted := _WANTED.get(kind.removesuffix("_type"))):
        return f"is {_kind(detail['input'])}, and must be {wanted}", f"Send {wanted}."
    if _is_secret(detail["loc"]):
        return "is not accepted", "Send a value that fits."
    return f"is not accepted: {detail['msg'][:1].lower()}{detail['msg'][1:]}", "Send a value that fits."


def _is_secret(location: tuple[int | str, ...]) -> bool:
    """True where a value may be a secret: in a field of such a name, in credentials, and in what a caller passes on."""
    return any(isinstance(part, str) and (names_secret(part) or part in _PASSED_ON) for part in location)


class _Hidden:
    """Stands for a value that no message may quote."""

    def __repr__(self) -> str:
        return "a value that is not shown here"


def _unknown_field(detail: ErrorDetails, model: type[BaseModel]) -> Words:
    name = str(detail["loc"][-1])
    if len(detail["loc"]) == 1:
        return "is not a field of this command", did_you_mean(name, model.model_fields, "field")
    return "is not a known field", "Take it out, or correct its name."


_WANTED: Final[Mapping[str, str]] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
    "model_attributes": "an object",
}

_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any], Any], Words]]] = {
    "missing": lambda _, __: ("is missing", "Add it."),
    "string_pattern_mismatch": lambda c, v: (
        f"is {_shown(v)}, and must match {c['pattern']}",
        f"Send text that matches {c['pattern']}.",
    ),
    "string_too_long": lambda c, _: (
        f"has more than {c['max_length']} characters",
        f"Send at most {c['max_length']} characters.",
    ),
    "string_too_short": lambda c, _: (
        f"has fewer than {c['min_length']} characters",
        f"Send at least {c['min_length']} characters.",
    ),
    "too_long": lambda c, _: (f"has more than {c['max_length']} items", f"Send at most {c['max_length']}."),
    "too_short": lambda c, _: (f"has fewer than {c['min_length']} items", f"Send at least {c['min_length']}."),
    "literal_error": lambda c, v: (f"is {_shown(v)}, and must be {c['expected']}", f"Send {c['expected']}."),
    "enum": lambda c, v: (f"is {_shown(v)}, and must be {c['expected']}", f"Send {c['expected']}."),
    "greater_than": lambda c, v: (f"is {_shown(v)}, and must be over {c['gt']}", f"Send more than {c['gt']}."),
    "greater_than_equal": lambda c, v: (f"is {_shown(v)}, and must be at least {c['ge']}", f"Send {c['ge']} or more."),
    "less_than": lambda c, v: (f"is {_shown(v)}, and must be under {c['lt']}", f"Send less than {c['lt']}."),
    "less_than_equal": lambda c, v: (f"is {_shown(v)}, and must be at most {c['le']}", f"Send {c['le']} or less."),
}


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _shown(value: object) -> str:
    return _cut(repr(value))
