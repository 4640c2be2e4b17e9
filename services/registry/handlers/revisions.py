"""Revisions of drafts: checked, numbered, kept, told of. Everything that changes a draft ends here.

Large documents take a good part of a second to check: that happens in threads, so that others are answered meanwhile,
and before the transaction, so that nobody waits for it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from services.registry.domain.drafts import Revision, changes, headline, stale_save, told_short
from services.registry.domain.search import words_of
from services.registry.domain.templates import digest as digest_of
from services.registry.domain.templates import review, shown, with_clean_icon
from services.registry.handlers import audit
from services.registry.handlers.ports import Caller, Document, DraftState, Work
from shared.contracts.clock import utc_now
from shared.contracts.commands import DraftSaved, TemplateProblem
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM

SOURCE: Final = "registry"

log = structlog.get_logger("registry")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that may be kept, with its icon clean, and what is wrong with it."""

    slug: str
    document: Document
    digest: str
    words: str
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from that its author did not write now: an earlier revision, or another connector."""

    action: str = "draft.save"
    restored_from: int | None = None
    copied_from: str | None = None

    def said(self) -> dict[str, Any]:
        told = {"restored_from": self.restored_from, "copied_from": self.copied_from}
        return {name: value for name, value in told.items() if value is not None}


WRITTEN: Final = Origin()


async def prepare(slug: str, document: Document) -> Prepared:
    """`invalid-request` for what cannot be kept, `invalid-template` for an icon that is no image."""
    clean = await asyncio.to_thread(with_clean_icon, slug, document)
    digest = await asyncio.to_thread(digest_of, slug, clean)
    words = await asyncio.to_thread(words_of, slug, clean)
    errors, warnings = await asyncio.to_thread(review, slug, clean)
    return Prepared(slug, clean, digest, words, errors, warnings)


async def begin(work: Work, caller: Caller, prepared: Prepared, origin: Origin = WRITTEN) -> bool:
    """Make a draft of revision 1; False where somebody else made one meanwhile."""
    owner, slug = caller.enterprise, prepared.slug
    if owner != PLATFORM and await work.versions.of(PLATFORM, slug):
        raise DibopError(
            "already-exists",
            f"The catalogue has a connector {slug!r} already. Use that one, or choose another slug.",
        )
    if not await work.drafts.create(owner, slug, _state(caller, prepared, 1, (), origin)):
        return False
    await _tell(work, caller, prepared, 1, origin)
    return True


async def advance(
    work: Work, caller: Caller, prepared: Prepared, current: Revision, origin: Origin = WRITTEN
) -> tuple[int, bool]:
    """Make the next revision of a draft that is locked; its number, and False where the document is the same."""
    owner, slug = caller.enterprise, prepared.slug
    if current.digest == prepared.digest:
        return current.revision, False
    before = await work.drafts.document(owner, slug, current.revision)
    changed = told_short(changes(before or {}, prepared.document))
    revision = current.revision + 1
    await work.drafts.advance(owner, slug, _state(caller, prepared, revision, changed, origin))
    await _tell(work, caller, prepared, revision, origin)
    return revision, True


async def locked(work: Work, caller: Caller, slug: str, base_revision: int) -> Revision:
    """The draft's current revision, which is the one that the caller started from and stays so until this work ends."""
    current = await work.drafts.current(caller.enterprise, slug, lock=True)
    if current is None:
        raise no_draft(caller, slug)
    if current.revision != base_revision:
        raise await stale(work, caller, slug, base_revision, current)
    return current


async def stale(work: Work, caller: Caller, slug: str, base: int | None, current: Revision) -> DibopError:
    """The refusal of what started from another revision than the current one."""
    if base is None or base > current.revision:
        return stale_save(slug, base, current, ())
    before = await work.drafts.document(caller.enterprise, slug, base)
    after = await work.drafts.document(caller.enterprise, slug, current.revision)
    return stale_save(slug, base, current, changes(before or {}, after or {}))


def no_draft(caller: Caller, slug: str) -> DibopError:
    """The same whether it is not there or is not this caller's to see."""
    return DibopError(
        "not-found",
        f"{caller.subject!r} can see no draft {slug!r} of {caller.enterprise!r}. "
        "Check the slug, or list the connectors.",
    )


def saved(
    caller: Caller, prepared: Prepared, revision: int, *, changed: bool, document: Document | None = None
) -> DraftSaved:
    """The answer, `document` being what was put together of two edits; the log is told, too."""
    log.info(
        "draft saved" if changed else "draft unchanged",
        owner=caller.enterprise,
        connector=prepared.slug,
        revision=revision,
        merged=document is not None,
        errors=len(prepared.errors),
        actor=caller.subject,
        request_id=caller.request_id,
    )
    return DraftSaved(
        slug=prepared.slug,
        owner=caller.enterprise,
        revision=revision,
        digest=prepared.digest,
        changed=changed,
        merged=document is not None,
        document=document,
        errors=shown(prepared.errors),
        warnings=shown(prepared.warnings),
    )


async def _tell(work: Work, caller: Caller, prepared: Prepared, revision: int, origin: Origin) -> None:
    said: Mapping[str, Any] = {
        "slug": prepared.slug,
        "owner": caller.enterprise,
        "revision": revision,
        "digest": prepared.digest,
        "valid": not prepared.errors,
        **origin.said(),
    }
    await audit.record(work, caller, origin.action, ("connector", prepared.slug), said)
    told = {**said, "actor": caller.subject}
    await work.emit(Event(caller.enterprise, "connector", prepared.slug, "draft_saved", SOURCE, told))


def _state(
    caller: Caller, prepared: Prepared, number: int, changed: list[str] | tuple[()], origin: Origin
) -> DraftState:
    name, kind = headline(prepared.slug, prepared.document)
    return DraftState(
        Revision(number, prepared.digest, caller.subject, utc_now()),
        name,
        kind,
        prepared.words,
        prepared.document,
        changed,
        origin.restored_from,
    )
