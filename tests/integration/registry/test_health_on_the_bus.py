"""The health that executors write, in the registry's list of connections."""

from __future__ import annotations

import msgspec
import pytest
from nats.js import JetStreamContext

from shared.contracts import subjects
from shared.contracts.commands import AppendAudit, AuditAppended, Connection, ConnectionPage, ListConnections
from shared.contracts.projections import CircuitHealth, ConnectionHealth, HealthState
from shared.messaging.connection import BusClient
from shared.security.principals import Role
from tests.integration.registry.conftest import People, Person
from tests.support.connectors import connection
from tests.support.polling import eventually
from tests.support.tokens import Tokens

pytestmark = pytest.mark.usefixtures("registry")
SINCE = "2026-01-31T09:05:00.123Z"


async def test_a_connection_is_listed_as_the_executors_find_it(js: JetStreamContext, people: People) -> None:
    await people.publish(await people.author.save())
    made = await people.admin.ask("connection.create", connection(), Connection)
    bucket = await js.key_value(subjects.HEALTH_BUCKET)

    async def find(state: HealthState, *, opened: bool) -> None:
        circuits = {"": CircuitHealth(opened, 7, "status 503" if opened else "")}
        entry = ConnectionHealth(made.id, "acme", "weather", "default", state, 7, SINCE, circuits)
        await bucket.put(subjects.health_key("acme", made.id), msgspec.json.encode(entry))

    async def listed(state: HealthState, cause: str = "") -> bool:
        page = await people.viewer.ask("connection.list", ListConnections(), ConnectionPage)
        health = page.connections[0].health
        return (health.state, health.cause) == (state, cause)

    assert await listed("unchecked")
    await find("degraded", opened=True)
    await eventually(lambda: listed("degraded", "status 503"))
    await find("healthy", opened=False)
    await eventually(lambda: listed("healthy"))


async def test_executors_append_to_the_audit_log_and_do_nothing_else(
    nc: BusClient, tokens: Tokens, people: People
) -> None:
    executor = Person(nc, tokens.issue("executor", "platform", Role.EXECUTOR), "acme")
    entry = AppendAudit(
        id="e-1", at=SINCE, actor="kim", action="circuit.reset", noun="circuit", identifier="weather.default"
    )

    assert (await executor.ask("audit.append", entry, AuditAppended)).appended
    assert [kept.action for kept in await people.admin.audit(noun="circuit")] == ["circuit.reset"]
    for command in ("connection.list", "audit.list"):
        assert (await executor.refused(command, {})).code == "forbidden"
