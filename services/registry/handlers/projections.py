"""Projections: what executors read always follows the database, however writers and crashes interleave."""

from __future__ import annotations

from typing import Final

import structlog

from services.registry.handlers.ports import ConnectionKey, ConnectionRecord, Projections, Store, TokenRecord, Work
from shared.contracts.projections import ConnectionEntry, EnterpriseEntry, StoredToken

log = structlog.get_logger("registry")

_BATCH: Final = 100


async def project_connection(store: Store, projections: Projections, key: ConnectionKey) -> None:
    """Have the projection hold the connection as the database does now, or nothing where it is gone."""
    generation = 0

    async def read() -> ConnectionEntry | None:
        nonlocal generation
        async with store.read() as work:
            generation = await work.connections.generation(key)
            return await connection_entry(work, key)

    await projections.sync_connection(key, read)
    async with store.write() as work:
        await work.connections.mark_projected(key, generation)


async def finish(store: Store, projections: Projections) -> int:
    """Project what a crash left between commit and projection; the answer says how many there were."""
    finished = await _finish_enterprises(store, projections)
    while True:
        async with store.read() as work:
            keys = await work.connections.unprojected(_BATCH)
        if not keys:
            return finished
        for key in keys:
            await project_connection(store, projections, key)
            log.info("projection finished", enterprise=key.enterprise, connector=key.connector, connection=key.name)
        finished += len(keys)


async def project_enterprise(store: Store, projections: Projections, enterprise: str) -> None:
    """Have the projection hold how the enterprise stands in the database now."""
    async with store.read() as work:
        entry = await enterprise_entry(work, enterprise)
    if entry is None:
        return
    await projections.put_enterprise(entry)
    async with store.write() as work:
        await work.enterprises.mark_projected(enterprise, entry.generation)


async def _finish_enterprises(store: Store, projections: Projections) -> int:
    finished = 0
    while True:
        async with store.read() as work:
            left = await work.enterprises.unprojected(_BATCH)
        if not left:
            return finished
        for enterprise in left:
            await project_enterprise(store, projections, enterprise)
        finished += len(left)


async def connection_entry(work: Work, key: ConnectionKey) -> ConnectionEntry | None:
    """What executors are to read of a connection; None where there is none."""
    record = await work.connections.find(key)
    return None if record is None else _entry(record)


async def enterprise_entry(work: Work, enterprise: str) -> EnterpriseEntry | None:
    """What services are to read of an enterprise; None where nothing was told of it."""
    record = await work.enterprises.find(enterprise)
    if record is None:
        return None
    return EnterpriseEntry(record.id, record.generation, record.suspended, record.sdk_access)


def _entry(record: ConnectionRecord) -> ConnectionEntry:
    return ConnectionEntry(
        id=record.id,
        enterprise=record.enterprise,
        connector=record.connector,
        owner=record.owner,
        name=record.name,
        generation=record.generation,
        version_policy=record.version_policy,
        origin=record.origin,
        kid=record.kid,
        values=dict(record.values),
        sealed=dict(record.sealed),
        credentials=record.credentials_generation,
        token=None if record.token is None else _token(record.token),
        default=record.default,
        consented=(record.consent.version or "") if record.consent is not None else "",
        terms=record.consent.digest if record.consent is not None else "",
    )


def _token(record: TokenRecord) -> StoredToken:
    return StoredToken(record.generation, record.kid, record.sealed)
