"""What becomes of published versions: deprecated, unpublished, retired. The publisher commands it, move by move."""

from __future__ import annotations

from typing import Final

import structlog

from services.registry.domain.lifecycle import moving, require_successor, require_unused
from services.registry.handlers import audit
from services.registry.handlers.access import admit, owners
from services.registry.handlers.ports import Caller, StateMove, Store, Work
from services.registry.handlers.versions import catalogue_entry, entry_fields, summarise
from shared.contracts.clock import utc_now
from shared.contracts.commands import SetVersionState, VersionStateSet
from shared.contracts.errors import DibopError
from shared.contracts.versions import OFFERED, connector_state
from shared.security.principals import Action

_NAMED: Final = 100
"""How many versions an audit entry names."""

log = structlog.get_logger("registry")


async def set_state(store: Store, caller: Caller, command: SetVersionState) -> VersionStateSet:
    """Move versions to a later state, all or none, and answer the catalogue entry as it must stand.

    `conflict` where a version's state does not lead there, or where connections use what is to be retired. Repeating
    the command with the same `move_id` moves nothing and answers the entry again.
    """
    admit(caller, Action.SET_VERSION_STATE)
    owner, slug = caller.enterprise, command.slug
    async with store.write() as work:
        await work.drafts.current(owner, slug, lock=True)
        moved = not await _is_repeat(work, owner, command)
        if moved:
            await _move(work, caller, command)
        entry = await catalogue_entry(work, owner, slug)
    log.info(
        "versions moved" if moved else "versions were moved",
        owner=owner,
        connector=slug,
        versions=command.versions,
        state=command.state,
        move=command.move_id,
        actor=command.actor,
        request_id=caller.request_id,
    )
    return VersionStateSet(**entry_fields(entry), state=connector_state(entry.versions))


async def _move(work: Work, caller: Caller, command: SetVersionState) -> None:
    owner, slug = caller.enterprise, command.slug
    versions = await work.versions.of(owner, slug)
    moving(slug, versions, command.versions, command.state)
    if command.state == "retired":
        require_unused(slug, versions, command.versions, await work.connections.policies(owner, slug))
    if command.successor is not None:
        offered = await _is_offered(work, owner, command.successor)
        require_successor(slug, command.successor, versions, command.versions, other_is_offered=offered)
    await work.versions.move(
        StateMove(
            id=command.move_id,
            owner=owner,
            slug=slug,
            versions=tuple(command.versions),
            state=command.state,
            successor=command.successor,
            date=command.date.isoformat() if command.date else None,
            notes=command.notes,
            moved_by=command.actor,
            moved_at=utc_now(),
        )
    )
    await summarise(work, owner, slug)
    said = command.model_dump(mode="json", include={"move_id", "versions", "state", "successor", "date"})
    if len(command.versions) > _NAMED:
        said |= {"versions": command.versions[:_NAMED], "more": len(command.versions) - _NAMED}
    await audit.record(work, caller, "version.set-state", ("connector", slug), said, actor=command.actor)


async def _is_offered(work: Work, owner: str, slug: str) -> bool:
    """Whether those who use what `owner` has may make new connections to this connector."""
    for whose in owners(owner):
        if versions := await work.versions.of(whose, slug):
            return any(each.state in OFFERED for each in versions)
    return False


async def _is_repeat(work: Work, owner: str, command: SetVersionState) -> bool:
    """True where this very move was made before; another one under its id is refused."""
    earlier = await work.versions.by_move(owner, command.move_id)
    if earlier is None:
        return False
    if (earlier.slug, earlier.state, set(earlier.versions)) == (command.slug, command.state, set(command.versions)):
        return True
    raise DibopError(
        "conflict",
        f"Move {command.move_id!r} has made versions of {earlier.slug!r} {earlier.state} already. "
        "Begin a move of its own.",
    )
