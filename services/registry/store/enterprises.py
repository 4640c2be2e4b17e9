"""Enterprises, one row each; every row says how much of it stands in the projection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.enterprises import EnterpriseRecord, Moment
from services.registry.store.dialect import insert_if_free
from services.registry.store.tables import enterprises as table
from shared.persistence.tenancy import across_tenants


class SqlEnterprises:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, enterprise: str) -> EnterpriseRecord | None:
        row = (await self._connection.execute(select(table).where(table.c.id == enterprise))).first()
        return None if row is None else _record(row)

    async def hold(self, enterprise: str) -> EnterpriseRecord:
        await insert_if_free(self._connection, table, {"id": enterprise})
        query = select(table).where(table.c.id == enterprise).with_for_update()
        return _record((await self._connection.execute(query)).one())

    async def write(self, record: EnterpriseRecord, *, anew: bool) -> EnterpriseRecord:
        written = replace(record, generation=record.generation + 1) if anew else record
        await self._connection.execute(
            update(table)
            .where(table.c.id == record.id)
            .values(
                name=written.name,
                named_at=written.named.at,
                named_sequence=written.named.sequence,
                suspended=written.suspended,
                reason=written.reason,
                changed_at=written.changed.at,
                changed_sequence=written.changed.sequence,
                sdk_access=written.sdk_access,
                sdk_changed_at=written.sdk_changed.at,
                sdk_changed_sequence=written.sdk_changed.sequence,
                generation=written.generation,
            )
        )
        return written

    async def page(self, *, suspended: bool | None, after: str | None, limit: int) -> list[EnterpriseRecord]:
        query = select(table).order_by(table.c.id).limit(limit)
        if suspended is not None:
            query = query.where(table.c.suspended.is_(suspended))
        if after is not None:
            query = query.where(table.c.id > after)
        return [_record(row) for row in await self._connection.execute(across_tenants(query))]

    async def unprojected(self, limit: int) -> list[str]:
        query = select(table.c.id).where(table.c.projected_generation < table.c.generation).limit(limit)
        return list(await self._connection.scalars(across_tenants(query)))

    async def mark_projected(self, enterprise: str, generation: int) -> None:
        await self._connection.execute(
            update(table)
            .where(table.c.id == enterprise, table.c.projected_generation < generation)
            .values(projected_generation=generation)
        )


def _record(row: Row[Any]) -> EnterpriseRecord:
    return EnterpriseRecord(
        id=row.id,
        name=row.name,
        named=Moment(row.named_at, row.named_sequence),
        suspended=row.suspended,
        reason=row.reason,
        changed=Moment(row.changed_at, row.changed_sequence),
        sdk_access=row.sdk_access,
        sdk_changed=Moment(row.sdk_changed_at, row.sdk_changed_sequence),
        generation=row.generation,
    )
