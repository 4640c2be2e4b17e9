"""Making, listing and deleting connections, and what executors see of them."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.handlers import connections, drafts, versions
from services.registry.handlers.ports import Caller, ConnectionKey
from services.registry.handlers.projections import finish
from shared.contracts.commands import AddVersion, DeleteConnection, ListConnections, SaveDraft
from shared.contracts.errors import DibopError
from shared.contracts.projections import CircuitHealth, ConnectionHealth, HealthState
from shared.security.principals import Role
from tests.support.connectors import connection, document
from tests.unit.registry.conftest import caller
from tests.unit.registry.fakes import MemoryHealth, MemoryProjections, MemoryStore

KEY = ConnectionKey("acme", "weather", "default")
DELETE = DeleteConnection(connector="weather")
NOW = "2026-01-31T09:05:00.123Z"


@pytest.fixture
async def draft(store: MemoryStore, author: Caller) -> str:
    """The digest of acme's draft."""
    return (await drafts.save(store, author, SaveDraft(slug="weather", document=document()))).digest


@pytest.fixture
async def version(store: MemoryStore, projections: MemoryProjections, publisher: Caller, draft: str) -> None:
    command = AddVersion(
        publication_id="p", slug="weather", version="1.0.0", digest=draft, scope="enterprise", revision=1, actor="ada"
    )
    await versions.add(store, projections, publisher, command)


@pytest.fixture
def admin() -> Caller:
    """Manages acme's connections, and writes no drafts."""
    return caller("kim", "acme", Role.ENTERPRISE_ADMIN)


async def refusal(store: MemoryStore, projections: MemoryProjections, person: Caller, **changes: Any) -> DibopError:
    with pytest.raises(DibopError) as refused:
        await connections.create(store, projections, person, connection(**changes))
    return refused.value


@pytest.mark.usefixtures("version")
async def test_a_connection_is_projected_audited_and_told(
    store: MemoryStore, projections: MemoryProjections, admin: Caller
) -> None:
    command = connection()

    made = await connections.create(store, projections, admin, command)

    assert (made.id, made.enterprise, made.created_by) == (command.id, "acme", "kim")
    assert made.fields == {"api_key": "••••tery"}
    entry = projections.connections[KEY]
    assert (entry.generation, entry.sealed, entry.origin) == (1, command.sealed, command.origin)
    assert store.state.audit[-1].action == "connection.create"
    assert store.state.events[-1].subject == f"evt.v1.acme.connection.{command.id}.created"
    told = f"{store.state.audit} {store.state.events} {made}"
    assert command.sealed["api_key"] not in told


@pytest.mark.usefixtures("version")
async def test_the_very_same_command_twice_is_one_connection(
    store: MemoryStore, projections: MemoryProjections, admin: Caller
) -> None:
    command = connection()
    made = await connections.create(store, projections, admin, command)

    assert await connections.create(store, projections, admin, command) == made
    assert len([e for e in store.state.events if e.what == "created"]) == 1


@pytest.mark.usefixtures("version")
async def test_a_name_is_taken_once(store: MemoryStore, projections: MemoryProjections, admin: Caller) -> None:
    first = await connections.create(store, projections, admin, connection())

    assert "'kim'" in (error := await refusal(store, projections, admin)).detail
    assert error.code == "already-exists"
    assert (await refusal(store, projections, admin, name="other", id=first.id)).code == "already-exists"
    assert (await connections.create(store, projections, admin, connection(name="other"))).name == "other"


@pytest.mark.usefixtures("draft")
async def test_a_draft_takes_connections_of_its_authors_alone(
    store: MemoryStore, projections: MemoryProjections, author: Caller, admin: Caller
) -> None:
    assert (await refusal(store, projections, admin)).code == "not-found"
    assert (await connections.create(store, projections, author, connection())).owner == "acme"


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"connector": "wether"}, "not-found"),
        ({"owner": "platform"}, "not-found"),
        ({"owner": "other"}, "not-found"),
        ({"version_policy": "^2"}, "not-found"),
        ({"version_policy": "1.0.1"}, "not-found"),
        ({"origin": "https://evil.example.com:443"}, "invalid-request"),
        ({"sealed": {}, "masked": {}}, "invalid-request"),
    ],
)
async def test_what_does_not_fit_is_refused_and_leaves_nothing(
    store: MemoryStore, projections: MemoryProjections, admin: Caller, changes: dict[str, Any], code: str
) -> None:
    assert (await refusal(store, projections, admin, **changes)).code == code
    assert projections.connections == {}


