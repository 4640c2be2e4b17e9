"""Drafts: saved and patched by their authors, read, staged for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from services.registry.domain.drafts import Revision, changes, stale_save
from services.registry.domain.merging import merge, merge_patch
from services.registry.domain.templates import require_valid, review, shown, with_clean_icon
from services.registry.handlers.access import admit, sees_drafts
from services.registry.handlers.ports import Caller, Document, Projections, Store, Work
from services.registry.handlers.revisions import Prepared, advance, begin, no_draft, prepare, saved, stale
from shared.contracts.commands import Draft, DraftSaved, GetDraft, PatchDraft, SaveDraft, StagedDraft, StageDraft
from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json, operation_digest
from shared.security.principals import Action

_ROUNDS: Final = 20
"""How often an edit is merged anew because another came first. Each round, one of them gets through."""


async def save(store: Store, caller: Caller, command: SaveDraft) -> DraftSaved:
    """Save a draft as its next revision. A document with errors is saved too; they come back in the answer.

    `conflict` where the author started from another revision than the current one; with `merge`, only where both
    sides changed the same. The very document that is current is no change, whatever revision the author started from.
    The icon is stored clean; `invalid-template` where it cannot be, since what is no image is never kept.
    """
    admit(caller, Action.EDIT_DRAFT)
    if command.merge and command.base_revision is not None:
        mine = await asyncio.to_thread(with_clean_icon, command.slug, command.document)
        return await _put_together(store, caller, command.slug, command.base_revision, lambda _: mine)
    prepared = await prepare(command.slug, command.document)
    async with store.write() as work:
        revision, changed = await _save(work, caller, command, prepared)
    return saved(caller, prepared, revision, changed=changed)


async def patch(store: Store, caller: Caller, command: PatchDraft) -> DraftSaved:
    """Change some of a draft. What others changed since `base_revision` stays; `conflict` where both changed the same.

    `errors` of the conflict tell the places, those that both changed with `both` true.
    """
    admit(caller, Action.EDIT_DRAFT)

    def patched(base: Document) -> Document:
        document: Document = merge_patch(base, command.patch)
        return with_clean_icon(command.slug, document)

    return await _put_together(store, caller, command.slug, command.base_revision, patched)


async def get(store: Store, caller: Caller, query: GetDraft) -> Draft:
    """A draft, as it stands or as it was, with what is wrong with it now."""
    admit(caller, Action.READ)
    found, document = await _visible(store, caller, query.slug, query.revision)
    errors, warnings = await asyncio.to_thread(review, query.slug, document)
    return Draft(
        slug=query.slug,
        owner=caller.enterprise,
        revision=found.revision,
        digest=found.digest,
        document=document,
        errors=shown(errors),
        warnings=shown(warnings),
        saved_by=found.saved_by,
        saved_at=found.saved_at,
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


async def _save(work: Work, caller: Caller, command: SaveDraft, prepared: Prepared) -> tuple[int, bool]:
    owner, slug = caller.enterprise, command.slug
    current = await work.drafts.current(owner, slug, lock=True)
    if current is None:
        if command.base_revision is not None:
            raise DibopError(
                "not-found",
                f"There is no draft {slug!r} of {owner!r} with a revision {command.base_revision}. "
                "Save without base_revision to make the draft.",
            )
        if await begin(work, caller, prepared):
            return 1, True
        current = await work.drafts.current(owner, slug, lock=True)
    if current is None:
        raise RuntimeError(f"the draft {owner}.{slug} is neither there nor can it be made")
    if current.digest != prepared.digest and command.base_revision != current.revision:
        raise await _refused(work, caller, command, prepared, current)
    return await advance(work, caller, prepared, current)


async def _refused(work: Work, caller: Caller, command: SaveDraft, prepared: Prepared, current: Revision) -> DibopError:
    """`conflict`, with what both sides changed."""
    base = command.base_revision
    if base is None or base > current.revision:
        return await stale(work, caller, command.slug, base, current)
    before, theirs = await _two(work, caller, command.slug, base, current)
    both = merge(before, theirs, prepared.document).conflicts
    return stale_save(command.slug, base, current, changes(before, theirs), both)


async def _put_together(
    store: Store, caller: Caller, slug: str, base_revision: int, mine_of: Callable[[Document], Document]
) -> DraftSaved:
    """Save what `mine_of` makes of the document at `base_revision`, merged with what others made of it since.

    Documents are merged and checked outside of the transaction, which begins anew where another save came first.
    """
    for _ in range(_ROUNDS):
        async with store.read() as work:
            seen = await work.drafts.current(caller.enterprise, slug)
            if seen is None:
                raise no_draft(caller, slug)
            if base_revision > seen.revision:
                raise await stale(work, caller, slug, base_revision, seen)
            base, theirs = await _two(work, caller, slug, base_revision, seen)
        mine = await asyncio.to_thread(mine_of, base)
        merged = await asyncio.to_thread(merge, base, theirs, mine)
        if merged.conflicts:
            raise stale_save(slug, base_revision, seen, changes(base, theirs), merged.conflicts)
        prepared = await prepare(slug, merged.document)
        async with store.write() as work:
            current = await work.drafts.current(caller.enterprise, slug, lock=True)
            if current is None or current.revision != seen.revision:
                continue
            revision, changed = await advance(work, caller, prepared, current)
        others = prepared.document if base_revision != seen.revision else None
        return saved(caller, prepared, revision, changed=changed, document=others)
    raise DibopError(
        "overloaded",
        f"The draft {slug!r} is being changed so often that this edit did not get its turn in {_ROUNDS} rounds. "
        "Repeat it.",
    )


async def _two(work: Work, caller: Caller, slug: str, base: int, current: Revision) -> tuple[Document, Document]:
    """The documents of a revision that was, and of the current one."""
    before = await work.drafts.document(caller.enterprise, slug, base)
    after = (
        before if base == current.revision else await work.drafts.document(caller.enterprise, slug, current.revision)
    )
    if before is None or after is None:
        raise RuntimeError(f"the draft {caller.enterprise}.{slug} has lost revision {base} or {current.revision}")
    return before, after


async def _visible(store: Store, caller: Caller, slug: str, revision: int | None = None) -> tuple[Revision, Document]:
    """The draft, or one of its revisions; `not-found` is the same whether it is not there or not this caller's."""
    if not sees_drafts(caller.principal, caller.enterprise):
        raise no_draft(caller, slug)
    async with store.read() as work:
        current = await work.drafts.current(caller.enterprise, slug)
        if current is None:
            raise no_draft(caller, slug)
        found = current if revision is None else await find(work, caller, slug, revision)
        document = await work.drafts.document(caller.enterprise, slug, found.revision)
    if document is None:
        raise RuntimeError(f"the draft {caller.enterprise}.{slug} has lost revision {found.revision}")
    return found, document


async def find(work: Work, caller: Caller, slug: str, revision: int) -> Revision:
    """A revision that was, or `not-found`."""
    past = await work.drafts.history(caller.enterprise, slug, before=revision + 1, limit=1)
    if not past or past[0].revision != revision:
        raise DibopError(
            "not-found",
            f"The draft {slug!r} of {caller.enterprise!r} has no revision {revision}. Its history lists them.",
        )
    return Revision(revision, past[0].digest, past[0].saved_by, past[0].saved_at)
