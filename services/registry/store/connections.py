"""Connections, and the tombstones that keep deleted ones from coming back."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, distinct, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.lifecycle import PolicyUse
from services.registry.handlers.ports import ConnectionKey, ConnectionRecord, ConsentRecord, Resealing, TokenRecord
from services.registry.store.dialect import insert_if_free
from services.registry.store.tables import connections
from shared.persistence.tenancy import across_tenants

_NO_TOKEN: Final[dict[str, Any]] = dict.fromkeys(("token_kid", "token_sealed", "token_scopes", "token_stored_at"))


class SqlConnections:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, key: ConnectionKey) -> ConnectionRecord | None:
        row = (await self._connection.execute(_live().where(*_named(key)))).mappings().first()
        return _record(row) if row else None

    async def create(self, record: ConnectionRecord) -> bool:
        key = ConnectionKey(record.enterprise, record.connector, record.name)
        return await insert_if_free(
            self._connection,
            connections,
            {
                "id": record.id,
                "enterprise": record.enterprise,
                "connector": record.connector,
                "owner": record.owner,
                "name": record.name,
                "version_policy": record.version_policy,
                "origin": record.origin,
                "kid": record.kid,
                "plain_values": dict(record.values),
                "sealed_values": dict(record.sealed),
                "masked_tails": dict(record.masked),
                "created_by": record.created_by,
                "created_at": record.created_at,
                "generation": await self.generation(key) + 1,
                **_consented(record.consent),
            },
        )

    async def rotate(self, record: ConnectionRecord) -> bool:
        return await self._change(
            record,
            origin=record.origin,
            kid=record.kid,
            plain_values=dict(record.values),
            sealed_values=dict(record.sealed),
            masked_tails=dict(record.masked),
            credentials_generation=connections.c.credentials_generation + 1,
            rotated_by=record.rotated_by,
            rotated_at=record.rotated_at,
            **_consented(record.consent),
            **_NO_TOKEN,
        )

    async def update(self, record: ConnectionRecord) -> bool:
        if record.default:
            await self._connection.execute(
                update(connections)
                .where(*_default_of(record.enterprise, record.connector), connections.c.id != record.id)
                .values(is_default=False, generation=connections.c.generation + 1)
            )
        return await self._change(
            record,
            version_policy=record.version_policy,
            is_default=record.default,
            **_consented(record.consent),
        )

    async def default_of(self, enterprise: str, connector: str) -> ConnectionRecord | None:
        row = (await self._connection.execute(_live().where(*_default_of(enterprise, connector)))).mappings().first()
        return _record(row) if row else None

    async def consent(self, record: ConnectionRecord) -> bool:
        return await self._change(
            record,
            origin=record.origin,
            kid=record.kid,
            plain_values=dict(record.values),
            sealed_values=dict(record.sealed),
            masked_tails=dict(record.masked),
            **_consented(record.consent),
            **({} if record.token is not None else _NO_TOKEN),
        )

    async def store_token(self, record: ConnectionRecord, token: TokenRecord) -> int | None:
        changed = await self._change(
            record,
            token_generation=connections.c.token_generation + 1,
            token_kid=token.kid,
            token_sealed=token.sealed,
            token_scopes=token.scopes,
            token_stored_at=token.stored_at,
        )
        if not changed:
            return None
        return await self._connection.scalar(select(connections.c.token_generation).where(*_same(record)))

    async def reseal(self, record: ConnectionRecord, resealing: Resealing) -> bool:
        changes: dict[str, Any] = {}
        if resealing.credentials is not None:
            kid, sealed = resealing.credentials
            changes |= {"kid": kid, "sealed_values": dict(sealed)}
        if resealing.token is not None:
            kid, token = resealing.token
            changes |= {"token_kid": kid, "token_sealed": token}
        return await self._change(record, **changes)

    async def _change(self, record: ConnectionRecord, **changes: Any) -> bool:
        """Write `changes` under the next generation, unless the connection has changed since it was read."""
        result = await self._connection.execute(
            update(connections)
            .where(*_same(record), connections.c.deleted.is_(False), connections.c.generation == record.generation)
            .values(**changes, generation=connections.c.generation + 1)
        )
        return result.rowcount == 1

    async def delete(self, record: ConnectionRecord, *, at: str, by: str) -> bool:
        result = await self._connection.execute(
            update(connections)
            .where(*_same(record), connections.c.deleted.is_(False))
            .values(
                deleted=True,
                deleted_at=at,
                deleted_by=by,
                kid="",
                plain_values={},
                sealed_values={},
                masked_tails={},
                is_default=False,
                **_NO_TOKEN,
                generation=connections.c.generation + 1,
            )
        )
        return result.rowcount == 1

    async def page(
        self, enterprise: str, *, connector: str | None, after: tuple[str, str] | None, limit: int
    ) -> list[ConnectionRecord]:
        query = _live().where(connections.c.enterprise == enterprise)
        if connector is not None:
            query = query.where(connections.c.connector == connector)
        if after is not None:
            query = query.where(tuple_(connections.c.connector, connections.c.name) > tuple_(*after))
        query = query.order_by(connections.c.connector, connections.c.name).limit(limit)
        return [_record(row) for row in (await self._connection.execute(query)).mappings()]

    async def generation(self, key: ConnectionKey) -> int:
        return await self._connection.scalar(select(func.max(connections.c.generation)).where(*_named(key))) or 0

    async def unprojected(self, limit: int) -> list[ConnectionKey]:
        query = select(connections.c.enterprise, connections.c.connector, connections.c.name).where(
            connections.c.projected_generation < connections.c.generation
        )
        rows = await self._connection.execute(across_tenants(query.distinct().limit(limit)))
        return [ConnectionKey(*row) for row in rows]

    async def policies(self, owner: str, connector: str) -> list[PolicyUse]:
        use = (connections.c.version_policy, connections.c.consented_digest, connections.c.consented_version)
        query = (
            select(use[0], func.count(), func.count(distinct(connections.c.enterprise)), *use[1:])
            .where(connections.c.owner == owner, connections.c.connector == connector, connections.c.deleted.is_(False))
            .group_by(*use)
            .order_by(*use)
        )
        return [PolicyUse(*row) for row in await self._connection.execute(across_tenants(query))]

    async def keys(self, *, after: ConnectionKey | None, limit: int) -> list[ConnectionKey]:
        named = (connections.c.enterprise, connections.c.connector, connections.c.name)
        query = select(*named).where(connections.c.deleted.is_(False)).order_by(*named).limit(limit)
        if after is not None:
            query = query.where(tuple_(*named) > tuple_(after.enterprise, after.connector, after.name))
        return [ConnectionKey(*row) for row in await self._connection.execute(across_tenants(query))]

    async def mark_projected(self, key: ConnectionKey, generation: int) -> None:
        await self._connection.execute(
            update(connections)
            .where(
                *_named(key),
                connections.c.generation <= generation,
                connections.c.projected_generation < connections.c.generation,
            )
            .values(projected_generation=connections.c.generation)
        )


def _live() -> Select[Any]:
    return select(
        connections.c.id,
        connections.c.enterprise,
        connections.c.connector,
        connections.c.owner,
        connections.c.name,
        connections.c.version_policy,
        connections.c.origin,
        connections.c.kid,
        connections.c.plain_values.label("values"),
        connections.c.sealed_values.label("sealed"),
        connections.c.masked_tails.label("masked"),
        connections.c.created_by,
        connections.c.created_at,
        connections.c.generation,
        connections.c.credentials_generation,
        connections.c.rotated_by,
        connections.c.rotated_at,
        connections.c.token_generation,
        connections.c.token_kid,
        connections.c.token_sealed,
        connections.c.token_scopes,
        connections.c.token_stored_at,
        connections.c.is_default.label("default"),
        connections.c.consented_version,
        connections.c.consented_terms,
        connections.c.consented_by,
        connections.c.consented_at,
    ).where(connections.c.deleted.is_(False))


def _same(record: ConnectionRecord) -> tuple[ColumnElement[bool], ...]:
    return connections.c.enterprise == record.enterprise, connections.c.id == record.id


def _default_of(enterprise: str, connector: str) -> tuple[ColumnElement[bool], ...]:
    return (
        connections.c.enterprise == enterprise,
        connections.c.connector == connector,
        connections.c.deleted.is_(False),
        connections.c.is_default,
    )


def _consented(consent: ConsentRecord | None) -> dict[str, Any]:
    if consent is None:
        return {}
    return {
        "consented_version": consent.version,
        "consented_terms": dict(consent.terms),
        "consented_digest": consent.digest,
        "consented_by": consent.by,
        "consented_at": consent.at,
    }


def _named(key: ConnectionKey) -> tuple[ColumnElement[bool], ...]:
    return (
        connections.c.enterprise == key.enterprise,
        connections.c.connector == key.connector,
        connections.c.name == key.name,
    )


def _record(row: RowMapping) -> ConnectionRecord:
    fields = dict(row)
    generation, kid, sealed, scopes, stored_at = (fields.pop(name) for name in ("token_generation", *_NO_TOKEN))
    token = None if sealed is None else TokenRecord(generation, kid, sealed, scopes, stored_at)
    version, terms, by, at = (fields.pop(f"consented_{name}") for name in ("version", "terms", "by", "at"))
    consent = None if terms is None else ConsentRecord(version, terms, by, at)
    return ConnectionRecord(**fields, token=token, consent=consent)
