"""Publishing: the gate is asked, the version computed, the move recorded and brought to its end."""

from __future__ import annotations

from services.publisher.domain import gate
from services.publisher.domain.moves import MoveKind, Release
from services.publisher.domain.templates import read_template
from services.publisher.domain.versioning import highest
from services.publisher.handlers.moving import ROUNDS, finished, other_underway, overtaken
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.releasing import is_release, next_after, published, recorded, unchanged
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.commands import (
    Checklist,
    ChecklistItem,
    Draft,
    PublishConnector,
    Published,
    Scope,
    ShowChecklist,
    VersionSummary,
)
from shared.contracts.errors import DibopError
from shared.contracts.template import operation_digests
from shared.security.principals import Action, authorise


async def show_checklist(caller: Caller, command: ShowChecklist, ports: Ports) -> Checklist:
    """The gate, item by item, for the draft as it stands."""
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
    items = await _ask_gate(draft, command.scope, ports)
    return Checklist(
        slug=draft.slug,
        owner=draft.owner,
        revision=draft.revision,
        digest=draft.digest,
        publishable=not gate.blocking(items),
        items=gate.shown(items),
    )


async def publish(
    caller: Caller, command: PublishConnector, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> Published:
    """Make the draft as it stands the next version, and answer once executors can see it.

    Raises `not-publishable` with the gate's items, `conflict` while something else becomes of the connector, and
    `deadline-exceeded` after `wait_seconds`, with the publication going on by itself.
    """
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    _require_passed(command.slug, [gate.scope_item(caller.enterprise, command.scope)])
    for _ in range(ROUNDS):
        draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
        last = await _last_version(caller, draft, ports)
        underway = await ports.store.open_move(draft.owner, draft.slug)
        if underway is not None:
            if not is_release(underway, MoveKind.PUBLISH, digest=draft.digest):
                raise other_underway(underway)
            return published(await finished(underway, runner, wait_seconds), changed=False)
        if last is not None and last.digest == draft.digest and last.state == "published":
            return unchanged(draft.owner, draft.slug, last)
        _require_passed(draft.slug, await _ask_gate(draft, command.scope, ports))
        release = Release(
            version=await next_after(caller, draft, last, ports, owner=draft.owner, bump=command.bump),
            digest=draft.digest,
            scope=command.scope,
            revision=draft.revision,
            base_version=last.version if last else None,
        )
        move = recorded(caller, MoveKind.PUBLISH, release, owner=draft.owner, slug=draft.slug, notes=command.notes)
        if await ports.store.record_move(move):
            return published(await finished(move, runner, wait_seconds), changed=True)
    raise overtaken(command.slug)


async def _ask_gate(draft: Draft, scope: Scope, ports: Ports) -> list[ChecklistItem]:
    template, found = read_template(draft.document)
    problems = draft.errors or found
    if template is None or problems:
        return gate.problem_items(problems)
    digests = operation_digests(template)
    evidence = await ports.store.latest_evidence(draft.owner, draft.slug, digests.values())
    return gate.checklist(gate.Candidate(template, draft.owner, scope, digests, evidence))


def _require_passed(slug: str, items: list[ChecklistItem]) -> None:
    missing = gate.blocking(items)
    if missing:
        first = missing[0].reason
        more = f" And {len(missing) - 1} more: see `errors`." if len(missing) > 1 else ""
        raise DibopError(
            "not-publishable",
            f"The draft of {slug!r} cannot be published yet. {first}{more}",
            errors=[item.model_dump(exclude_none=True) for item in missing],
        )


async def _last_version(caller: Caller, draft: Draft, ports: Ports) -> VersionSummary | None:
    """The highest version of the same owner's connector. The registry answers the catalogue's where there is none."""
    try:
        connector = await ports.registry.connector(draft.owner, draft.slug, request_id=caller.request_id)
    except DibopError as error:
        if error.code in {"not-found", "unknown-connector"}:
            return None
        raise
    if connector.owner != draft.owner:
        return None
    last = highest(version.version for version in connector.versions)
    return next((version for version in connector.versions if version.version == last), None)