async def test_platform_has_no_connections(store: MemoryStore, projections: MemoryProjections) -> None:
    person = caller("ada", "platform", Role.ENTERPRISE_ADMIN)

    assert (await refusal(store, projections, person)).code == "forbidden"


async def test_who_does_not_manage_makes_none(
    store: MemoryStore, projections: MemoryProjections, viewer: Caller, stranger: Caller
) -> None:
    for person in (viewer, stranger):
        assert (await refusal(store, projections, person)).code == "forbidden"


@pytest.mark.usefixtures("version")
async def test_a_deleted_connection_is_gone_everywhere(
    store: MemoryStore, projections: MemoryProjections, admin: Caller
) -> None:
    made = await connections.create(store, projections, admin, connection())

    gone = await connections.delete(store, projections, admin, DELETE)

    assert gone.id == made.id
    assert projections.connections == {}
    assert store.state.audit[-1].action == "connection.delete"
    assert store.state.events[-1].what == "deleted"
    with pytest.raises(DibopError, match="no connection 'default'"):
        await connections.delete(store, projections, admin, DELETE)


@pytest.mark.usefixtures("version")
async def test_a_new_connection_of_an_old_name_has_a_higher_generation(
    store: MemoryStore, projections: MemoryProjections, admin: Caller
) -> None:
    await connections.create(store, projections, admin, connection())
    await connections.delete(store, projections, admin, DELETE)

    await connections.create(store, projections, admin, connection())

    assert projections.connections[KEY].generation == 3


@pytest.mark.usefixtures("version")
async def test_what_a_failure_kept_from_the_executors_is_finished_later(
    store: MemoryStore, projections: MemoryProjections, admin: Caller
) -> None:
    projections.broken = True
    with pytest.raises(ConnectionError):
        await connections.create(store, projections, admin, connection())
    projections.broken = False

    assert await finish(store, projections) == 1
    assert list(projections.connections) == [KEY]
    assert await finish(store, projections) == 0


@pytest.mark.usefixtures("version")
async def test_lists_are_paged_by_connector_and_name(
    store: MemoryStore, projections: MemoryProjections, admin: Caller, viewer: Caller
) -> None:
    for name in ("a", "b", "c"):
        await connections.create(store, projections, admin, connection(name=name))

    first = await connections.page(store, MemoryHealth(), viewer, ListConnections(limit=2))
    second = await connections.page(store, MemoryHealth(), viewer, ListConnections(limit=2, after=first.next_after))

    assert [c.name for c in first.connections + second.connections] == ["a", "b", "c"]
    assert (first.next_after, second.next_after) == ("weather.b", None)
    assert (await connections.page(store, MemoryHealth(), viewer, ListConnections(connector="maps"))).connections == []
    with pytest.raises(DibopError, match="next_after"):
        await connections.page(store, MemoryHealth(), viewer, ListConnections(after="weather"))


@pytest.mark.usefixtures("version")
async def test_lists_say_how_each_connection_does(
    store: MemoryStore, projections: MemoryProjections, admin: Caller, viewer: Caller
) -> None:
    made = [await connections.create(store, projections, admin, connection(name=name)) for name in ("a", "b", "c")]
    assert made[0].health.state == "unchecked"
    circuits = {"": CircuitHealth(False, 2), "now": CircuitHealth(True, 3, "status 503")}
    health = MemoryHealth()
    states: tuple[HealthState, ...] = ("degraded", "healthy")
    for one, state in zip(made[:2], states, strict=True):
        health[one.id] = ConnectionHealth(
            one.id, "acme", "weather", one.name, state, 3, NOW, circuits if state == "degraded" else {}
        )

    listed = (await connections.page(store, health, viewer, ListConnections())).connections

    assert [(c.health.state, c.health.since, c.health.cause) for c in listed] == [
        ("degraded", NOW, "now: status 503"),
        ("healthy", NOW, ""),
        ("unchecked", None, ""),
    ]
