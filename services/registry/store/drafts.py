"""Drafts and their revisions."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.drafts import Revision
from services.registry.handlers.ports import Document, DraftState, PastRevision
from services.registry.store import documents
from services.registry.store.dialect import insert_if_free
from services.registry.store.search import write_words
from services.registry.store.tables import connector_words, connectors, draft_revisions

_PAST = select(
    draft_revisions.c.revision,
    draft_revisions.c.digest,
    draft_revisions.c.saved_by,
    draft_revisions.c.saved_at,
    draft_revisions.c.changed,
    draft_revisions.c.restored_from,
)


class SqlDrafts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def current(self, owner: str, slug: str, *, lock: bool = False) -> Revision | None:
        query = select(connectors.c.revision, connectors.c.digest, connectors.c.saved_by, connectors.c.saved_at).where(
            connectors.c.owner == owner, connectors.c.slug == slug
        )
        row = (await self._connection.execute(query.with_for_update() if lock else query)).first()
        return Revision(*row) if row else None

    async def document(self, owner: str, slug: str, revision: int) -> Document | None:
        text: str | None = await self._connection.scalar(
            select(draft_revisions.c.document).where(*_revision(owner, slug, revision))
        )
        return None if text is None else documents.decode(text)

    async def digest(self, owner: str, slug: str, revision: int) -> str | None:
        digest: str | None = await self._connection.scalar(
            select(draft_revisions.c.digest).where(*_revision(owner, slug, revision))
        )
        return digest

    async def create(self, owner: str, slug: str, draft: DraftState) -> bool:
        if not await insert_if_free(self._connection, connectors, {"owner": owner, "slug": slug, **_columns(draft)}):
            return False
        await self._keep(owner, slug, draft)
        return True

    async def advance(self, owner: str, slug: str, draft: DraftState) -> None:
        await self._connection.execute(
            update(connectors).where(connectors.c.owner == owner, connectors.c.slug == slug).values(**_columns(draft))
        )
        await self._keep(owner, slug, draft)

    async def history(self, owner: str, slug: str, *, before: int | None, limit: int) -> list[PastRevision]:
        query = _PAST.where(draft_revisions.c.owner == owner, draft_revisions.c.slug == slug)
        if before is not None:
            query = query.where(draft_revisions.c.revision < before)
        rows = await self._connection.execute(query.order_by(draft_revisions.c.revision.desc()).limit(limit))
        return [PastRevision(**row) for row in rows.mappings()]

    async def delete(self, owner: str, slug: str) -> None:
        for table in (connector_words, draft_revisions, connectors):
            await self._connection.execute(delete(table).where(table.c.owner == owner, table.c.slug == slug))

    async def _keep(self, owner: str, slug: str, draft: DraftState) -> None:
        revision = draft.revision
        await write_words(self._connection, owner, slug, draft.words, draft=True)
        await self._connection.execute(
            insert(draft_revisions).values(
                owner=owner,
                slug=slug,
                revision=revision.revision,
                digest=revision.digest,
                document=documents.encode(draft.document),
                saved_by=revision.saved_by,
                saved_at=revision.saved_at,
                changed=list(draft.changed),
                restored_from=draft.restored_from,
            )
        )


def _revision(owner: str, slug: str, revision: int) -> tuple[ColumnElement[bool], ...]:
    return (
        draft_revisions.c.owner == owner,
        draft_revisions.c.slug == slug,
        draft_revisions.c.revision == revision,
    )


def _columns(draft: DraftState) -> dict[str, str | int]:
    return {
        "revision": draft.revision.revision,
        "digest": draft.revision.digest,
        "saved_by": draft.revision.saved_by,
        "saved_at": draft.revision.saved_at,
        "name": draft.name,
        "name_folded": draft.name.casefold(),
        "type": draft.type,
    }
