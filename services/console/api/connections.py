"""Connections of an enterprise: made from credentials that are sealed at once, looked at, rotated, deleted."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from services.console.api import routing, sealing
from services.console.api.dependencies import DeskOf, EnterpriseQuery, NamePath, OperationQuery, SlugPath
from services.console.api.models import View
from shared.contracts import commands as c
from shared.contracts.names import SLUG_PATTERN, TOKEN_PATTERN
from shared.security import credentials as giving

router = routing.router("connections")

_PING_SECONDS: Final = 60.0
_POLICY: Final = r"^(\^\d{1,6}|\d{1,6}\.\d{1,6}\.\d{1,6})$"


class NewConnection(View):
    """Without `version_policy` the connection follows the major version there is: `^1`."""

    connector: Annotated[str, Field(pattern=SLUG_PATTERN, examples=["openweathermap"])]
    name: Annotated[str, Field(pattern=TOKEN_PATTERN, examples=["default"])] = "default"
    version_policy: Annotated[str | None, Field(pattern=_POLICY, examples=["^1"])] = None
    credentials: sealing.Credentials = Field(default_factory=dict)


class NewCredentials(View):
    """All fields are given anew."""

    credentials: sealing.Credentials


class ChangedConnection(View):
    """What is not given stays. `generation` is the connection's that was looked at: `conflict` where it has changed."""

    generation: Annotated[int | None, Field(ge=1)] = None
    version_policy: Annotated[str | None, Field(pattern=_POLICY, examples=["^2"])] = None
    default: Literal[True] | None = None


class Consent(View):
    version: Annotated[str, Field(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$", examples=["2.0.0"])]


@router.get("/connectors/{slug}/credential-form", summary="What a connection to a connector asks for")
async def form(slug: SlugPath, desk: DeskOf) -> sealing.CredentialForm:
    owner, template, version = await sealing.connectable(desk, slug)
    return sealing.form_of(slug, owner, template, version)


@router.get("/connections", summary="The connections of an enterprise, with their health")
async def page(
    desk: DeskOf,
    enterprise: EnterpriseQuery = None,
    connector: Annotated[str | None, Query(pattern=SLUG_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=256, description="`next_after` of the page before.")] = None,
) -> c.ConnectionPage:
    query = c.ListConnections(connector=connector, limit=limit, after=after)
    return await desk.registry(enterprise or desk.enterprise, "connection.list", query, c.ConnectionPage)


@router.post("/connections", status_code=201, summary="Make a connection")
async def create(body: NewConnection, desk: DeskOf) -> c.Connection:
    """Credentials are sealed here, for executors alone; of secrets nothing but masked tails is ever answered."""
    key = sealing.sealing_key(desk)
    owner, template, version = await sealing.connectable(desk, body.connector)
    command = giving.connection_command(
        template,
        giving.complete(template, sealing.revealed(body.credentials)),
        key,
        enterprise=desk.enterprise,
        owner=owner,
        name=body.name,
        policy=body.version_policy or sealing.policy_of(version),
    )
    return await desk.registry(desk.enterprise, "connection.create", command, c.Connection)


@router.get("/connections/{slug}/{name}", summary="A connection, with its health")
async def show(slug: SlugPath, name: NamePath, desk: DeskOf, enterprise: EnterpriseQuery = None) -> c.Connection:
    body = c.ShowConnection(connector=slug, name=name)
    return await desk.registry(enterprise or desk.enterprise, "connection.show", body, c.Connection)


@router.get("/connections/{slug}/{name}/credential-form", summary="What rotating a connection's credentials asks for")
async def rotation_form(slug: SlugPath, name: NamePath, desk: DeskOf) -> sealing.CredentialForm:
    connection = await show(slug, name, desk)
    template = await sealing.template_of(desk, connection)
    form = sealing.form_of(slug, connection.owner, template, None)
    return form.model_copy(update={"version_policy": connection.version_policy})


@router.post("/connections/{slug}/{name}/rotate", summary="Give a connection other credentials")
async def rotate(slug: SlugPath, name: NamePath, body: NewCredentials, desk: DeskOf) -> c.Connection:
    """Requests go on meanwhile. What a person authorized with the old ones is authorized anew."""
    key = sealing.sealing_key(desk)
    connection = await show(slug, name, desk)
    template = await sealing.template_of(desk, connection)
    values = giving.complete(template, sealing.revealed(body.credentials))
    command = giving.rotation_command(template, values, key, connection)
    return await desk.registry(desk.enterprise, "connection.rotate", command, c.Connection)


@router.patch("/connections/{slug}/{name}", summary="Change what a connection follows, or make it the default")
async def update(slug: SlugPath, name: NamePath, body: ChangedConnection, desk: DeskOf) -> c.Connection:
    """A version on other terms than those consented to is not taken up; `consent_needed` says so."""
    generation = body.generation or (await show(slug, name, desk)).generation
    command = c.UpdateConnection(
        connector=slug, name=name, generation=generation, version_policy=body.version_policy, default=body.default
    )
    return await desk.registry(desk.enterprise, "connection.update", command, c.Connection)


@router.post("/connections/{slug}/{name}/consent", summary="Let credentials be sent as another version sends them")
async def consent(slug: SlugPath, name: NamePath, body: Consent, desk: DeskOf) -> c.Consented:
    """An executor seals them for where they go from now on."""
    command = c.ConsentConnection(connector=slug, connection=name, version=body.version)
    return await desk.executor(desk.enterprise, "connection.consent", command, c.Consented, seconds=_PING_SECONDS)


@router.delete("/connections/{slug}/{name}", summary="Delete a connection and its credentials")
async def delete(slug: SlugPath, name: NamePath, desk: DeskOf) -> c.ConnectionDeleted:
    body = c.DeleteConnection(connector=slug, name=name)
    return await desk.registry(desk.enterprise, "connection.delete", body, c.ConnectionDeleted)


@router.post("/connections/{slug}/{name}/ping", summary="Probe a connection with its own credentials, step by step")
async def ping(slug: SlugPath, name: NamePath, desk: DeskOf) -> c.Probed:
    """What comes of it becomes the connection's health."""
    body = c.PingConnection(connector=slug, connection=name)
    return await desk.executor(desk.enterprise, "connection.ping", body, c.Probed, seconds=_PING_SECONDS)


@router.get("/connections/{slug}/{name}/circuits", summary="Circuits, cooldowns and limits of a connection")
async def circuits(slug: SlugPath, name: NamePath, desk: DeskOf, operation: OperationQuery = None) -> c.Circuits:
    body = c.ShowCircuits(connector=slug, connection=name, operation=operation)
    return await desk.executor(desk.enterprise, "circuit.show", body, c.Circuits)


@router.post("/connections/{slug}/{name}/circuits/reset", summary="Close circuits and end cooldowns")
async def reset_circuits(
    slug: SlugPath, name: NamePath, desk: DeskOf, operation: OperationQuery = None
) -> c.CircuitsReset:
    """Permits that are spent stay spent. The audit log says who did it."""
    body = c.ResetCircuits(connector=slug, connection=name, operation=operation)
    return await desk.executor(desk.enterprise, "circuit.reset", body, c.CircuitsReset)
