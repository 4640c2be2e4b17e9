"""The same over a server with NATS users: a stranger's own user reaches nothing of another tenant's.

The server refuses what is another's; what it lets through, on the stranger's own subjects and as the console, which
speaks for everybody, the services refuse.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest
from nats.errors import Error as NatsError

from shared.contracts.execution import AUTHORIZATION_HEADER
from shared.security.principals import Role
from tests.integration.tenants.test_commands import READ_BY_PLATFORM_ADMINS, READS, commands, neutral, tries
from tests.integration.tenants.world import NOTHING, OFFERED, SECRET, STRANGER, VICTIM, World
from tests.support.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL: Final = {"parameters": {"q": "x"}}
NOT_A_CLIENTS: Final = ("execas", "draft")
MAKING: Final = {"draft.save", "connection.create"}
"""They make things of the stranger's own, which the next try would find. `test_commands` tries them."""


async def refused_by_the_server(world: World, subject: str, body: Any, token: str) -> bool:
    """True where the stranger's user may not even publish this; nobody answers then."""
    nc = world.users[STRANGER]
    refusals: list[str] = []

    async def note(error: Exception) -> None:
        refusals.append(str(error).lower())

    nc._error_cb, before = note, nc._error_cb
    try:
        asking = asyncio.create_task(
            nc.request(subject, json.dumps(body).encode(), timeout=5, headers={AUTHORIZATION_HEADER: f"Bearer {token}"})
        )
        await eventually(lambda: bool(refusals) or asking.done())
        answered = asking.done()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    finally:
        nc._error_cb = before
    return not answered and f'permissions violation for publish to "{subject}"' in refusals[0]


@pytest.mark.parametrize(("plane", "command"), READS, ids=[f"{plane}-{command}" for plane, command in READS])
async def test_the_owner_is_answered_over_its_own_user(guarded: World, plane: str, command: str) -> None:
    """The control: with these permissions all of this works for whom it belongs to."""
    owner = guarded.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK, subject=guarded.things.person)
    for body, _ in tries(plane, command, guarded.things):
        assert (await guarded.ask(plane, VICTIM, command, body, owner, user=VICTIM)).code == "ok"


@commands
async def test_the_server_refuses_every_command_on_anothers_subject(guarded: World, plane: str, command: str) -> None:
    """With a token of its own, and with one of the victim's that it has stolen."""
    before = await guarded.belongings()
    for body, _ in tries(plane, command, guarded.things):
        for enterprise in (STRANGER, VICTIM):
            token = guarded.token(enterprise, *Role)
            assert await refused_by_the_server(guarded, f"{plane}.v1.{VICTIM}.{command}", body, token)
            assert await refused_by_the_server(guarded, f"{plane}.v1.platform.{command}", body, token)
    assert await guarded.belongings() == before


@pytest.mark.parametrize("plane", ["exec", "execas", "draft", "job"])
async def test_the_server_refuses_every_execution_on_anothers_subject(guarded: World, plane: str) -> None:
    token = guarded.token(VICTIM, *Role)
    for name in (f"{guarded.things.slug}.{guarded.things.operation}", f"{OFFERED}.look"):
        for enterprise in (VICTIM, "platform"):
            assert await refused_by_the_server(guarded, f"{plane}.v1.{enterprise}.{name}", CALL, token)


@pytest.mark.parametrize("plane", NOT_A_CLIENTS)
async def test_some_planes_are_no_clients_at_all(guarded: World, plane: str) -> None:
    token = guarded.token(STRANGER, *Role)
    assert await refused_by_the_server(guarded, f"{plane}.v1.{STRANGER}.{OFFERED}.look", CALL, token)


@commands
async def test_on_its_own_subject_it_finds_nothing_of_anothers(guarded: World, plane: str, command: str) -> None:
    before = await guarded.belongings()
    token = guarded.token(STRANGER, *(role for role in Role if role is not Role.PLATFORM_ADMIN))
    for body, twin in tries(plane, command, guarded.things):
        if command in MAKING:
            continue
        real = await guarded.ask(plane, STRANGER, command, body, token, user=STRANGER)
        nothing = await guarded.ask(plane, STRANGER, command, twin, token, user=STRANGER)
        assert (real.code, neutral(real, guarded.things)) == (nothing.code, neutral(nothing, guarded.things))
        assert guarded.revealed(real, body) == []
    assert await guarded.belongings() == before


@commands
async def test_the_console_opens_no_way_round(guarded: World, plane: str, command: str) -> None:
    """It may publish for every enterprise; the person's own token decides."""
    before = await guarded.belongings()
    for roles in ((Role.ENTERPRISE_ADMIN_SDK,), (Role.PLATFORM_ADMIN,), (Role.PUBLISHER, Role.EXECUTOR), tuple(Role)):
        token = guarded.token(STRANGER, *roles)
        for body, _ in tries(plane, command, guarded.things):
            answer = await guarded.ask(plane, VICTIM, command, body, token)
            may_read = Role.PLATFORM_ADMIN in roles and (plane, command) in READ_BY_PLATFORM_ADMINS
            assert may_read or answer.code == "forbidden", answer
            assert SECRET not in answer.body
    assert await guarded.belongings() == before


async def test_the_console_executes_in_the_name_of_people_alone(guarded: World) -> None:
    name = f"{guarded.things.slug}.{guarded.things.operation}"
    north = guarded.north
    own = await guarded.ask("execas", VICTIM, name, CALL, guarded.token(VICTIM, Role.ENTERPRISE_ADMIN), north)
    assert own.code == "ok"
    for token in (guarded.token(STRANGER, *Role), guarded.token(VICTIM, Role.VIEWER)):
        assert (await guarded.ask("execas", VICTIM, name, CALL, token, north)).code == "forbidden"
    assert (await guarded.ask("execas", VICTIM, name, CALL, None, north)).code == "unauthenticated"
    with pytest.raises(NatsError):
        await guarded.users["console"].request(f"exec.v1.{VICTIM}.{name}", b"{}", timeout=0.5)


async def test_an_answer_cannot_be_aimed_at_another_tenant(guarded: World) -> None:
    """The reply subject is the sender's to choose: neither server nor service lets the answer go elsewhere."""
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    inbox = f"_INBOX.{VICTIM}.one.known"
    await guarded.users[VICTIM].subscribe(inbox, cb=hear)
    await guarded.users[VICTIM].flush()
    headers = {AUTHORIZATION_HEADER: f"Bearer {guarded.token(STRANGER, *Role)}"}
    stranger = guarded.users[STRANGER]
    for subject in (f"exec.v1.{STRANGER}.{OFFERED}.look", f"registry.v1.{STRANGER}.connector.list"):
        await stranger.publish(subject, json.dumps(CALL).encode(), reply=inbox, headers=headers)
    await stranger.flush()
    done = await guarded.ask("exec", STRANGER, f"{OFFERED}.look", CALL, None, user=STRANGER)
    assert done.code == "ok", "what was sent after that has been answered"
    await guarded.users[VICTIM].flush()
    assert heard == []


@pytest.mark.parametrize("things", ["real", "absent"])
async def test_executions_find_nothing_of_anothers(guarded: World, things: str) -> None:
    named = guarded.things if things == "real" else NOTHING
    answer = await guarded.ask("exec", STRANGER, f"{named.slug}.{named.operation}", CALL, None, user=STRANGER)
    assert answer.code == "unknown-connector"
    assert guarded.revealed(answer, named.slug + named.operation) == []
