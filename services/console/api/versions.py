"""Versions of connectors: read, compared, published, and moved through their life."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from services.console.api import routing
from services.console.api.dependencies import ABSENT, Desk, DeskOf, OwnerQuery, SlugPath
from services.console.api.models import View
from services.console.api.templates import YAML, icon_response, yaml_text
from shared.contracts import commands as c
from shared.contracts.errors import DibopError

router = routing.router("versions", "/connectors/{slug}")

VersionQuery = Annotated[
    str | None, Query(max_length=256, description="`1.2.0`; the latest by default.", examples=["1.2.0"])
]
Notes = Annotated[str, Field(max_length=10_000)]


VersionPath = Annotated[str, Path(max_length=32, description="`1.2.0` or `latest`.", examples=["latest"])]
_LATEST: Final = "latest"


class Publish(View):
    """`scope` catalogue is for all enterprises, enterprise for the owner's alone; `bump` asks for at least this one."""

    scope: c.Scope
    notes: Notes = ""
    bump: c.BumpName | None = None


class Withdraw(View):
    """Without `version` the whole connector is meant."""

    version: Annotated[str | None, Field(max_length=256, examples=["1.2.0"])] = None
    notes: Notes = ""


class Deprecate(Withdraw):
    """`successor` is a version of the connector or another connector's slug, `date` the day until which it can be
    counted on.
    """

    successor: Annotated[str | None, Field(max_length=64)] = None
    date: dt.date | None = None


class RollBack(View):
    version: Annotated[str, Field(max_length=256, examples=["1.1.0"])]
    notes: Notes = ""
    bump: c.BumpName | None = None


@router.get("/versions", summary="The versions of a connector, oldest first")
async def listed(slug: SlugPath, desk: DeskOf, owner: OwnerQuery = None) -> list[c.VersionSummary]:
    return (await desk.connector(slug, owner)).versions


@router.get("/versions/{version}", summary="A version's document")
async def read(slug: SlugPath, version: VersionPath, desk: DeskOf, owner: OwnerQuery = None) -> c.Version:
    """`latest` is the highest published one."""
    return await _version(desk, slug, owner, None if version == _LATEST else version)


@router.get(
    "/export",
    summary="A version, or the draft, as a YAML file",
    response_class=Response,
    responses={200: {"content": {YAML: {}}}},
)
async def export(slug: SlugPath, desk: DeskOf, owner: OwnerQuery = None, version: VersionQuery = None) -> Response:
    """The draft with `version=draft`."""
    document = await _document(desk, slug, owner, version)
    name = f"{slug}.yaml"
    return Response(
        yaml_text(document), media_type=YAML, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get(
    "/icon",
    summary="The icon of a version, or of the draft",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/svg+xml": {}}}},
)
async def icon(slug: SlugPath, desk: DeskOf, owner: OwnerQuery = None, version: VersionQuery = None) -> Response:
    """The draft's with `version=draft`, or where nothing is published yet."""
    return icon_response(await _document(desk, slug, owner, version))


@router.get("/diff", summary="What changed between two documents of a connector")
async def diff(
    slug: SlugPath,
    desk: DeskOf,
    owner: OwnerQuery = None,
    before: Annotated[
        str | None, Query(max_length=32, description="A version, or `draft`; the highest version.")
    ] = None,
    after: Annotated[str, Query(max_length=32, description="A version, or `draft`.")] = c.DRAFT,
) -> c.Difference:
    body = routing.built(c.DiffConnector, slug=slug, before=before, after=after)
    return await desk.publisher(await desk.owner(slug, owner), "connector.diff", body, c.Difference)


@router.get("/checklist", summary="What publishing still needs")
async def checklist(
    slug: SlugPath, desk: DeskOf, scope: c.Scope = "enterprise", owner: OwnerQuery = None
) -> c.Checklist:
    body = c.ShowChecklist(slug=slug, scope=scope)
    return await desk.publisher(await desk.owner(slug, owner), "connector.checklist", body, c.Checklist)


@router.post("/publish", summary="Publish the draft as the next version, or ask for its review")
async def publish(slug: SlugPath, body: Publish, desk: DeskOf, owner: OwnerQuery = None) -> c.Published:
    command = c.PublishConnector(slug=slug, scope=body.scope, notes=body.notes, bump=body.bump)
    return await desk.publisher(await desk.owner(slug, owner), "connector.publish", command, c.Published)


@router.post("/deprecate", summary="Say that versions are to be left")
async def deprecate(slug: SlugPath, body: Deprecate, desk: DeskOf, owner: OwnerQuery = None) -> c.Moved:
    command = routing.built(c.DeprecateConnector, slug=slug, **body.model_dump())
    return await desk.publisher(await desk.owner(slug, owner), "connector.deprecate", command, c.Moved)


@router.post("/unpublish", summary="Offer versions to no new connection")
async def unpublish(slug: SlugPath, body: Withdraw, desk: DeskOf, owner: OwnerQuery = None) -> c.Moved:
    command = routing.built(c.UnpublishConnector, slug=slug, **body.model_dump())
    return await desk.publisher(await desk.owner(slug, owner), "connector.unpublish", command, c.Moved)


@router.post("/retire", summary="End versions for good")
async def retire(slug: SlugPath, body: Withdraw, desk: DeskOf, owner: OwnerQuery = None) -> c.Moved:
    command = routing.built(c.RetireConnector, slug=slug, **body.model_dump())
    return await desk.publisher(await desk.owner(slug, owner), "connector.retire", command, c.Moved)


@router.post("/rollback", summary="Publish an earlier version's content as the next version")
async def roll_back(slug: SlugPath, body: RollBack, desk: DeskOf, owner: OwnerQuery = None) -> c.Published:
    command = routing.built(c.RollbackConnector, slug=slug, **body.model_dump())
    return await desk.publisher(await desk.owner(slug, owner), "connector.rollback", command, c.Published)


async def _version(desk: Desk, slug: str, owner: str | None, version: str | None) -> c.Version:
    enterprise = owner or desk.enterprise
    return await desk.registry(enterprise, "version.get", c.GetVersion(slug=slug, version=version), c.Version)


async def _document(desk: Desk, slug: str, owner: str | None, version: str | None) -> dict[str, Any]:
    """Of a version, of the draft, or without either of what there is: the latest version, else the draft."""
    if version != c.DRAFT:
        try:
            return (await _version(desk, slug, owner, version)).document
        except DibopError as error:
            if version is not None or error.code not in ABSENT:
                raise
    owner = await desk.owner(slug, owner)
    return (await desk.registry(owner, "draft.get", c.GetDraft(slug=slug), c.Draft)).document
