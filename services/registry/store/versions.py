"""Published versions: inserted once, read ever after; their states are rows of their own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from sqlalchemy import RowMapping, and_, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.handlers.ports import ConnectorSummary, Document, StateMove, VersionRecord
from services.registry.store import documents
from services.registry.store.search import write_words
from services.registry.store.tables import connectors, version_moves, version_states, versions
from shared.persistence.tenancy import across_tenants

_AT_ONCE: Final = 500
"""Below the number of bound values that either database takes in one statement."""
_RECORD = select(
    versions.c.owner,
    versions.c.slug,
    versions.c.version,
    versions.c.digest,
    versions.c.scope,
    versions.c.revision,
    versions.c.publication_id,
    versions.c.published_by,
    versions.c.published_at,
    versions.c.notes,
    versions.c.sends,
    version_states.c.state,
    version_states.c.successor,
    version_states.c.date,
).join_from(
    versions,
    version_states,
    and_(
        version_states.c.owner == versions.c.owner,
        version_states.c.slug == versions.c.slug,
        version_states.c.version == versions.c.version,
    ),
)


class SqlVersions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, owner: str, slug: str) -> list[VersionRecord]:
        rows = await self._connection.execute(_RECORD.where(versions.c.owner == owner, versions.c.slug == slug))
        return [_record(row) for row in rows.mappings()]

    async def document(self, owner: str, slug: str, version: str) -> Document:
        text = await self._connection.scalar(
            select(versions.c.document).where(
                versions.c.owner == owner, versions.c.slug == slug, versions.c.version == version
            )
        )
        if text is None:
            raise LookupError(f"there is no version {version} of {owner}.{slug}")
        return documents.decode(text)

    async def published(self, *, after: tuple[str, str] | None, limit: int) -> list[tuple[str, str]]:
        query = select(versions.c.owner, versions.c.slug).distinct()
        if after is not None:
            query = query.where(tuple_(versions.c.owner, versions.c.slug) > tuple_(*after))
        query = query.order_by(versions.c.owner, versions.c.slug).limit(limit)
        rows = await self._connection.execute(across_tenants(query))
        return [(row.owner, row.slug) for row in rows]

    async def by_publication(self, publication_id: str) -> VersionRecord | None:
        query = _RECORD.where(versions.c.publication_id == publication_id)
        rows = await self._connection.execute(across_tenants(query))
        row = rows.mappings().first()
        return _record(row) if row else None

    async def add(self, record: VersionRecord, document: Document) -> None:
        await self._connection.execute(
            insert(versions).values(
                owner=record.owner,
                slug=record.slug,
                version=record.version,
                digest=record.digest,
                scope=record.scope,
                revision=record.revision,
                document=documents.encode(document),
                publication_id=record.publication_id,
                published_by=record.published_by,
                published_at=record.published_at,
                notes=record.notes,
                sends=dict(record.sends or {}),
            )
        )
        await self._connection.execute(
            insert(version_states).values(
                owner=record.owner,
                slug=record.slug,
                version=record.version,
                state=record.state,
                changed_by=record.published_by,
                changed_at=record.published_at,
            )
        )

    async def by_move(self, owner: str, move_id: str) -> StateMove | None:
        query = select(version_moves).where(version_moves.c.owner == owner, version_moves.c.id == move_id)
        row = (await self._connection.execute(query)).mappings().first()
        return StateMove(**{**row, "versions": tuple(row["versions"])}) if row else None

    async def move(self, move: StateMove) -> None:
        await self._connection.execute(insert(version_moves).values({**asdict(move), "versions": list(move.versions)}))
        for start in range(0, len(move.versions), _AT_ONCE):
            await self._connection.execute(
                update(version_states)
                .where(
                    version_states.c.owner == move.owner,
                    version_states.c.slug == move.slug,
                    version_states.c.version.in_(move.versions[start : start + _AT_ONCE]),
                )
                .values(
                    state=move.state,
                    successor=move.successor,
                    date=move.date,
                    changed_by=move.moved_by,
                    changed_at=move.moved_at,
                )
            )

    async def generation(self, owner: str, slug: str) -> int:
        found = await self._connection.scalar(
            select(connectors.c.generation).where(connectors.c.owner == owner, connectors.c.slug == slug)
        )
        return found or 0

    async def summarise(self, owner: str, slug: str, summary: ConnectorSummary) -> None:
        await write_words(self._connection, owner, slug, summary.words, draft=False)
        await self._connection.execute(
            update(connectors)
            .where(connectors.c.owner == owner, connectors.c.slug == slug)
            .values(
                published_name=summary.name,
                published_name_folded=summary.name.casefold(),
                published_type=summary.type,
                published_at=summary.published_at,
                state=summary.state,
                latest_version=summary.latest_version,
                generation=connectors.c.generation + 1,
            )
        )


def _record(row: RowMapping) -> VersionRecord:
    return VersionRecord(**row)
