"""Test credentials of a person, and what a test of a draft would run."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from services.console.api import routing, sealing
from services.console.api.dependencies import DeskOf, OwnerQuery, SlugPath
from services.console.api.models import View
from shared.contracts import commands as c
from shared.contracts.commands.test_credentials import MAX_TEST_CREDENTIALS_SECONDS
from shared.contracts.limits import MAX_NAMES
from shared.contracts.names import SLUG_PATTERN
from shared.security import credentials as giving

router = routing.router("tests")

CredentialsId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", description="The id of kept test credentials.")]


class GiveTestCredentials(View):
    """`lifetime_seconds` is how long they are kept, 8 hours at most."""

    credentials: sealing.Credentials
    lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_TEST_CREDENTIALS_SECONDS)] = MAX_TEST_CREDENTIALS_SECONDS


@router.get("/test-credentials", summary="The caller's own test credentials, newest first")
async def kept(
    desk: DeskOf, owner: OwnerQuery = None, connector: Annotated[str | None, Query(pattern=SLUG_PATTERN)] = None
) -> c.TestCredentialsList:
    body = c.ListTestCredentials(connector=connector)
    return await desk.registry(owner or desk.enterprise, "test-credentials.list", body, c.TestCredentialsList)


@router.post("/connectors/{slug}/test-credentials", status_code=201, summary="Keep credentials for tests of a draft")
async def keep(
    slug: SlugPath, body: GiveTestCredentials, desk: DeskOf, owner: OwnerQuery = None
) -> c.KeptTestCredentials:
    """They are sealed here, for tests of this connector at this address alone, and take the place of earlier ones."""
    key = sealing.sealing_key(desk)
    owner = await desk.owner(slug, owner)
    template = await sealing.draft_template(desk, slug, owner)
    values = giving.complete(template, sealing.revealed(body.credentials))
    command = giving.kept_for_tests(template, values, key, owner=owner)
    command = command.model_copy(update={"lifetime_seconds": body.lifetime_seconds})
    return await desk.registry(owner, "test-credentials.save", command, c.KeptTestCredentials)


@router.delete("/test-credentials/{identifier}", summary="Forget test credentials")
async def forget(identifier: CredentialsId, desk: DeskOf, owner: OwnerQuery = None) -> c.TestCredentialsDeleted:
    body = routing.built(c.DeleteTestCredentials, id=identifier)
    enterprise = owner or desk.enterprise
    return await desk.registry(enterprise, "test-credentials.delete", body, c.TestCredentialsDeleted)


@router.get("/connectors/{slug}/test-plan", summary="Which operations a test of the draft would run")
async def plan(
    slug: SlugPath,
    desk: DeskOf,
    owner: OwnerQuery = None,
    operation: Annotated[
        list[str] | None, Query(max_length=MAX_NAMES, description="All idempotent ones if none.")
    ] = None,
) -> c.TestPlan:
    body = routing.built(c.PlanTest, slug=slug, operations=operation)
    return await desk.publisher(await desk.owner(slug, owner), "test.plan", body, c.TestPlan)
