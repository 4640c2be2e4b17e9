"""Checking a document: everything wrong with it at once, and the typed template where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from shared.contracts.template import rules
from shared.contracts.template.model import Auth, Operation, Template
from shared.contracts.template.node import Node
from shared.contracts.template.plain import NotPlain, value_problems
from shared.contracts.template.problems import Position, Problem, located, parent, shown
from shared.contracts.template.schemas import schema_problems
from shared.contracts.template.structure import problems_of

PartName = Literal["auth", "operation", "response_schema"]
_Check: TypeAlias = Callable[[Node], Iterable[Problem]]


@dataclass(frozen=True)
class Report:
    """What a check found. `template` is None where there are errors, and for parts of a document."""

    errors: list[Problem]
    warnings: list[Problem]
    template: Template | None = None

    @property
    def ok(self) -> bool:
        return not self.errors


def check(document: Any, *, position: Position | None = None) -> Report:
    """Check a whole template document, given as plain JSON data; never raises for what it holds.

    `position` finds the line and column of a JSON pointer, as `Source.position` does.
    """
    report, model = _check(document, Template, rules.document_errors, rules.document_warnings, position)
    return Report(report.errors, report.warnings, model if isinstance(model, Template) else None)


def check_part(part: PartName, document: Any, *, position: Position | None = None) -> Report:
    """Check a fragment by itself: the auth fields, one operation, or a response schema."""
    model, errors, warnings = _PARTS[part]
    return _check(document, model, errors, warnings, position)[0]


def _check(
    document: Any, model: type[BaseModel] | None, errors: _Check, warnings: _Check, position: Position | None
) -> tuple[Report, BaseModel | None]:
    try:
        unfit = value_problems(document)
    except NotPlain as refusal:
        return Report(located([refusal.problem], position), []), None
    if not isinstance(document, dict):
        problem = Problem(
            "", f"The document is {shown(document)}.", "Write a mapping: one `name: value` for each field."
        )
        return Report(located([problem], position), []), None
    root = Node(document)
    parsed, structural = _parse(document, model)
    found = _distinct([*unfit, *structural], errors(root))
    return Report(located(found, position), located(warnings(root), position)), None if found else parsed


def _parse(document: Any, model: type[BaseModel] | None) -> tuple[BaseModel | None, list[Problem]]:
    if model is None:
        return None, []
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        return None, list(problems_of(error, model))


def _distinct(first: list[Problem], then: Iterable[Problem]) -> list[Problem]:
    """`first` and what `then` adds at other places: a value of the wrong type needs no second explanation."""
    explained = {problem.path for problem in first}
    return list(dict.fromkeys([*first, *(problem for problem in then if not _within(problem.path, explained))]))


def _within(path: str, places: set[str]) -> bool:
    while path:
        if path in places:
            return True
        path = parent(path)
    return False


def _schema_errors(root: Node) -> Iterator[Problem]:
    return schema_problems(root.value, "")


def _no_warnings(root: Node) -> Iterator[Problem]:  # noqa: ARG001 - one signature for all checks
    return iter(())


_PARTS: Final[Mapping[str, tuple[type[BaseModel] | None, _Check, _Check]]] = {
    "auth": (Auth, rules.auth_errors, rules.auth_warnings),
    "operation": (Operation, rules.operation_errors, rules.operation_warnings),
    "response_schema": (None, _schema_errors, _no_warnings),
}
