"""Asking the gate about a document as it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.publisher.domain import gate
from services.publisher.domain.templates import read_template
from services.publisher.handlers.ports import Ports
from shared.contracts.commands import ChecklistItem, Scope, TemplateProblem
from shared.contracts.errors import DibopError
from shared.contracts.template import operation_digests


async def ask_gate(
    connector: tuple[str, str],
    document: Mapping[str, Any],
    scope: Scope,
    ports: Ports,
    *,
    known_problems: Sequence[TemplateProblem] = (),
) -> list[ChecklistItem]:
    """The gate's items; `connector` is owner and slug of the draft."""
    owner, slug = connector
    template, found = read_template(document)
    problems = known_problems or found
    if template is None or problems:
        return gate.problem_items(problems)
    digests = operation_digests(template)
    evidence = await ports.store.latest_evidence(owner, slug, digests.values())
    return gate.checklist(gate.Candidate(template, owner, scope, digests, evidence))


def require_passed(slug: str, items: list[ChecklistItem]) -> None:
    """`not-publishable` with every item that is missing."""
    missing = gate.blocking(items)
    if missing:
        first = missing[0].reason
        more = f" And {len(missing) - 1} more: see `errors`." if len(missing) > 1 else ""
        raise DibopError(
            "not-publishable",
            f"The draft of {slug!r} cannot be published yet. {first}{more}",
            errors=[item.model_dump(exclude_none=True) for item in missing],
        )
