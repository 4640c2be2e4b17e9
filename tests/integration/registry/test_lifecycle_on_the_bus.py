"""Moves of versions over the bus, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.registry.store import tables
from shared.contracts import commands
from shared.contracts.errors import DibopError
from shared.persistence.engine import Database
from shared.persistence.tenancy import across_tenants
from tests.integration.registry.conftest import People
from tests.support.connectors import connection


@pytest.fixture
async def published(registry: Database, people: People) -> People:
    """acme's connector with the versions 1.0.0 and 2.0.0."""
    await people.publish(await people.author.save())
    await people.publish(await people.author.save(base_revision=1, description="More."), "2.0.0")
    return people


def move(state: str, *versions: str, **more: Any) -> dict[str, Any]:
    first = {"move_id": f"{state} {versions}", "slug": "weather", "versions": versions, "state": state, "actor": "ada"}
    return {**first, **more}


async def test_the_life_of_a_version(published: People) -> None:
    publisher, admin = published.publisher, published.admin
    deprecation = move("deprecated", "1.0.0", successor="2.0.0", date="2030-01-31")
    entry = await publisher.ask("version.set-state", deprecation, commands.VersionStateSet)
    assert [(v.version, v.state) for v in entry.versions] == [("1.0.0", "deprecated"), ("2.0.0", "published")]
    made = await admin.ask("connection.create", connection(), commands.Connection)

    await publisher.ask("version.set-state", move("unpublished", "1.0.0"), commands.VersionStateSet)
    again = await publisher.ask("version.set-state", deprecation, commands.VersionStateSet)
    assert (again.generation, again.versions[0].state) == (4, "unpublished")
    used = await publisher.refused("version.set-state", move("retired", "1.0.0"))
    assert (used.code, "1 connection with the version policy ^1" in used.detail) == ("conflict", True)
    taken = await admin.refused("connection.create", connection(name="another"))
    assert "1.0.0 (unpublished)" in taken.detail

    await admin.ask("connection.delete", {"connector": "weather", "name": made.name}, commands.ConnectionDeleted)
    entry = await publisher.ask("version.set-state", move("retired", "1.0.0"), commands.VersionStateSet)
    assert (entry.versions[0].state, entry.state, entry.generation) == ("retired", "published", 5)
    shown = await published.viewer.ask("connector.show", {"slug": "weather"}, commands.Connector)
    assert [(v.version, v.state, v.deprecation) for v in shown.versions] == [
        ("1.0.0", "retired", None),
        ("2.0.0", "published", None),
    ]


async def test_of_a_retirement_and_a_new_connection_at_once_one_wins(published: People) -> None:
    await published.publisher.ask("version.set-state", move("deprecated", "1.0.0"), commands.VersionStateSet)
    retiring = published.publisher.ask("version.set-state", move("retired", "1.0.0"), commands.VersionStateSet)
    connecting = published.admin.ask("connection.create", connection(version_policy="^1"), commands.Connection)

    outcomes = await asyncio.gather(retiring, connecting, return_exceptions=True)

    assert [isinstance(outcome, DibopError) for outcome in outcomes].count(True) == 1


async def test_moves_are_kept_as_they_were_made(published: People, registry: Database) -> None:
    await published.publisher.ask("version.set-state", move("unpublished", "1.0.0"), commands.VersionStateSet)

    for statement in (tables.version_moves.update().values(state="retired"), tables.version_moves.delete()):
        with pytest.raises(IntegrityError):
            async with registry.write() as connected:
                await connected.execute(across_tenants(statement))
    async with registry.read() as connected:
        (kept,) = await connected.execute(across_tenants(sa.select(tables.version_moves.c.state)))
    assert kept.state == "unpublished"
