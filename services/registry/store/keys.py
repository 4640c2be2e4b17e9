"""Sealing keys: their rows are what users of a key and its retirement lock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.handlers.ports import ConnectionKey, Retirement
from services.registry.store.dialect import insert_if_free
from services.registry.store.tables import connections, seal_keys, test_credentials
from shared.contracts.commands import KeyUse
from shared.persistence.tenancy import across_tenants

_SEALED: Final = (
    ("connections", connections.c.kid),
    ("tokens", connections.c.token_kid),
    ("test_credentials", test_credentials.c.kid),
)


class SqlKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def use(self, kid: str) -> Retirement | None:
        return await self._lock(kid, shared=True)

    async def hold(self, kid: str) -> Retirement | None:
        return await self._lock(kid, shared=False)

    async def retire(self, kid: str, retirement: Retirement) -> None:
        await self._connection.execute(
            update(seal_keys).where(seal_keys.c.kid == kid).values(retired_at=retirement.at, retired_by=retirement.by)
        )

    async def uses(self) -> list[KeyUse]:
        counts: dict[str, dict[str, int]] = {}
        for name, column in _SEALED:
            query = select(column, func.count()).where(column.is_not(None), column != "").group_by(column)
            rows = await self._connection.execute(across_tenants(query))
            for kid, count in rows:
                counts.setdefault(kid, {})[name] = count
        known = await self._connection.execute(select(seal_keys.c.kid, seal_keys.c.retired_at, seal_keys.c.retired_by))
        retirements = {kid: (at, by) for kid, at, by in known}
        nothing = dict.fromkeys((name for name, _ in _SEALED), 0)
        return [
            KeyUse(
                kid=kid,
                **{**nothing, **counts.get(kid, {})},
                retired_at=retirements.get(kid, (None, None))[0],
                retired_by=retirements.get(kid, (None, None))[1],
            )
            for kid in sorted({*counts, *retirements})
        ]

    async def connections(self, kid: str, limit: int) -> list[ConnectionKey]:
        query = select(connections.c.enterprise, connections.c.connector, connections.c.name).where(
            (connections.c.kid == kid) | (connections.c.token_kid == kid)
        )
        query = query.order_by(connections.c.enterprise, connections.c.connector, connections.c.name).limit(limit)
        rows = await self._connection.execute(across_tenants(query))
        return [ConnectionKey(*row) for row in rows]

    async def _lock(self, kid: str, *, shared: bool) -> Retirement | None:
        await insert_if_free(self._connection, seal_keys, {"kid": kid})
        query = select(seal_keys.c.retired_at, seal_keys.c.retired_by).where(seal_keys.c.kid == kid)
        row = (await self._connection.execute(query.with_for_update(read=shared, key_share=shared))).one()
        return None if row.retired_at is None else Retirement(row.retired_at, row.retired_by)
