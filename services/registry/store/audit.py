"""The audit log's rows."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.handlers.ports import AuditRecord
from services.registry.store.dialect import insert_if_free
from services.registry.store.tables import audit
from shared.contracts.commands import AuditEntry
from shared.persistence.tenancy import across_tenants


class SqlAudit:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, record: AuditRecord) -> bool:
        """The look before the insert is what SQLite needs: its guard refuses even an insert that would be ignored."""
        same = across_tenants(select(audit.c.id).where(audit.c.entry_id == record.entry_id))
        if await self._connection.scalar(same):
            return False
        return await insert_if_free(
            self._connection,
            audit,
            {
                "entry_id": record.entry_id,
                "at": record.at,
                "actor": record.actor,
                "enterprise": record.enterprise,
                "action": record.action,
                "noun": record.noun,
                "identifier": record.identifier,
                "details": dict(record.details),
                "request_id": record.request_id,
            },
        )

    async def page(
        self, enterprise: str, *, before: int | None, noun: str | None, identifier: str | None, limit: int
    ) -> list[AuditEntry]:
        query = select(
            audit.c.id,
            audit.c.at,
            audit.c.actor,
            audit.c.enterprise,
            audit.c.action,
            audit.c.noun,
            audit.c.identifier,
            audit.c.details,
            audit.c.request_id,
        ).where(audit.c.enterprise == enterprise)
        if before is not None:
            query = query.where(audit.c.id < before)
        if noun is not None:
            query = query.where(audit.c.noun == noun)
        if identifier is not None:
            query = query.where(audit.c.identifier == identifier)
        rows = await self._connection.execute(query.order_by(audit.c.id.desc()).limit(limit))
        return [AuditEntry(**row) for row in rows.mappings()]
