"""Drafts: saved by their authors, staged for tests.

Large documents take a good part of a second to check: that happens in threads, so that others are answered meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from services.registry.domain.drafts import Revision, changes, headline, stale_save
from services.registry.domain.search import words_of
from services.registry.domain.templates import digest as digest_of
from services.registry.domain.templates import require_valid, review, shown, with_clean_icon
from services.registry.handlers import audit
from services.registry.handlers.access import admit, sees_drafts
from services.registry.handlers.ports import Caller, Document, DraftState, Projections, Store, Work
from shared.contracts.clock import utc_now
from shared.contracts.commands import Draft, DraftSaved, GetDraft, SaveDraft, StagedDraft, StageDraft
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM
from shared.contracts.template import canonical_json, operation_digest
from shared.security.principals import Action

SOURCE: Final = "registry"

log = structlog.get_logger("registry")


async def save(store: Store, caller: Caller, command: SaveDraft) -> DraftSaved:
    """Save a draft as its next revision. A document with errors is saved too; they come back in the answer.

    `conflict` where the author started from another revision than the current one. The very document that is
    current is no change, whatever revision the author started from. The icon is stored clean; `invalid-template`
    where it cannot be, since what is no image is never kept.
    """
    admit(caller, Action.EDIT_DRAFT)
    command = await asyncio.to_thread(with_clean_icon, command)
    digest = await asyncio.to_thread(digest_of, command.slug, command.document)
    errors, warnings = await asyncio.to_thread(review, command.slug, command.document)
    found_by = await asyncio.to_thread(words_of, command.slug, command.document)
    async with store.write() as work:
        revision, changed = await _save(work, caller, command, digest, found_by, valid=not errors)
    log.info(
        "draft saved" if changed else "draft unchanged",
        owner=caller.enterprise,
        connector=command.slug,
        revision=revision,
        errors=len(errors),
        actor=caller.subject,
        request_id=caller.request_id,
    )
    return DraftSaved(
        slug=command.slug,
        owner=caller.enterprise,
        revision=revision,
        digest=digest,
        changed=changed,
        errors=shown(errors),
        warnings=shown(warnings),
    )


async def get(store: Store, caller: Caller, query: GetDraft) -> Draft:
    """A draft with what is wrong with it now."""
    admit(caller, Action.READ)
    current, document = await _visible(store, caller, query.slug)
    errors, warnings = await asyncio.to_thread(review, query.slug, document)
    return Draft(
        slug=query.slug,
        owner=caller.enterprise,
        revision=current.revision,
        digest=current.digest,
        document=document,
        errors=shown(errors),
        warnings=shown(warnings),
        saved_by=current.saved_by,
        saved_at=current.saved_at,
    )


async def stage(store: Store, projections: Projections, caller: Caller, command: StageDraft) -> StagedDraft:
    """Put a draft's document where executors read it; a draft with errors is refused with all of them."""
    admit(caller, Action.READ)
    current, document = await _visible(store, caller, command.slug)
    valid = await asyncio.to_thread(require_valid, command.slug, document)
    await projections.put_document(current.digest, canonical_json(document))
    return StagedDraft(
        slug=command.slug,
        owner=caller.enterprise,
        revision=current.revision,
        digest=current.digest,
        document=document,
        operations={
            operation.operation: operation_digest(valid, operation.operation) for operation in valid.operations
        },
    )


async def _save(
    work: Work, caller: Caller, command: SaveDraft, digest: str, found_by: str, *, valid: bool
) -> tuple[int, bool]:
    owner, slug = caller.enterprise, command.slug
    current = await work.drafts.current(owner, slug, lock=True)
    if current is None:
        await _require_free(work, caller, command)
        if await work.drafts.create(owner, slug, _next_state(command, caller, 1, digest, found_by)):
            await _tell(work, caller, slug, 1, digest, valid=valid)
            return 1, True
        current = await work.drafts.current(owner, slug, lock=True)
    if current is None:
        raise RuntimeError(f"the draft {owner}.{slug} is neither there nor can it be made")
    if current.digest == digest:
        return current.revision, False
    if command.base_revision != current.revision:
        raise await _stale(work, caller, command, current)
    revision = current.revision + 1
    await work.drafts.advance(owner, slug, _next_state(command, caller, revision, digest, found_by))
    await _tell(work, caller, slug, revision, digest, valid=valid)
    return revision, True


async def _require_free(work: Work, caller: Caller, command: SaveDraft) -> None:
    if command.base_revision is not None:
        raise DibopError(
            "not-found",
            f"There is no draft {command.slug!r} of {caller.enterprise!r} with a revision {command.base_revision}. "
            "Save without base_revision to make the draft.",
        )
    if caller.enterprise != PLATFORM and await work.versions.of(PLATFORM, command.slug):
        raise DibopError(
            "already-exists",
            f"The catalogue has a connector {command.slug!r} already. Use that one, or choose another slug.",
        )


async def _stale(work: Work, caller: Caller, command: SaveDraft, current: Revision) -> DibopError:
    base = command.base_revision
    if base is None or base > current.revision:
        return stale_save(command.slug, base, current, ())
    before = await work.drafts.document(caller.enterprise, command.slug, base)
    after = await work.drafts.document(caller.enterprise, command.slug, current.revision)
    return stale_save(command.slug, base, current, changes(before or {}, after or {}))


async def _tell(work: Work, caller: Caller, slug: str, revision: int, digest: str, *, valid: bool) -> None:
    said = {"slug": slug, "owner": caller.enterprise, "revision": revision, "digest": digest, "valid": valid}
    await audit.record(work, caller, "draft.save", ("connector", slug), said)
    await work.emit(
        Event(caller.enterprise, "connector", slug, "draft_saved", SOURCE, {**said, "actor": caller.subject})
    )


def _next_state(command: SaveDraft, caller: Caller, revision: int, digest: str, found_by: str) -> DraftState:
    name, kind = headline(command.slug, command.document)
    return DraftState(Revision(revision, digest, caller.subject, utc_now()), name, kind, found_by, command.document)


async def _visible(store: Store, caller: Caller, slug: str) -> tuple[Revision, Document]:
    """The draft, or `not-found`: the same whether it is not there or is not this caller's to see."""
    if sees_drafts(caller.principal, caller.enterprise):
        async with store.read() as work:
            current = await work.drafts.current(caller.enterprise, slug)
            if current is not None:
                document = await work.drafts.document(caller.enterprise, slug, current.revision)
                if document is not None:
                    return current, document
    raise DibopError(
        "not-found",
        f"{caller.subject!r} can see no draft {slug!r} of {caller.enterprise!r}. "
        "Check the slug, or list the connectors.",
    )
