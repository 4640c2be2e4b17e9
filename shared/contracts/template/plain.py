"""Is it plain JSON data? Before anything else looks at a document."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from shared.contracts.template.problems import Problem, escape

MAX_TEMPLATE_BYTES: Final = 1_572_864
"""The largest document, as text and as canonical JSON."""
MAX_DEPTH: Final = 64
MAX_NODES: Final = 200_000
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""


class NotPlain(Exception):  # noqa: N818 - a name that says what the document is
    """The document has a shape that must not be walked any further."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.problem)
        self.problem = problem


def value_problems(document: object) -> list[Problem]:
    """Values that JSON cannot carry unharmed. Raises `NotPlain` for what is not data of bounded size at all."""
    problems: list[Problem] = []
    nodes = characters = 0
    stack: list[tuple[str, int, object]] = [("", 0, document)]
    while stack:
        path, depth, value = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH:
            raise NotPlain(too_deep(path))
        if isinstance(value, dict):
            stack.extend((f"{path}/{escape(key)}", depth + 1, item) for key, item in _entries(path, value))
            characters += sum(map(len, value))
        elif isinstance(value, list):
            stack.extend((f"{path}/{index}", depth + 1, item) for index, item in enumerate(value))
        else:
            characters += len(value) if isinstance(value, str) else 1
            problems.extend(_scalar(path, value))
        if nodes + len(stack) > MAX_NODES:
            raise NotPlain(too_many_values())
        if characters > MAX_TEMPLATE_BYTES:
            raise NotPlain(too_large(None))
    return problems


def too_deep(path: str) -> Problem:
    return Problem(path, f"Nesting is deeper than {MAX_DEPTH} levels.", "Flatten it; a schema can use $defs and $ref.")


def too_many_values() -> Problem:
    return Problem(
        "",
        f"The document holds more than {MAX_NODES:,} values.",
        "Split it into several connectors, and write out large aliases only where they are needed.",
    )


def too_large(size: int | None) -> Problem:
    """`size` is None where it is not known, since reading stopped there."""
    how_large = f"{size:,} bytes large" if size is not None else "too large, all aliases written out"
    return Problem(
        "",
        f"The template is {how_large}; at most {MAX_TEMPLATE_BYTES:,} bytes are allowed.",
        "Shorten response schemas and descriptions, or split it into several connectors.",
    )


def _entries(path: str, mapping: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in mapping.items():
        if not isinstance(key, str):
            raise NotPlain(Problem(path, f"The name {key!r} is not a string.", "Put the name in quotes."))
        if not _encodable(key):
            raise NotPlain(Problem(path, "A name holds half of a surrogate pair.", "Write the whole character."))
        yield key, item


def _scalar(path: str, value: object) -> Iterator[Problem]:
    match value:
        case None | bool():
            pass
        case str():
            if not _encodable(value):
                yield Problem(path, "The text holds half of a surrogate pair.", "Write the whole character.")
        case float() if not math.isfinite(value):
            yield Problem(path, "NaN and infinity have no place in JSON.", "Write a finite number.")
        case int() | float():
            if abs(value) > MAX_SAFE_INTEGER and (isinstance(value, int) or _written_as_integer(value)):
                yield Problem(
                    path,
                    "The integer is beyond 2^53 - 1, which JSON does not carry exactly.",
                    "Use a smaller number, or write it in quotes as a string.",
                )
        case _:
            raise NotPlain(
                Problem(
                    path,
                    f"A value of type {type(value).__name__} is not JSON data.",
                    "Use text, numbers, true, false, null, lists and mappings.",
                )
            )


def _written_as_integer(value: float) -> bool:
    """True where canonical JSON has neither a point nor an exponent (RFC 8785, section 3.2.2.3)."""
    return value.is_integer() and abs(value) < 1e21


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
