"""Test runs in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.publisher.domain.evidence import Evidence
from services.publisher.domain.runs import Run
from services.publisher.handlers.ports import Ending
from services.publisher.store.auditing import queue_audit
from services.publisher.store.tables import evidence as evidence_table
from services.publisher.store.tables import test_runs, test_steps
from shared.contracts.commands import MAX_TEST_RUNS, Exchange, ListTests, TestStep
from shared.persistence.engine import Database
from shared.persistence.outbox import enqueue
from shared.persistence.tenancy import across_tenants

_COLUMNS: Final = [column for column in test_runs.c if column.name != "beats"]
_AT_ONCE: Final = 500
"""Below the number of bound values that either database takes in one statement."""


class SqlTestRuns:
    """The publisher's test runs in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, run: Run, steps: Sequence[TestStep]) -> str | None:
        while True:
            try:
                async with self._database.write() as connection:
                    await connection.execute(test_runs.insert().values(_to_row(run)))
                    if steps:
                        await connection.execute(test_steps.insert(), [_step_row(run, step) for step in steps])
            except IntegrityError:
                other = await self._other(run)
                if other is not None:  # else it has ended meanwhile
                    return other
            else:
                return None

    async def note(
        self, run: Run, step: TestStep, *, exchange: Exchange | None = None, evidence: Evidence | None = None
    ) -> bool:
        async with self._database.write() as connection:
            if not await _beat(connection, run.owner, run.id):
                return False
            await _keep(connection, run, step, exchange)
            if evidence is not None:
                await connection.execute(evidence_table.insert().values(asdict(evidence)))
        return True

    async def beat(self, run: Run) -> bool:
        async with self._database.write() as connection:
            return await _beat(connection, run.owner, run.id)

    async def end(self, owner: str, identifier: str, ending: Callable[[Run, list[TestStep]], Ending]) -> Run | None:
        async with self._database.write() as connection:
            if not await _beat(connection, owner, identifier):
                return None
            before = await _found(connection, owner, identifier)
            if before is None:
                return None
            run, steps = before
            ended = ending(run, steps)
            await connection.execute(_going_on(owner, identifier).values(_end_of(ended.run)))
            for step, was in zip(ended.steps, steps, strict=True):
                if step != was:
                    await _keep(connection, run, step, None)
            await enqueue(connection, ended.event)
            await queue_audit(connection, ended.audit)
            await _forget_old(connection, owner, run.slug, list(ended.digests))
        return ended.run

    async def find(self, owner: str, identifier: str) -> tuple[Run, list[TestStep]] | None:
        async with self._database.read() as connection:
            return await _found(connection, owner, identifier)

    async def exchange(self, owner: str, identifier: str, number: int) -> Exchange | None:
        query = sa.select(test_steps.c.exchange).where(
            test_steps.c.owner == owner, test_steps.c.run_id == identifier, test_steps.c.number == number
        )
        async with self._database.read() as connection:
            found = await connection.scalar(query)
        return None if found is None else Exchange.model_validate_json(found)

    async def page(self, owner: str, query: ListTests) -> list[Run]:
        found = sa.select(*_COLUMNS).where(test_runs.c.owner == owner, test_runs.c.slug == query.slug)
        if query.before is not None:
            found = found.where(test_runs.c.number < query.before)
        found = found.order_by(test_runs.c.number.desc()).limit(query.limit + 1)
        async with self._database.read() as connection:
            return [_from_row(row) for row in (await connection.execute(found)).mappings()]

    async def under_way(self) -> Sequence[tuple[Run, int]]:
        query = across_tenants(sa.select(*_COLUMNS, test_runs.c.beats).where(test_runs.c.state == "running"))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [(_from_row({name: row[name] for name in row if name != "beats"}), row["beats"]) for row in rows]

    async def _other(self, run: Run) -> str | None:
        query = sa.select(test_runs.c.id).where(
            test_runs.c.owner == run.owner,
            test_runs.c.slug == run.slug,
            test_runs.c.actor == run.actor,
            test_runs.c.state == "running",
        )
        async with self._database.read() as connection:
            found: str | None = await connection.scalar(query)
            return found


