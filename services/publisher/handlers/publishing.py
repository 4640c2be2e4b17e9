"""Publishing: the gate is asked, the version computed, the move recorded and brought to its end."""

from __future__ import annotations

from services.publisher.domain import gate
from services.publisher.domain.moves import MoveKind, Release
from services.publisher.handlers import reviewing
from services.publisher.handlers.gating import ask_gate, require_passed
from services.publisher.handlers.moving import ROUNDS, begun, finished, other_underway, overtaken
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.releasing import is_release, last_version, next_after, published, unchanged
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.commands import (
    Checklist,
    ChecklistItem,
    Draft,
    PublishConnector,
    Published,
    Scope,
    ShowChecklist,
)
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, authorise


async def show_checklist(caller: Caller, command: ShowChecklist, ports: Ports) -> Checklist:
    """The gate, item by item, for the draft as it stands."""
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
    items = await _items(draft, command.scope, ports)
    return Checklist(
        slug=draft.slug,
        owner=draft.owner,
        revision=draft.revision,
        digest=draft.digest,
        publishable=not gate.blocking(items),
        items=gate.shown(items),
    )


async def _items(draft: Draft, scope: Scope, ports: Ports) -> list[ChecklistItem]:
    return await ask_gate((draft.owner, draft.slug), draft.document, scope, ports, known_problems=draft.errors)


async def publish(
    caller: Caller,
    command: PublishConnector,
    ports: Ports,
    runner: MoveRunner,
    *,
    wait_seconds: float,
    reviews_platform: bool = False,
) -> Published:
    """Make the draft as it stands the next version, and answer once executors can see it.

    An enterprise's draft for the catalogue is handed to a review instead, and with `reviews_platform` the platform's
    own, too; the answer names it.

    Raises `not-publishable` with the gate's items, `conflict` while something else becomes of the connector, and
    `deadline-exceeded` after `wait_seconds`, with the publication going on by itself.
    """
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    require_passed(command.slug, [gate.scope_item(caller.enterprise, command.scope)])
    owner = PLATFORM if command.scope == "catalogue" else caller.enterprise
    reviewed = owner != caller.enterprise or (owner == PLATFORM and reviews_platform)
    for _ in range(ROUNDS):
        draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
        last = await last_version(caller, owner, draft.slug, ports)
        underway = await ports.store.open_move(owner, draft.slug)
        if underway is not None:
            if not is_release(underway, MoveKind.PUBLISH, digest=draft.digest):
                raise other_underway(underway)
            return published(await finished(underway, runner, wait_seconds), changed=False)
        if last is not None and last.digest == draft.digest and last.state == "published":
            return unchanged(owner, draft.slug, last)
        require_passed(draft.slug, await _items(draft, command.scope, ports))
        if reviewed:
            return await reviewing.request(caller, command, draft, ports)
        release = Release(
            version=await next_after(caller, draft, last, ports, owner=owner, bump=command.bump),
            digest=draft.digest,
            scope=command.scope,
            revision=draft.revision,
            base_version=last.version if last else None,
        )
        move = begun(caller, MoveKind.PUBLISH, release, owner=owner, slug=draft.slug, notes=command.notes)
        if await ports.store.record_move(move):
            return published(await finished(move, runner, wait_seconds), changed=True)
    raise overtaken(command.slug)
