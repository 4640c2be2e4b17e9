"""The gate: what a draft must have before it may be published, as a table of questions.

Each question answers with items. An item that is required and not passed keeps the draft from being
published; one that is only recommended never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.publisher.domain.evidence import Evidence
from shared.contracts.commands import ChecklistItem, Scope, TemplateProblem
from shared.contracts.names import PLATFORM
from shared.contracts.template import Template


@dataclass(frozen=True, slots=True)
class Candidate:
    """A valid draft at the gate. `digests` are its operations', `evidence` is the last of each digest that has any."""

    template: Template
    owner: str
    scope: Scope
    digests: Mapping[str, str]
    evidence: Mapping[str, Evidence]


SCOPE_ITEM: Final = "scope"
MAX_ITEMS: Final = 5000

Question = Callable[[Candidate], Iterator[ChecklistItem]]


def checklist(candidate: Candidate) -> list[ChecklistItem]:
    """All items of the gate for a valid draft."""
    valid = ChecklistItem(item="template", passed=True, required=True)
    return [valid, *(item for question in QUESTIONS for item in question(candidate))]


def shown(items: Sequence[ChecklistItem]) -> list[ChecklistItem]:
    """The items as one answer can hold them: of very many, only what is not passed, required ones first."""
    if len(items) <= MAX_ITEMS:
        return list(items)
    return sorted((item for item in items if not item.passed), key=lambda item: not item.required)[:MAX_ITEMS]


def problem_items(problems: Sequence[TemplateProblem]) -> list[ChecklistItem]:
    """The gate's items for a draft that is no valid template: its problems alone."""
    return [_item("template", problem.path, f"{problem.problem} {problem.mend}") for problem in problems]


def blocking(items: Sequence[ChecklistItem]) -> list[ChecklistItem]:
    """The items that keep a draft from being published."""
    return [item for item in items if item.required and not item.passed]


def _scope(candidate: Candidate) -> Iterator[ChecklistItem]:
    yield scope_item(candidate.owner, candidate.scope)


def _overview(candidate: Candidate) -> Iterator[ChecklistItem]:
    template = candidate.template
    for field in ("name", "slug", "type", "description", "base_url"):
        yield _filled(f"overview.{field}", f"/{field}", getattr(template, field), required=True)
    for field in ("icon", "documentation_url"):
        yield _filled(f"overview.{field}", f"/{field}", getattr(template, field), required=False)


def _auth(candidate: Candidate) -> Iterator[ChecklistItem]:
    template = candidate.template
    missing = template.auth_type != "none" and not template.credential_fields()
    yield _item(
        "auth",
        "/credential_schema",
        f"auth_type {template.auth_type!r} has no credential fields; name them in credential_schema."
        if missing
        else None,
    )


def _operations(candidate: Candidate) -> Iterator[ChecklistItem]:
    empty = not candidate.template.operations
    yield _item("operations", "/operations", "There is no operation; add at least one." if empty else None)


def _descriptions(candidate: Candidate) -> Iterator[ChecklistItem]:
    for index, operation in enumerate(candidate.template.operations):
        path = f"/operations/{index}/description"
        yield _filled(f"operations.{operation.operation}.description", path, operation.description, required=True)


def _response_schemas(candidate: Candidate) -> Iterator[ChecklistItem]:
    for index, operation in enumerate(candidate.template.operations):
        yield _filled(
            f"operations.{operation.operation}.response_schema",
            f"/operations/{index}/response_schema",
            operation.response_schema is not None,
            required=candidate.scope == "catalogue",
        )


def _resilience(_candidate: Candidate) -> Iterator[ChecklistItem]:
    """The template's own rules hold the bounds: a valid template keeps them."""
    yield _item("resilience", "/resilience", None)


def _tested(candidate: Candidate) -> Iterator[ChecklistItem]:
    for index, (operation, digest) in enumerate(candidate.digests.items()):
        evidence = candidate.evidence.get(digest)
        reason = None
        if evidence is None:
            reason = (
                f"{operation} has not been tested as it stands now. Run its test: "
                f"dibop connector test {candidate.template.slug} --operation {operation}"
            )
        elif evidence.outcome != "pass":
            reason = (
                f"The last test of {operation}, at {evidence.at}, failed: {evidence.reason} Mend it and test again."
            )
        yield _item(f"operations.{operation}.test", f"/operations/{index}", reason)


QUESTIONS: Final[tuple[Question, ...]] = (
    _scope,
    _overview,
    _auth,
    _operations,
    _descriptions,
    _response_schemas,
    _resilience,
    _tested,
)


def _item(item: str, path: str, reason: str | None, *, required: bool = True) -> ChecklistItem:
    return ChecklistItem(
        item=item, passed=reason is None, required=required, reason=reason, path=path if reason else None
    )


def _filled(item: str, path: str, value: object, *, required: bool) -> ChecklistItem:
    """An item that passes where the field holds something."""
    field = path.rpartition("/")[2]
    reason = f"{field} is empty; {'fill it in' if required else 'it is recommended'}."
    return _item(item, path, None if value else reason, required=required)


def scope_item(owner: str, scope: Scope) -> ChecklistItem:
    """Whether what `owner` drafts may be published to `scope` at all."""
    if owner != PLATFORM or scope == "catalogue":
        return ChecklistItem(item=SCOPE_ITEM, passed=True, required=True)
    reason = (
        "A draft of the platform belongs to all enterprises and cannot be published to one alone. "
        "Publish it with scope 'catalogue', or save the draft as the enterprise's own."
    )
    return ChecklistItem(item=SCOPE_ITEM, passed=False, required=True, reason=reason)
