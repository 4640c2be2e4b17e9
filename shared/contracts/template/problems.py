"""What is wrong with a template: where it stands, what it is, and what would be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

Position: TypeAlias = Callable[[str], tuple[int, int] | None]
"""Where a JSON pointer stands in the text, as line and column counted from 1; None where it is not known."""

SHOWN_CHARACTERS: Final = 60
PATH_CHARACTERS: Final = 1000
"""A longer path is cut: it names what no template may call anything."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a document; `path` is a JSON pointer into it (RFC 6901), empty for the whole."""

    path: str
    problem: str
    mend: str
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """`{path, problem, mend}`, and `line` and `column` where they are known."""
        entry: dict[str, Any] = {"path": self.path, "problem": self.problem, "mend": self.mend}
        if self.line is not None:
            entry["line"] = self.line
        if self.column is not None:
            entry["column"] = self.column
        return entry

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column is not None else ""
        place = f"line {self.line}{column}: " if self.line is not None else ""
        return f"{place}{self.path or 'the document'}: {self.problem} {self.mend}"


def pointer(parts: Iterable[str | int]) -> str:
    """The JSON pointer of a path of keys and indexes."""
    return "".join("/" + escape(str(part)) for part in parts)


def escape(key: str) -> str:
    """One reference token of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def parent(path: str) -> str:
    """The pointer one step up; the whole document's is its own parent."""
    return path.rpartition("/")[0]


def shown(value: object) -> str:
    """A value as it may stand in a message: quoted, printable and short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**SHOWN_CHARACTERS:
        return "a very large number"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def one_of(names: Sequence[str]) -> str:
    """`a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def located(problems: Iterable[Problem], position: Position | None) -> list[Problem]:
    """The problems with their lines and columns, in the order of the text; without `position`, as they came."""
    if position is None:
        return [_bounded(problem) for problem in problems]
    placed = []
    for problem in problems:
        place, shortened = position(problem.path), _bounded(problem)
        placed.append(replace(shortened, line=place[0], column=place[1]) if place else shortened)
    return sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0))


def _bounded(problem: Problem) -> Problem:
    if len(problem.path) <= PATH_CHARACTERS:
        return problem
    return replace(problem, path=f"{problem.path[: PATH_CHARACTERS - 1]}…")
