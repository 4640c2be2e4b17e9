"""The store of the use cases: each method is one transaction, with the events and audit entries of its change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.publisher.domain.publications import OPEN_STATES, Evidence, Publication, PublicationState, Refusal
from services.publisher.handlers.ports import AuditRecord
from services.publisher.store.tables import audit_queue, evidence, publications
from shared.contracts.commands import AppendAudit
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry
from shared.persistence.engine import Database
from shared.persistence.outbox import enqueue
from shared.persistence.tenancy import across_tenants

_OPEN: Final = [state.value for state in OPEN_STATES]
_DIGESTS_AT_ONCE: Final = 500
"""Below the number of bound values that either database takes in one statement."""


class _OvertakenError(Exception):
    """Rolls back a publication whose version was made meanwhile."""


class SqlStore:
    """The publisher's records in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_test(self, rows: Sequence[Evidence], event: Event, audit: AuditRecord) -> None:
        async with self._database.write() as connection:
            if rows:
                await connection.execute(evidence.insert(), [asdict(row) for row in rows])
            await enqueue(connection, event)
            await _queue_audit(connection, audit)

    async def latest_evidence(self, owner: str, slug: str, digests: Iterable[str]) -> Mapping[str, Evidence]:
        wanted = list(dict.fromkeys(digests))
        found: dict[str, Evidence] = {}
        async with self._database.read() as connection:
            for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
                part = wanted[start : start + _DIGESTS_AT_ONCE]
                rows = await connection.execute(_latest_evidence(owner, slug, part))
                found.update((row["operation_digest"], Evidence(**row)) for row in rows.mappings())
        return found

    async def record_publication(self, publication: Publication) -> bool:
        """The unique index holds back a second open one; the query sees one that came and went meanwhile."""
        try:
            async with self._database.write() as connection:
                await connection.execute(publications.insert().values(_to_row(publication)))
                await _require_no_follower(connection, publication)
        except (IntegrityError, _OvertakenError):
            return False
        return True

    async def publication(self, identifier: str) -> Publication:
        async with self._database.read() as connection:
            row = await connection.execute(
                across_tenants(sa.select(publications).where(publications.c.id == identifier))
            )
            return _from_row(row.mappings().one())

    async def open_publication(self, owner: str, slug: str) -> Publication | None:
        query = _open().where(publications.c.owner == owner, publications.c.slug == slug)
        found = await self._publications(query)
        return found[0] if found else None

    async def open_publications(self) -> Sequence[Publication]:
        return await self._publications(across_tenants(_open()))

    async def note_version_added(self, identifier: str, entry: CatalogueEntry) -> None:
        async with self._database.write() as connection:
            await _move(
                connection,
                identifier,
                PublicationState.RECORDED,
                PublicationState.VERSION_ADDED,
                entry=msgspec.json.encode(entry).decode(),
            )

    async def finish_publication(self, identifier: str, event: Event, audit: AuditRecord) -> None:
        async with self._database.write() as connection:
            if await _move(connection, identifier, PublicationState.VERSION_ADDED, PublicationState.PUBLISHED):
                await enqueue(connection, event)
                await _queue_audit(connection, audit)

    async def fail_publication(self, identifier: str, refusal: Refusal, audit: AuditRecord) -> None:
        async with self._database.write() as connection:
            if await _move(
                connection,
                identifier,
                PublicationState.RECORDED,
                PublicationState.FAILED,
                refusal_code=refusal.code,
                refusal_detail=refusal.detail,
            ):
                await _queue_audit(connection, audit)

    async def waiting_audit(self, limit: int) -> Sequence[AuditRecord]:
        async with self._database.read() as connection:
            query = across_tenants(sa.select(audit_queue).order_by(audit_queue.c.id).limit(limit))
            rows = await connection.execute(query)
            return [AuditRecord(row.enterprise, AppendAudit.model_validate_json(row.entry)) for row in rows]

    async def audit_taken(self, entry_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(across_tenants(audit_queue.delete().where(audit_queue.c.entry_id == entry_id)))

    async def _publications(self, query: sa.Select[Any]) -> list[Publication]:
        async with self._database.read() as connection:
            return [_from_row(row) for row in (await connection.execute(query)).mappings()]


def _open() -> sa.Select[Any]:
    query = sa.select(publications).where(publications.c.state.in_(_OPEN))
    return query.order_by(publications.c.created_at, publications.c.id)


async def _require_no_follower(connection: AsyncConnection, publication: Publication) -> None:
    followers = await connection.execute(
        sa.select(publications.c.id).where(
            publications.c.owner == publication.owner,
            publications.c.slug == publication.slug,
            publications.c.state == PublicationState.PUBLISHED.value,
            publications.c.base_version.is_not_distinct_from(publication.base_version),
        )
    )
    if followers.first() is not None:
        raise _OvertakenError


async def _move(
    connection: AsyncConnection, identifier: str, before: PublicationState, after: PublicationState, **values: Any
) -> bool:
    """Move a publication on; False where it does not stand in `before` any more, and nothing is changed."""
    moving = publications.update().where(publications.c.id == identifier, publications.c.state == before.value)
    moved = await connection.execute(across_tenants(moving.values(state=after.value, **values)))
    return moved.rowcount == 1


async def _queue_audit(connection: AsyncConnection, audit: AuditRecord) -> None:
    await connection.execute(
        audit_queue.insert().values(
            entry_id=audit.entry.id, enterprise=audit.enterprise, entry=audit.entry.model_dump_json()
        )
    )


def _latest_evidence(owner: str, slug: str, digests: Sequence[str]) -> sa.Select[Any]:
    last = (
        sa.select(sa.func.max(evidence.c.id))
        .where(evidence.c.owner == owner, evidence.c.slug == slug, evidence.c.operation_digest.in_(digests))
        .group_by(evidence.c.operation_digest)
    )
    columns = [column for column in evidence.c if column.name != "id"]
    return sa.select(*columns).where(evidence.c.owner == owner, evidence.c.id.in_(last))


def _to_row(publication: Publication) -> dict[str, Any]:
    row = asdict(publication)
    del row["entry"], row["refusal"]
    return {**row, "state": publication.state.value}


def _from_row(row: Mapping[Any, Any]) -> Publication:
    values = dict(row)
    entry, code, detail = (values.pop(name) for name in ("entry", "refusal_code", "refusal_detail"))
    return Publication(
        **{**values, "state": PublicationState(values["state"])},
        entry=msgspec.json.decode(entry, type=CatalogueEntry) if entry else None,
        refusal=Refusal(code, detail) if code else None,
    )
