"""A suspended enterprise, and one without SDK access: every command and every execution, over real permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from shared.contracts.subjects import EVENTS_STREAM, REGISTRY_CONSUMER
from shared.security.principals import Role
from tests.integration.tenants.test_commands import ALL, PERSONS, READS, stranger, tries
from tests.integration.tenants.test_executions import EXECUTING, run
from tests.integration.tenants.world import VICTIM, World
from tests.support.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_AUTHORS: Final = [
    ("registry", "draft.save"),
    ("registry", "draft.patch"),
    ("registry", "draft.restore"),
    ("registry", "draft.discard"),
    ("registry", "connector.duplicate"),
    ("registry", "connector.delete"),
    ("publisher", "test.plan"),
    ("publisher", "connector.checklist"),
    ("publisher", "connector.publish"),
]


async def change(world: World, what: str, **said: Any) -> None:
    """Tell it, and wait until all three services go by it."""
    admin = world.token("platform", Role.PLATFORM_ADMIN, subject="pat")
    await world.must("registry", "platform", "enterprise.change", {"id": VICTIM, "what": what, **said}, admin)


async def codes(world: World) -> set[str]:
    """What each of the services answers the owner's admin."""
    token = world.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK)
    things = world.things
    return {
        (await world.ask("registry", VICTIM, "connector.show", {"slug": things.slug}, token)).code,
        (await world.ask("publisher", VICTIM, "test.plan", {"slug": things.slug}, token)).code,
        (await run(world, "execas", VICTIM, things, token, 1)).code,
    }


async def by_its_own_user(world: World) -> str:
    """What an execution is answered that no token comes with."""
    command, body = f"{world.things.slug}.{world.things.operation}", {"parameters": {"q": "x"}}
    return (await world.ask("exec", VICTIM, command, body, None, world.north, user=VICTIM)).code


@pytest_asyncio.fixture(loop_scope="module")
async def suspended(guarded: World) -> AsyncIterator[World]:
    await change(guarded, "suspended", reason="unpaid")
    await eventually(lambda: _are(guarded, {"enterprise-suspended"}))
    yield guarded
    await change(guarded, "resumed")
    await eventually(lambda: _are(guarded, {"ok"}))


@pytest_asyncio.fixture(loop_scope="module")
async def without_sdk(guarded: World) -> AsyncIterator[World]:
    await change(guarded, "sdk_access_changed", sdk_access=False)
    await eventually(lambda: _are(guarded, {"ok", "forbidden"}))
    yield guarded
    await change(guarded, "sdk_access_changed", sdk_access=True)
    await eventually(lambda: _are(guarded, {"ok"}))


async def _are(world: World, wanted: set[str]) -> bool:
    return await codes(world) == wanted


async def test_nothing_is_executed_for_a_suspended_enterprise(suspended: World) -> None:
    for role in EXECUTING:
        answer = await run(suspended, "execas", VICTIM, suspended.things, suspended.token(VICTIM, role), 1)
        assert answer.code == "enterprise-suspended", role
    assert await by_its_own_user(suspended) == "enterprise-suspended"


async def test_a_suspended_enterprises_people_are_refused_whatever_they_ask(suspended: World) -> None:
    before = await suspended.belongings()
    for plane, command in ALL:
        for role in PERSONS:
            for body, _ in tries(plane, command, suspended.things):
                answer = await suspended.ask(plane, VICTIM, command, body, suspended.token(VICTIM, role))
                assert answer.code in {"enterprise-suspended", "forbidden"}, (plane, command, role, answer)
                if role is Role.ENTERPRISE_ADMIN_SDK and (plane, command) in READS:
                    assert answer.code == "enterprise-suspended", (plane, command)
    assert await suspended.belongings() == before


async def test_strangers_learn_nothing_of_it_and_the_platform_still_reads(suspended: World) -> None:
    body = {"slug": suspended.things.slug}
    for role in PERSONS:
        token = suspended.token(stranger(), role)
        assert (await suspended.ask("registry", VICTIM, "connector.show", body, token)).code == "forbidden"
    admin = suspended.token("platform", Role.PLATFORM_ADMIN)
    assert (await suspended.ask("registry", VICTIM, "connector.show", body, admin)).code == "ok"


async def test_without_sdk_access_authors_work_as_admins(without_sdk: World) -> None:
    author = without_sdk.token(VICTIM, Role.ENTERPRISE_ADMIN_SDK, subject=without_sdk.things.person)
    admin = without_sdk.token(VICTIM, Role.ENTERPRISE_ADMIN, subject=without_sdk.things.person)
    for plane, command in OF_AUTHORS:
        for body, _ in tries(plane, command, without_sdk.things):
            assert (await without_sdk.ask(plane, VICTIM, command, body, author)).code == "forbidden", command
    for plane, command in READS:
        for body, _ in tries(plane, command, without_sdk.things):
            as_author, as_admin = [
                (await without_sdk.ask(plane, VICTIM, command, body, token)).code for token in (author, admin)
            ]
            assert as_author == as_admin, command
    assert await by_its_own_user(without_sdk) == "ok"


async def test_the_registry_hears_its_events_with_the_rights_that_it_has(suspended: World) -> None:
    js = suspended.users["operator"].jetstream()

    async def heard() -> bool:
        info = await js.consumer_info(EVENTS_STREAM, REGISTRY_CONSUMER)
        return bool(info.ack_floor and info.ack_floor.stream_seq) and not info.num_pending and not info.num_ack_pending

    await eventually(heard)
