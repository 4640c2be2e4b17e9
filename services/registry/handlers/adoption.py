"""Adopting: what an enterprise drafted, and a review let through, becomes the platform's own draft and version."""

from __future__ import annotations

import asyncio

from services.registry.domain.drafts import Revision, headline
from services.registry.domain.search import words_of
from services.registry.handlers.ports import Document, DraftState, Work
from shared.contracts.clock import utc_now
from shared.contracts.commands import AddVersion
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.contracts.versions import in_order


def require_adopter(owner: str, command: AddVersion) -> None:
    """Refuse a source for whoever is not the platform."""
    if command.source is not None and owner != PLATFORM:
        raise DibopError(
            "invalid-request",
            f"{owner!r} cannot take over a draft of {command.source!r}: the platform alone takes drafts of others, "
            "for the catalogue.",
        )


async def adopt(work: Work, command: AddVersion, document: Document) -> int:
    """Have the platform's draft, which is locked, hold the document; the revision that does.

    `conflict` where the platform's draft has changes that no version has: they would be covered.
    """
    slug = command.slug
    current = await work.drafts.current(PLATFORM, slug)
    if current is None:
        await work.drafts.create(PLATFORM, slug, await _state(1, command, document))
        return 1
    if current.digest == command.digest:
        return current.revision
    versions = in_order(await work.versions.of(PLATFORM, slug))
    if not versions or versions[-1].digest != current.digest:
        raise DibopError(
            "conflict",
            f"The platform has a draft {slug!r} of its own, at revision {current.revision} by {current.saved_by!r}, "
            "with changes that are not published. Publish or discard them first.",
        )
    await work.drafts.advance(PLATFORM, slug, await _state(current.revision + 1, command, document))
    return current.revision + 1


async def _state(revision: int, command: AddVersion, document: Document) -> DraftState:
    name, kind = headline(command.slug, document)
    saved = Revision(revision, command.digest, command.actor, utc_now())
    words = await asyncio.to_thread(words_of, command.slug, document)
    return DraftState(saved, name, kind, words, document)
