"""Audit entries on their way to the registry."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.publisher.handlers.ports import AuditRecord
from services.publisher.store.tables import audit_queue


async def queue_audit(connection: AsyncConnection, audit: AuditRecord) -> None:
    """Hand the entry to the registry once the transaction of `connection` commits."""
    await connection.execute(
        audit_queue.insert().values(
            entry_id=audit.entry.id, enterprise=audit.enterprise, entry=audit.entry.model_dump_json()
        )
    )
