"""The history of drafts: what each revision was, and the ways back."""

from __future__ import annotations

from services.registry.domain.pages import fitting
from services.registry.handlers.access import admit, sees_drafts
from services.registry.handlers.drafts import find
from services.registry.handlers.ports import Caller, Document, Store
from services.registry.handlers.revisions import Origin, advance, locked, no_draft, prepare, saved
from shared.contracts.commands import (
    DiscardDraft,
    DraftHistory,
    DraftRevision,
    DraftSaved,
    ListRevisions,
    RestoreDraft,
)
from shared.contracts.errors import DibopError
from shared.contracts.versions import latest
from shared.security.principals import Action


async def page(store: Store, caller: Caller, query: ListRevisions) -> DraftHistory:
    """Revisions, newest first, with what each changed and what was published from it."""
    admit(caller, Action.READ)
    owner, slug = caller.enterprise, query.slug
    if not sees_drafts(caller.principal, owner):
        raise no_draft(caller, slug)
    async with store.read() as work:
        if await work.drafts.current(owner, slug) is None:
            raise no_draft(caller, slug)
        found = await work.drafts.history(owner, slug, before=query.before, limit=query.limit + 1)
        published = {each.revision: each.version for each in await work.versions.of(owner, slug)}
    rows, more = fitting(
        [
            DraftRevision(
                revision=each.revision,
                digest=each.digest,
                saved_by=each.saved_by,
                saved_at=each.saved_at,
                changed=list(each.changed),
                restored_from=each.restored_from,
                version=published.get(each.revision),
            )
            for each in found
        ],
        query.limit,
    )
    return DraftHistory(slug=slug, owner=owner, revisions=rows, next_before=rows[-1].revision if more else None)


async def restore(store: Store, caller: Caller, command: RestoreDraft) -> DraftSaved:
    """Make the document of an earlier revision the next one. What stood there until now stays in the history."""
    admit(caller, Action.EDIT_DRAFT)
    async with store.read() as work:
        if await work.drafts.current(caller.enterprise, command.slug) is None:
            raise no_draft(caller, command.slug)
        await find(work, caller, command.slug, command.revision)
        document = await work.drafts.document(caller.enterprise, command.slug, command.revision)
    origin = Origin("draft.restore", restored_from=command.revision)
    return await _go_back(store, caller, command, document or {}, origin)


async def discard(store: Store, caller: Caller, command: DiscardDraft) -> DraftSaved:
    """Make the document of the latest version the next revision: what was edited since is undone, and stays in the
    history. `conflict` where nothing is published yet.
    """
    admit(caller, Action.EDIT_DRAFT)
    owner, slug = caller.enterprise, command.slug
    async with store.read() as work:
        if await work.drafts.current(owner, slug) is None:
            raise no_draft(caller, slug)
        version = latest(await work.versions.of(owner, slug))
        if version is None:
            raise DibopError(
                "conflict",
                f"Nothing of {slug!r} is published yet, so there is nothing to go back to. Restore an earlier revision "
                "of the draft, or delete the connector.",
            )
        document = await work.versions.document(owner, slug, version.version)
    return await _go_back(store, caller, command, document, Origin("draft.discard", restored_from=version.revision))


async def _go_back(
    store: Store, caller: Caller, command: RestoreDraft | DiscardDraft, document: Document, origin: Origin
) -> DraftSaved:
    prepared = await prepare(command.slug, document)
    async with store.write() as work:
        current = await locked(work, caller, command.slug, command.base_revision)
        revision, changed = await advance(work, caller, prepared, current, origin)
    return saved(caller, prepared, revision, changed=changed)
