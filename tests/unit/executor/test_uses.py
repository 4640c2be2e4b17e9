"""Use of credentials in the audit log: once for each worker and generation, and never in the way."""

from __future__ import annotations

import asyncio

import msgspec
import structlog.testing

from services.executor.uses import UseLog
from shared.contracts.commands import AppendAudit, AuditState
from shared.contracts.projections import ConnectionEntry
from tests.support.polling import eventually

ENTRY = ConnectionEntry("c-1", "acme", "shop", "platform", "default", 7, "^1", "https://x:443", "k", {}, {"a": "b"}, 2)


class Trail:
    def __init__(self) -> None:
        self.entries: list[tuple[str, AppendAudit]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, enterprise: str, entry: AppendAudit) -> AuditState:
        await self.open.wait()
        self.entries.append((enterprise, entry))
        return "written"


async def test_each_worker_tells_once_of_each_generation() -> None:
    trail = Trail()
    workers = [UseLog(trail, "executor-1"), UseLog(trail, "executor-2")]
    for worker in workers:
        worker.start()
        for generation in (7, 8):  # a reseal: other ciphertexts, the same credentials
            worker.tell(msgspec.structs.replace(ENTRY, generation=generation))
        worker.tell(msgspec.structs.replace(ENTRY, credentials=3))

    await eventually(lambda: len(trail.entries) == 4)
    for worker in workers:
        await worker.stop()

    assert {enterprise for enterprise, _ in trail.entries} == {"acme"}
    told = [(entry.actor, entry.action, entry.identifier, entry.details["credentials"]) for _, entry in trail.entries]
    assert sorted(told) == [
        (f"executor executor-{number}", "connection.use", "shop.default", generation)
        for number in (1, 2)
        for generation in (2, 3)
    ]


async def test_a_worker_that_starts_again_adds_nothing() -> None:
    trail = Trail()
    for _ in range(2):
        worker = UseLog(trail, "executor-1")
        worker.start()
        worker.tell(ENTRY)
        await eventually(lambda: not worker._waiting.qsize())  # noqa: B023
        await worker.stop()

    assert len({entry.id for _, entry in trail.entries}) == 1


async def test_what_waits_is_bounded_and_the_rest_is_logged() -> None:
    trail = Trail()
    trail.open.clear()
    worker = UseLog(trail, "executor-1")

    with structlog.testing.capture_logs() as logs:
        for number in range(1_003):
            worker.tell(msgspec.structs.replace(ENTRY, id=f"c-{number}"))

    assert [line["connection"] for line in logs] == ["default"] * 3
    assert trail.entries == []
