"""Test credentials, each for as long as it may be kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.handlers.ports import TestCredentialsRecord
from services.registry.store.dialect import insert_if_free
from services.registry.store.tables import test_credentials as table
from shared.persistence.tenancy import across_tenants


class SqlTestCredentials:
    __test__ = False

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(self, record: TestCredentialsRecord) -> bool:
        await self._connection.execute(
            delete(table).where(
                *_persons(record.enterprise, record.person),
                table.c.connector == record.connector,
                table.c.origin == record.origin,
            )
        )
        return await insert_if_free(
            self._connection,
            table,
            {
                "id": record.id,
                "enterprise": record.enterprise,
                "person": record.person,
                "connector": record.connector,
                "origin": record.origin,
                "kid": record.kid,
                "plain_values": dict(record.values),
                "sealed_values": dict(record.sealed),
                "masked_tails": dict(record.masked),
                "saved_at": record.saved_at,
                "expires_at": record.expires_at,
            },
        )

    async def of(self, enterprise: str, person: str, *, connector: str | None, now: str) -> list[TestCredentialsRecord]:
        where = [*_persons(enterprise, person), table.c.expires_at > now]
        if connector is not None:
            where.append(table.c.connector == connector)
        return await self._read(*where)

    async def find(self, enterprise: str, person: str, identifier: str, *, now: str) -> TestCredentialsRecord | None:
        found = await self._read(*_persons(enterprise, person), table.c.id == identifier, table.c.expires_at > now)
        return found[0] if found else None

    async def delete(self, enterprise: str, person: str, identifier: str, *, now: str) -> bool:
        result = await self._connection.execute(
            delete(table).where(*_persons(enterprise, person), table.c.id == identifier, table.c.expires_at > now)
        )
        return result.rowcount == 1

    async def sweep(self, now: str) -> int:
        return (await self._connection.execute(across_tenants(delete(table).where(table.c.expires_at <= now)))).rowcount

    async def forget(self, kid: str) -> int:
        return (await self._connection.execute(across_tenants(delete(table).where(table.c.kid == kid)))).rowcount

    async def forget_connector(self, enterprise: str, connector: str) -> None:
        await self._connection.execute(
            delete(table).where(table.c.enterprise == enterprise, table.c.connector == connector)
        )

    async def _read(self, *where: ColumnElement[bool]) -> list[TestCredentialsRecord]:
        query: Any = select(
            table.c.id,
            table.c.enterprise,
            table.c.person,
            table.c.connector,
            table.c.origin,
            table.c.kid,
            table.c.plain_values.label("values"),
            table.c.sealed_values.label("sealed"),
            table.c.masked_tails.label("masked"),
            table.c.saved_at,
            table.c.expires_at,
        )
        rows = await self._connection.execute(query.where(*where).order_by(table.c.saved_at.desc(), table.c.id))
        return [TestCredentialsRecord(**row) for row in rows.mappings()]


def _persons(enterprise: str, person: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.enterprise == enterprise, table.c.person == person
