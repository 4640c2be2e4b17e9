"""The call log: what was executed, for whom, with what outcome. Metadata alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.console.api import routing
from services.console.api.dependencies import DeskOf, EnterpriseQuery
from shared.contracts import commands as c

router = routing.router("executions", "/calls")

Name = Annotated[str | None, Query(max_length=256)]
Instant = Annotated[str | None, Query(max_length=40, examples=["2026-01-31T09:05:00Z"])]


@router.get("", summary="What was executed, the newest first")
async def page(
    desk: DeskOf,
    enterprise: EnterpriseQuery = None,
    connector: Name = None,
    operation: Name = None,
    connection: Name = None,
    outcome: Annotated[
        str | None,
        Query(max_length=256, description="`succeeded`, `failed` (status 400 and up), `error`, or an error's code."),
    ] = None,
    status: Annotated[str | None, Query(max_length=3, description="`404`, or a class: `5xx`.")] = None,
    request_id: Annotated[str | None, Query(max_length=128)] = None,
    since: Instant = None,
    until: Instant = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=256, description="`next_after` of the page before.")] = None,
) -> c.CallPage:
    """`since` is included, `until` is not. Executions appear a moment after they have ended."""
    query = routing.built(
        c.ListCalls,
        connector=connector,
        operation=operation,
        connection=connection,
        outcome=outcome,
        status=status,
        request_id=request_id,
        since=since,
        until=until,
        limit=limit,
        after=after,
    )
    return await desk.registry(enterprise or desk.enterprise, "call.list", query, c.CallPage)