async def _found(connection: AsyncConnection, owner: str, identifier: str) -> tuple[Run, list[TestStep]] | None:
    query = sa.select(*_COLUMNS).where(test_runs.c.owner == owner, test_runs.c.id == identifier)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        return None
    steps = sa.select(test_steps.c.step).where(test_steps.c.owner == owner, test_steps.c.run_id == identifier)
    found = await connection.scalars(steps.order_by(test_steps.c.number))
    return _from_row(row), [TestStep.model_validate_json(each) for each in found]


def _going_on(owner: str, identifier: str) -> sa.Update:
    return test_runs.update().where(
        test_runs.c.owner == owner, test_runs.c.id == identifier, test_runs.c.state == "running"
    )


async def _beat(connection: AsyncConnection, owner: str, identifier: str) -> bool:
    """Take hold of a run that goes on: in the transaction of `connection` nobody else changes it."""
    beaten = await connection.execute(_going_on(owner, identifier).values(beats=test_runs.c.beats + 1))
    return beaten.rowcount == 1


def _end_of(run: Run) -> dict[str, Any]:
    return {
        "state": run.state,
        "ended_at": run.ended_at,
        "reason": run.reason,
        "passed": run.passed,
        "failed": run.failed,
        "skipped": run.skipped,
    }


async def _keep(connection: AsyncConnection, run: Run, step: TestStep, exchange: Exchange | None) -> None:
    values = {"step": _dumped(step)}
    if exchange is not None:
        values["exchange"] = exchange.model_dump_json()
    kept = test_steps.update().where(
        test_steps.c.owner == run.owner, test_steps.c.run_id == run.id, test_steps.c.number == step.number
    )
    await connection.execute(kept.values(values))


async def _forget_old(connection: AsyncConnection, owner: str, slug: str, digests: list[str]) -> None:
    """All but the last runs, those that go on, and those that are evidence for what has one of `digests`."""
    of_connector = (test_runs.c.owner == owner, test_runs.c.slug == slug)
    last = sa.select(test_runs.c.number).where(*of_connector).order_by(test_runs.c.number.desc())
    oldest = await connection.scalar(last.offset(MAX_TEST_RUNS - 1).limit(1))
    if oldest is None:
        return
    older = sa.select(test_runs.c.id).where(*of_connector, test_runs.c.number < oldest, test_runs.c.state != "running")
    gone = set(await connection.scalars(older))
    if gone:
        gone -= await _evident(connection, owner, slug, digests)
    for start in range(0, len(gone), _AT_ONCE):
        part = sorted(gone)[start : start + _AT_ONCE]
        await connection.execute(test_steps.delete().where(test_steps.c.owner == owner, test_steps.c.run_id.in_(part)))
        await connection.execute(test_runs.delete().where(test_runs.c.owner == owner, test_runs.c.id.in_(part)))


async def _evident(connection: AsyncConnection, owner: str, slug: str, digests: list[str]) -> set[str]:
    """The runs that the last evidence of each digest comes from."""
    found: set[str] = set()
    of_connector = (evidence_table.c.owner == owner, evidence_table.c.slug == slug)
    for start in range(0, len(digests), _AT_ONCE):
        part = digests[start : start + _AT_ONCE]
        last = (
            sa.select(sa.func.max(evidence_table.c.id))
            .where(*of_connector, evidence_table.c.operation_digest.in_(part))
            .group_by(evidence_table.c.operation_digest)
        )
        runs = sa.select(evidence_table.c.run_id).where(evidence_table.c.owner == owner, evidence_table.c.id.in_(last))
        found.update(await connection.scalars(runs))
    return found


def _to_row(run: Run) -> dict[str, Any]:
    values = asdict(run)
    del values["number"]
    return {**values, "beats": 0}


def _from_row(row: Mapping[Any, Any]) -> Run:
    return Run(**row)


def _step_row(run: Run, step: TestStep) -> dict[str, Any]:
    return {"run_id": run.id, "number": step.number, "owner": run.owner, "step": _dumped(step), "exchange": None}


def _dumped(step: TestStep) -> str:
    return step.model_dump_json(exclude_defaults=True)
