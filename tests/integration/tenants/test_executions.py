"""Executions: what another tenant has can neither be run nor found out about."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

import pytest

from shared.contracts.execution import CONNECTION_HEADER, VERSION_HEADER
from shared.security.principals import Role
from tests.integration.tenants.test_commands import SETS_OF_ROLES, neutral, same, stranger
from tests.integration.tenants.world import NOTHING, OFFERED, VICTIM, Answer, Things, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANES: Final = ["exec", "execas"]
EXECUTING: Final = [Role.ENTERPRISE_ADMIN, Role.ENTERPRISE_ADMIN_SDK, Role.SERVICE]
BODY: Final = {"parameters": {"q": "x"}}


def headers_naming(things: Things) -> list[dict[str, str]]:
    return [
        {},
        {CONNECTION_HEADER: things.connection},
        {VERSION_HEADER: things.version},
        {CONNECTION_HEADER: things.connection, VERSION_HEADER: "^1"},
    ]


async def run(world: World, plane: str, enterprise: str, things: Things, token: str | None, number: int) -> Answer:
    """Ask for the thing's operation, with the headers of this number."""
    headers = headers_naming(things)[number]
    return await world.ask(plane, enterprise, f"{things.slug}.{things.operation}", BODY, token, headers)


@pytest.mark.parametrize("role", EXECUTING)
@pytest.mark.parametrize("plane", PLANES)
async def test_the_owner_executes(world: World, plane: str, role: Role) -> None:
    """The control: by its NATS user's subject, and in the name of a person."""
    answer = await run(world, plane, VICTIM, world.things, world.token(VICTIM, role), 1)
    assert answer.code == "ok"
    assert json.loads(answer.body)["status_code"] == 200


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("plane", PLANES)
async def test_anothers_subject_takes_no_stranger(world: World, plane: str, number: int) -> None:
    for roles in [*SETS_OF_ROLES, (Role.PLATFORM_ADMIN,), tuple(Role)]:
        token = world.token(stranger(), *roles)
        real = await run(world, plane, VICTIM, world.things, token, number)
        assert real.code == "forbidden", roles
        same(real, await run(world, plane, VICTIM, NOTHING, token, number), world.things)


async def test_in_the_name_of_nobody_nothing_runs(world: World) -> None:
    expired = world.tokens.issue("ada-lovelace", VICTIM, *EXECUTING, lifetime_seconds=-3600)
    for token in (None, "nonsense", expired):
        real = await run(world, "execas", VICTIM, world.things, token, 1)
        assert real.code == "unauthenticated"
        same(real, await run(world, "execas", VICTIM, NOTHING, token, 1), world.things)


@pytest.mark.parametrize("role", [role for role in Role if role not in EXECUTING])
async def test_in_the_name_of_who_may_not_execute_nothing_runs(world: World, role: Role) -> None:
    assert (await run(world, "execas", VICTIM, world.things, world.token(VICTIM, role), 1)).code == "forbidden"


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("plane", PLANES)
async def test_on_ones_own_subject_anothers_connector_is_unknown(world: World, plane: str, number: int) -> None:
    for role in EXECUTING:
        here, there = stranger(), stranger()
        real = await run(world, plane, here, world.things, world.token(here, role), number)
        nothing = await run(world, plane, there, NOTHING, world.token(there, role), number)
        assert real.code == (
            "unknown-connection" if CONNECTION_HEADER in headers_naming(NOTHING)[number] else "unknown-connector"
        )
        same(real, nothing, world.things)
        assert world.revealed(real, headers_naming(world.things)[number] | {"slug": world.things.slug}) == []


@pytest.mark.parametrize("plane", PLANES)
async def test_anothers_connection_to_a_connector_of_all_is_unknown(world: World, plane: str) -> None:
    here = stranger()
    token = world.token(here, Role.ENTERPRISE_ADMIN)
    answers = [
        await world.ask(plane, here, f"{OFFERED}.look", BODY, token, {CONNECTION_HEADER: each.connection})
        for each in (world.things, NOTHING)
    ]
    assert answers[0].code == "unknown-connection"
    same(answers[0], answers[1], world.things)
    without = await world.ask(plane, here, f"{OFFERED}.look", BODY, token)
    assert (without.code, json.loads(without.body)["connection"]) == ("ok", None)


async def test_circuits_of_anothers_connection_are_nowhere(world: World) -> None:
    here = stranger()
    token = world.token(here, Role.ENTERPRISE_ADMIN)
    answers: list[Answer] = []
    for each in (world.things, NOTHING):
        body = {"connector": OFFERED, "connection": each.connection}
        answers += [await world.ask("executor", here, f"circuit.{verb}", body, token) for verb in ("show", "reset")]
    assert {answer.code for answer in answers} == {"unknown-connection"}
    assert neutral(answers[0], world.things) == neutral(answers[2], world.things)


@pytest.mark.parametrize("owner", [VICTIM, "platform"])
async def test_a_draft_is_tested_for_its_owner_alone(world: World, owner: str) -> None:
    here = stranger()
    body: dict[str, Any] = {"owner": owner, "digest": world.things.digest, **BODY}
    for digest in (world.things.digest, NOTHING.digest):
        answer = await world.ask(
            "draft", here, f"{world.things.slug}.{world.things.operation}", {**body, "digest": digest}, None
        )
        assert answer.code == "forbidden"


async def test_what_was_sealed_for_one_opens_for_nobody_else(world: World) -> None:
    """A stranger that has got hold of sealed values can neither test nor connect with them."""
    here, slug = stranger(), world.things.slug
    token = world.token(here, Role.ENTERPRISE_ADMIN_SDK)
    await world.must("registry", here, "draft.save", {"slug": slug, "document": world.document}, token)
    stolen = world.credentials("test", slug, world.things.session_id)
    report = await world.tested(here, {"slug": slug, "credentials": for_a_test(stolen)}, token)
    assert report["steps"][-1]["outcome"] == "fail"
    assert "credentials-rejected" in json.dumps(report)

    own = world.credentials("test", slug, str(uuid.uuid4()), here)
    report = await world.tested(here, {"slug": slug, "credentials": for_a_test(own)}, token)
    assert report["steps"][-1]["outcome"] == "pass", "the control: with its own, it may"
    await world.must("publisher", here, "connector.publish", {"slug": slug, "scope": "enterprise"}, token)
    for use, identifier in (("connection", world.things.connection_id), ("test", world.things.session_id)):
        sealed = {**world.credentials(use, slug, identifier), "id": str(uuid.uuid4()), "owner": here, "name": use}
        await world.must("registry", here, "connection.create", sealed, token)
        answer = await world.ask("exec", here, f"{slug}.harvest", BODY, None, {CONNECTION_HEADER: use})
        assert answer.code == "credentials-rejected", answer


def for_a_test(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "connector"}
