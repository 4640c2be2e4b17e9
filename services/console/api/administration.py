"""What administrators look at: the audit log, enterprises, sealing keys, projections, durable consumers."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field

from services.console.api import routing
from services.console.api.dependencies import DeskOf, EnterpriseQuery
from services.console.api.models import View
from shared.contracts import commands as c
from shared.contracts.names import PLATFORM, TOKEN_PATTERN

router = routing.router("administration")

_PROJECTION_SECONDS: Final = 60.0
EnterprisePath = Annotated[str, Path(pattern=TOKEN_PATTERN, description="The enterprise.", examples=["acme"])]
ConsumerPath = Annotated[str, Path(pattern=TOKEN_PATTERN, description="The consumer's name.", examples=["crm"])]
PartPath = Annotated[c.ProjectionPart, Path(description="What is compared.")]


class TellEnterprise(View):
    """`name` is for registered, `reason` for suspended, `sdk_access` for sdk_access_changed."""

    what: c.EnterpriseChange
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    reason: Annotated[str, Field(max_length=1000)] = ""
    sdk_access: bool | None = None


class Keys(View):
    """The sealing keys: how much is sealed to each, and which of them the workers have."""

    uses: list[c.KeyUse]
    workers: c.KeysShown


class NewConsumer(View):
    """`pattern` is the end of the subject, `<noun>.<identifier>.<what>`, with NATS's wildcards."""

    name: Annotated[str, Field(pattern=TOKEN_PATTERN)]
    pattern: Annotated[str, Field(min_length=1, max_length=200, examples=["connector.*.version_published"])]


@router.get("/audit", summary="Who changed what, newest first")
async def audit(
    desk: DeskOf,
    enterprise: EnterpriseQuery = None,
    noun: Annotated[str | None, Query(pattern=TOKEN_PATTERN, examples=["connector"])] = None,
    identifier: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="`next_before` of the page before.")] = None,
) -> c.AuditPage:
    query = c.ListAudit(limit=limit, before=before, noun=noun, identifier=identifier)
    return await desk.registry(enterprise or desk.enterprise, "audit.list", query, c.AuditPage)


@router.get("/enterprises", summary="The enterprises of which something was told")
async def enterprises(
    desk: DeskOf,
    state: c.EnterpriseState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=256, description="`next_after` of the page before.")] = None,
) -> c.EnterprisePage:
    query = c.ListEnterprises(state=state, limit=limit, after=after)
    return await desk.registry(PLATFORM, "enterprise.list", query, c.EnterprisePage)


@router.get("/enterprises/{enterprise}", summary="How an enterprise stands")
async def enterprise_shown(enterprise: EnterprisePath, desk: DeskOf) -> c.Enterprise:
    return await desk.registry(PLATFORM, "enterprise.show", c.ShowEnterprise(id=enterprise), c.Enterprise)


@router.post("/enterprises/{enterprise}", summary="Register, suspend or resume an enterprise, or change its SDK access")
async def tell(enterprise: EnterprisePath, body: TellEnterprise, desk: DeskOf) -> c.Enterprise:
    """As if another service of the platform had told it; all services go by it."""
    command = c.ChangeEnterprise(id=enterprise, **body.model_dump())
    return await desk.registry(PLATFORM, "enterprise.change", command, c.Enterprise)


@router.get("/keys", summary="The sealing keys, and what is sealed to them")
async def keys(desk: DeskOf) -> Keys:
    """Keys are rotated where their files are: with `dibop keys rotate`."""
    uses = await desk.registry(PLATFORM, "keys.list", c.ListKeyUses(), c.KeyUses)
    return Keys(uses=uses.keys, workers=await desk.executor(PLATFORM, "keys.show", c.ShowKeys(), c.KeysShown))


@router.get("/projections/{part}", summary="Compare what executors read with the database, page by page")
async def compare(
    part: PartPath,
    desk: DeskOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Annotated[str | None, Query(max_length=300, description="`next_after` of the page before.")] = None,
) -> c.ProjectionPage:
    query = c.CheckProjection(part=part, after=after, limit=limit)
    return await desk.registry(PLATFORM, "projection.check", query, c.ProjectionPage, seconds=_PROJECTION_SECONDS)


@router.post("/projections/{part}/rebuild", summary="The same, and mend each entry that differs")
async def rebuild(
    part: PartPath,
    desk: DeskOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Annotated[str | None, Query(max_length=300, description="`next_after` of the page before.")] = None,
) -> c.ProjectionPage:
    command = c.RebuildProjection(part=part, after=after, limit=limit)
    return await desk.registry(PLATFORM, "projection.rebuild", command, c.ProjectionPage, seconds=_PROJECTION_SECONDS)


@router.get("/consumers", summary="The enterprise's durable consumers of events")
async def consumers(desk: DeskOf) -> c.ConsumerList:
    return await desk.registry(desk.enterprise, "consumer.list", c.ListConsumers(), c.ConsumerList)


@router.post("/consumers", status_code=201, summary="Make a durable consumer of the enterprise's events")
async def make_consumer(body: NewConsumer, desk: DeskOf) -> c.Consumer:
    command = routing.built(c.CreateConsumer, name=body.name, pattern=body.pattern)
    return await desk.registry(desk.enterprise, "consumer.create", command, c.Consumer)


@router.delete("/consumers/{name}", summary="Delete a durable consumer")
async def delete_consumer(name: ConsumerPath, desk: DeskOf) -> c.ConsumerDeleted:
    return await desk.registry(desk.enterprise, "consumer.delete", c.DeleteConsumer(name=name), c.ConsumerDeleted)
