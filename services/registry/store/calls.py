"""The call log's rows: written many at once, read by time, deleted when they are old."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import RowMapping, Select, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.calls import Question
from services.registry.handlers.ports import CallRecord
from services.registry.store.tables import calls
from shared.contracts.calls import FAILED, SUCCEEDED, ExecutedCall
from shared.persistence.tenancy import across_tenants


class SqlCalls:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, records: Sequence[CallRecord]) -> None:
        insert = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        rows = [
            {**msgspec.structs.asdict(each.call), "enterprise": each.enterprise, "worker": each.worker}
            for each in records
        ]
        await self._connection.execute(insert(calls).on_conflict_do_nothing(), rows)

    async def page(self, enterprise: str, question: Question, *, limit: int) -> list[CallRecord]:
        query = _asked(select(calls).where(calls.c.enterprise == enterprise), question)
        query = query.order_by(calls.c.started_ms.desc(), calls.c.id.desc()).limit(limit)
        return [_record(row) for row in (await self._connection.execute(query)).mappings()]

    async def forget(self, *, before_ms: int, limit: int) -> int:
        old = across_tenants(select(calls.c.id).where(calls.c.started_ms < before_ms).limit(limit))
        ids = list(await self._connection.scalars(old))
        if ids:
            await self._connection.execute(across_tenants(delete(calls).where(calls.c.id.in_(ids))))
        return len(ids)


def _asked(query: Select[tuple[object, ...]], question: Question) -> Select[tuple[object, ...]]:
    for name in ("connector", "operation", "connection", "request_id"):
        wanted = getattr(question, name)
        if wanted is not None:
            query = query.where(calls.c[name] == wanted)
    if question.outcome == "error":
        query = query.where(calls.c.outcome.not_in((SUCCEEDED, FAILED)))
    elif question.outcome is not None:
        query = query.where(calls.c.outcome == question.outcome)
    if question.status is not None:
        lowest, highest = question.status
        query = query.where(calls.c.status.between(lowest, highest))
    if question.since_ms is not None:
        query = query.where(calls.c.started_ms >= question.since_ms)
    if question.until_ms is not None:
        query = query.where(calls.c.started_ms < question.until_ms)
    if question.after is not None:
        query = query.where(tuple_(calls.c.started_ms, calls.c.id) < tuple_(*question.after))
    return query


def _record(row: RowMapping) -> CallRecord:
    fields = dict(row)
    return CallRecord(fields.pop("enterprise"), fields.pop("worker"), ExecutedCall(**fields))
