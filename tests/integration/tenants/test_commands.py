"""Every command of every service, tried by a stranger of every role on what another tenant has."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterable
from typing import Any, Final

import pytest

from shared.security.principals import Role
from tests.integration.tenants.bodies import BODIES
from tests.integration.tenants.world import (
    NOTHING,
    SECRET,
    VICTIM,
    Answer,
    Things,
    World,
    executor_commands,
    publisher_commands,
    registry_commands,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMANDS: Final = {
    "registry": registry_commands(),
    "publisher": publisher_commands(),
    "executor": executor_commands(),
}
_OF_ITS_OWN: Final = re.compile(r"globex-[0-9a-f]{12}|sha256:[0-9a-f]{64}")
ALL: Final = [(plane, command) for plane, commands in COMMANDS.items() for command in commands]
READ_BY_PLATFORM_ADMINS: Final = {
    ("registry", "audit.list"): {"ok"},
    ("registry", "call.list"): {"ok"},
    ("registry", "connection.list"): {"ok"},
    ("registry", "connection.show"): {"ok"},
    ("registry", "connector.list"): {"ok"},
    ("registry", "connector.show"): {"ok"},
    ("registry", "draft.get"): {"not-found"},
    ("registry", "draft.history"): {"not-found"},
    ("registry", "draft.stage"): {"not-found"},
    ("registry", "version.get"): {"ok"},
    ("publisher", "connector.diff"): {"ok", "forbidden"},
    ("executor", "circuit.show"): {"ok"},
}
"""What Platform Admins may ask of every enterprise, and how it is answered: they see no draft of an enterprise."""
READS: Final = [
    (plane, command)
    for plane, command in ALL
    if command.rpartition(".")[2] in {"get", "list", "show", "plan", "checklist", "diff", "stage", "history"}
    and not command.startswith(("keys.", "enterprise."))
]
PERSONS: Final = [role for role in Role if role is not Role.PLATFORM_ADMIN]
SETS_OF_ROLES: Final[list[tuple[Role, ...]]] = [(), *((role,) for role in PERSONS), tuple(PERSONS)]
commands = pytest.mark.parametrize(("plane", "command"), ALL, ids=[f"{plane}-{command}" for plane, command in ALL])


def stranger() -> str:
    """A tenant of its own for each try, so that one try's leavings are not another's finds."""
    return f"globex-{uuid.uuid4().hex[:12]}"


def tries(plane: str, command: str, things: Things) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Bodies that name what is there, each with its twin that names what is nowhere."""
    bodies = BODIES[plane][command]
    return zip(bodies(things), bodies(NOTHING), strict=True)


def same(real: Answer, nothing: Answer, things: Things) -> None:
    """Whether the thing exists makes no difference to what a stranger is answered."""
    assert real.code == nothing.code
    assert neutral(real, things) == neutral(nothing, things)


def neutral(answer: Answer, things: Things) -> str:
    """The answer without the names that the request brought along."""
    return _OF_ITS_OWN.sub("<own>", NOTHING.blanked(things.blanked(answer.body)))


async def test_every_command_is_tried() -> None:
    assert {plane: sorted(rows) for plane, rows in BODIES.items()} == COMMANDS


@pytest.mark.parametrize(("plane", "command"), READS, ids=[f"{plane}-{command}" for plane, command in READS])
async def test_the_owner_finds_what_the_bodies_name(world: World, plane: str, command: str) -> None:
    """The control: they are no nonsense, and the owner is told that its things are there, and others are not."""
    owner = world.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK, subject=world.things.person)
    differences = 0
    for body, twin in tries(plane, command, world.things):
        found = await world.ask(plane, VICTIM, command, body, owner)
        missed = await world.ask(plane, VICTIM, command, twin, owner)
        assert found.code == "ok", found
        differences += neutral(found, world.things) != neutral(missed, world.things)
    assert differences


@commands
async def test_anothers_subject_is_forbidden_whatever_it_holds(world: World, plane: str, command: str) -> None:
    before = await world.belongings()
    for roles in SETS_OF_ROLES:
        token = world.token(stranger(), *roles)
        for body, twin in tries(plane, command, world.things):
            real = await world.ask(plane, VICTIM, command, body, token)
            assert real.code == "forbidden", (roles, real)
            same(real, await world.ask(plane, VICTIM, command, twin, token), world.things)
            assert world.revealed(real, {**body, "": VICTIM}) == []
    assert await world.belongings() == before


@commands
async def test_a_platform_admin_may_read_and_no_more(world: World, plane: str, command: str) -> None:
    before = await world.belongings()
    token = world.token(stranger(), Role.PLATFORM_ADMIN)
    for body, _ in tries(plane, command, world.things):
        answer = await world.ask(plane, VICTIM, command, body, token)
        assert answer.code in READ_BY_PLATFORM_ADMINS.get((plane, command), {"forbidden"}), answer
        assert SECRET not in answer.body
    assert await world.belongings() == before


@commands
async def test_without_a_good_token_nothing_is_said(world: World, plane: str, command: str) -> None:
    for body, twin in tries(plane, command, world.things):
        for token in (None, "nonsense", world.tokens.issue("ada-lovelace", VICTIM, *Role, lifetime_seconds=-3600)):
            real = await world.ask(plane, VICTIM, command, body, token)
            assert real.code == "unauthenticated"
            same(real, await world.ask(plane, VICTIM, command, twin, token), world.things)


@commands
async def test_on_ones_own_subject_anothers_things_are_nowhere(world: World, plane: str, command: str) -> None:
    before = await world.belongings()
    for roles in SETS_OF_ROLES:
        for body, twin in tries(plane, command, world.things):
            here, there = stranger(), stranger()
            real = await world.ask(plane, here, command, body, world.token(here, *roles))
            nothing = await world.ask(plane, there, command, twin, world.token(there, *roles))
            same(real, nothing, world.things)
            assert world.revealed(real, body) == []
    assert await world.belongings() == before


@commands
async def test_the_platforms_own_is_for_its_admins_and_services(world: World, plane: str, command: str) -> None:
    for roles, (body, _) in itertools.product(SETS_OF_ROLES, tries(plane, command, world.things)):
        answer = await world.ask(plane, "platform", command, body, world.token(stranger(), *roles))
        assert answer.code == "forbidden", (roles, answer)


async def test_an_id_is_taken_by_one_alone_and_says_nothing_of_whom(world: World) -> None:
    """A UUID that somebody else uses is refused: locks, tokens and audit entries go by it."""
    me = stranger()
    token = world.token(me, Role.ENTERPRISE_ADMIN_SDK)
    slug = "my-own-shop"
    mine = BODIES["registry"]["draft.save"](world.things)[1]
    document = {**mine["document"], "slug": slug, "credential_schema": None}
    document.pop("credential_schema")
    await world.must("registry", me, "draft.save", {"slug": slug, "document": document}, token)
    body = {
        **BODIES["registry"]["connection.create"](world.things)[0],
        "connector": slug,
        "owner": me,
        "name": "default",
    }
    taken = await world.ask("registry", me, "connection.create", body, token)
    assert taken.code == "already-exists"
    assert world.revealed(taken, body) == []
    free = {**body, "id": str(uuid.uuid4())}
    assert (await world.ask("registry", me, "connection.create", free, token)).code == "ok"
