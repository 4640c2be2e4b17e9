"""Connectors: found, looked at, duplicated, deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from services.console.api import routing
from services.console.api.dependencies import DeskOf, OwnerQuery, SlugPath
from services.console.api.models import DraftSavedView, View
from services.console.api.preconditions import IfMatch, precondition, required_revision
from shared.contracts import commands as c
from shared.contracts.names import SLUG_PATTERN

router = routing.router("connectors", "/connectors")


class Duplicate(View):
    """The new connector's slug, and its name; by default it says that it is a copy."""

    new_slug: Annotated[str, Field(pattern=SLUG_PATTERN, examples=["openweathermap-2"])]
    version: Annotated[str | None, Field(max_length=256, examples=["1.2.0"])] = None
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    owner: Annotated[str | None, Field(description="Whose the copy is; by default whose the original is.")] = None


@router.get("", summary="The connectors that there are")
async def page(
    desk: DeskOf,
    owner: OwnerQuery = None,
    search: Annotated[str | None, Query(max_length=200, description="Beginnings of words.", examples=["weath"])] = None,
    type: Annotated[str | None, Query(max_length=200, examples=["General"])] = None,  # noqa: A002  # the field's name
    state: c.ConnectorState | None = None,
    sort: c.ConnectorSort = "slug",
    descending: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=4096, description="`next_after` of the page before.")] = None,
) -> c.ConnectorPage:
    """The enterprise's own and the catalogue's; with `owner=platform` the platform's, its drafts among them."""
    query = c.ListConnectors(
        search=search, type=type, state=state, sort=sort, descending=descending, limit=limit, after=after
    )
    return await desk.registry(owner or desk.enterprise, "connector.list", query, c.ConnectorPage)


@router.get("/{slug}", summary="A connector with its draft and its versions")
async def show(slug: SlugPath, desk: DeskOf, owner: OwnerQuery = None) -> c.Connector:
    return await desk.connector(slug, owner)


@router.post("/{slug}/duplicate", status_code=201, summary="Begin a draft as a copy")
async def duplicate(slug: SlugPath, body: Duplicate, desk: DeskOf) -> DraftSavedView:
    owner = body.owner or await desk.owner(slug, None)
    command = c.DuplicateConnector(slug=slug, new_slug=body.new_slug, version=body.version, name=body.name)
    return DraftSavedView.of(await desk.registry(owner, "connector.duplicate", command, c.DraftSaved))


@router.delete("/{slug}", status_code=204, summary="Delete what was never published")
async def delete(
    slug: SlugPath, desk: DeskOf, response: Response, owner: OwnerQuery = None, if_match: IfMatch = None
) -> None:
    base = required_revision(if_match)
    owner = await desk.owner(slug, owner)
    async with precondition(desk, owner, slug, base):
        await desk.registry(
            owner, "connector.delete", c.DeleteConnector(slug=slug, base_revision=base), c.ConnectorDeleted
        )
    response.status_code = 204
