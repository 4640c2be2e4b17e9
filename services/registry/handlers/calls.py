"""The call log: what executors tell of their executions, kept for some days."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from services.registry.domain.calls import place, read_question
from services.registry.domain.pages import fitting
from services.registry.handlers.access import admit
from services.registry.handlers.ports import Caller, CallRecord, Store
from shared.contracts.calls import ExecutedCalls
from shared.contracts.commands import Call, CallPage, ListCalls
from shared.security.principals import Action

_AT_ONCE: Final = 1_000
"""Rows in a transaction: others wait for SQLite's one writer only that long."""
_PAUSE_SECONDS: Final = 0.05

log = structlog.get_logger("registry")


async def keep(store: Store, told: Sequence[tuple[str, ExecutedCalls]]) -> None:
    """Write what was executed for each enterprise; what is there already stays as it is."""
    records = [CallRecord(enterprise, calls.worker, each) for enterprise, calls in told for each in calls.calls]
    for start in range(0, len(records), _AT_ONCE):
        async with store.write() as work:
            await work.calls.add(records[start : start + _AT_ONCE])


async def page(store: Store, caller: Caller, query: ListCalls) -> CallPage:
    """The enterprise's executions that the query asks for, the newest first."""
    admit(caller, Action.READ)
    question = read_question(query)
    async with store.read() as work:
        found = await work.calls.page(caller.enterprise, question, limit=query.limit + 1)
    shown, more = fitting([Call.told(each.worker, each.call) for each in found], query.limit)
    last = found[len(shown) - 1].call if shown else None
    return CallPage(calls=shown, next_after=place(last.started_ms, last.id) if more and last else None)


async def sweep(store: Store, *, days: float) -> int:
    """Delete what is older, a part at a time; the answer says how many."""
    oldest = datetime.now(UTC) - timedelta(days=days)
    deleted = 0
    while True:
        async with store.write() as work:
            count = await work.calls.forget(before_ms=int(oldest.timestamp() * 1000), limit=_AT_ONCE)
        deleted += count
        if count < _AT_ONCE:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    if deleted:
        log.info("old calls deleted", count=deleted)
    return deleted
