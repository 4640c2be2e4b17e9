"""The call log as it grows: what it has, and what executors tell from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from dibop.admin import Registry
from dibop.client import Client
from shared.contracts.calls import FAILED, SUCCEEDED, ExecutedCalls
from shared.contracts.commands import Call, ListCalls
from shared.contracts.events import Event
from shared.contracts.subjects import CALLS

_ERROR = "error"


async def follow(client: Client, enterprise: str, query: ListCalls, limit: int) -> AsyncIterator[Call]:
    """The newest `limit` calls that the query asks for, the oldest of them first, then those to come; each once."""
    async with client.events(f"operation.{CALLS}.executed", enterprises=(enterprise,)) as events:
        found = await Registry(client, enterprise).calls(query, limit)
        seen = {call.id for call in found}
        for call in reversed(found):
            yield call
        async for event in events:
            for call in told(event):
                if call.id not in seen and fits(call, query):
                    yield call


def told(event: Event) -> list[Call]:
    """The calls that an `executed` event tells of."""
    data = msgspec.convert(event.data, ExecutedCalls)
    return [Call.told(data.worker, each) for each in data.calls]


def fits(call: Call, query: ListCalls) -> bool:
    """Whether the registry would list the call, its time aside."""
    asked = (query.connector, query.operation, query.connection, query.request_id)
    said = (call.connector, call.operation, call.connection, call.request_id)
    if any(wanted not in {None, found} for wanted, found in zip(asked, said, strict=True)):
        return False
    if query.status is not None and not _has_status(call, query.status):
        return False
    if query.outcome == _ERROR:
        return call.outcome not in {SUCCEEDED, FAILED}
    return query.outcome in {None, call.outcome}


def _has_status(call: Call, wanted: str) -> bool:
    status = str(call.status or "")
    return status[:1] == wanted[:1] if wanted.endswith("xx") else status == wanted
