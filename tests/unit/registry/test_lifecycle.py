"""Moves of versions: which there are, who is in their way, and what they leave behind."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from services.registry.domain.lifecycle import PolicyUse, require_unused
from services.registry.handlers import connections, connectors, lifecycle
from services.registry.handlers.ports import Caller
from shared.contracts.commands import AddVersion, ConnectorState, SetVersionState, ShowConnector, VersionStateSet
from shared.contracts.errors import DibopError
from shared.contracts.lifecycle import MAY_BECOME, LaterState
from shared.contracts.projections import CatalogueVersion, VersionState
from shared.security.principals import Role
from tests.support.connectors import connection
from tests.unit.registry.conftest import caller
from tests.unit.registry.fakes import MemoryProjections, MemoryStore
from tests.unit.registry.test_connectors import Shop


class Shelf(Shop):
    """A shop whose versions move."""

    moves = 0

    async def fill(self, *versions: str) -> None:
        """Publish these, each with words of its own."""
        for version in versions:
            command: AddVersion = await self.save(description=f"Of {version}.")
            await self.add(command.model_copy(update={"version": version}))

    async def move(self, state: str, *versions: str, **more: Any) -> VersionStateSet:
        self.moves += 1
        body = {"move_id": f"m-{self.moves}", "slug": "weather", "versions": versions, "state": state, "actor": "ada"}
        command = SetVersionState.model_validate({**body, **more})
        return await lifecycle.set_state(self.store, self.publisher, command)

    async def refused(self, state: str, *versions: str, **more: Any) -> DibopError:
        before = self.store.state
        with pytest.raises(DibopError) as refusal:
            await self.move(state, *versions, **more)
        assert self.store.state is before
        return refusal.value


@pytest.fixture
async def shelf(store: MemoryStore, projections: MemoryProjections, author: Caller, publisher: Caller) -> Shelf:
    made = Shelf(store, projections, author, publisher)
    await made.fill("1.0.0", "1.1.0", "2.0.0")
    return made


async def test_a_deprecation_names_what_comes_instead_and_until_when(shelf: Shelf, viewer: Caller) -> None:
    entry = await shelf.move("deprecated", "1.0.0", "1.1.0", successor="2.0.0", date="2030-01-31")

    assert [(v.version, v.state) for v in entry.versions] == [
        ("1.0.0", "deprecated"),
        ("1.1.0", "deprecated"),
        ("2.0.0", "published"),
    ]
    assert (entry.generation, entry.state) == (4, "published")
    seen = await connectors.show(shelf.store, viewer, ShowConnector(slug="weather"))
    assert [v.model_dump(mode="json")["deprecation"] for v in seen.versions] == [
        {"successor": "2.0.0", "date": "2030-01-31"},
        {"successor": "2.0.0", "date": "2030-01-31"},
        None,
    ]
    audited = shelf.store.state.audit[-1]
    assert (audited.action, audited.actor, audited.details["versions"]) == (
        "version.set-state",
        "ada",
        ["1.0.0", "1.1.0"],
    )


async def test_a_repeated_move_moves_nothing_and_answers_the_same(shelf: Shelf) -> None:
    first = await shelf.move("deprecated", "1.0.0", move_id="m")
    await shelf.move("unpublished", "1.0.0")

    late = await shelf.move("deprecated", "1.0.0", move_id="m")

    assert first.versions[0].state == "deprecated"
    assert (late.versions[0].state, late.generation) == ("unpublished", 5)
    assert "has made versions" in (await shelf.refused("retired", "1.0.0", move_id="m")).detail


@pytest.mark.parametrize("before", get_args(VersionState))
@pytest.mark.parametrize("after", get_args(LaterState))
async def test_a_version_moves_as_the_table_says_and_not_otherwise(
    shelf: Shelf, before: VersionState, after: LaterState
) -> None:
    steps: dict[str, list[str]] = {"published": [], "retired": ["unpublished", "retired"]}
    for step in steps.get(before, [before]):
        await shelf.move(step, "1.0.0")

    if before in MAY_BECOME[after]:
        assert (await shelf.move(after, "1.0.0")).versions[0].state == after
    else:
        refusal = await shelf.refused(after, "1.0.0")
        assert refusal.code == "conflict"
        assert f"is {before} and cannot become {after}" in refusal.detail


async def test_all_of_the_versions_move_or_none(shelf: Shelf) -> None:
    await shelf.move("unpublished", "1.0.0")

    await shelf.refused("retired", "1.0.0", "1.1.0")
    refusal = await shelf.refused("retired", "1.0.0", "9.0.0")

    assert (refusal.code, "It has: 1.0.0, 1.1.0, 2.0.0" in refusal.detail) == ("not-found", True)


async def test_lists_follow_the_best_version_that_is_left(shelf: Shelf) -> None:
    states: list[ConnectorState] = []
    for state, versions in (
        ("deprecated", ["2.0.0"]),
        ("unpublished", ["1.0.0", "1.1.0"]),
        ("unpublished", ["2.0.0"]),
        ("retired", ["1.0.0", "1.1.0", "2.0.0"]),
    ):
        states.append((await shelf.move(state, *versions)).state)

    assert states == ["published", "deprecated", "unpublished", "retired"]
    summary = shelf.store.state.summaries["acme", "weather"]
    assert (summary.state, summary.latest_version) == ("retired", "2.0.0")


@pytest.mark.parametrize(
    ("policy", "retired", "in_the_way"),
    [("^1", "1.1.0", True), ("^1", "1.0.0", False), ("1.0.0", "1.0.0", True), ("^2", "1.1.0", False)],
)
async def test_what_a_connection_runs_is_not_retired(shelf: Shelf, policy: str, retired: str, in_the_way: bool) -> None:
    admin = caller("kim", "acme", Role.ENTERPRISE_ADMIN)
    await connections.create(shelf.store, shelf.projections, admin, connection(version_policy=policy))
    await shelf.move("unpublished", "1.0.0", "1.1.0")

    if in_the_way:
        refusal = await shelf.refused("retired", retired)
        assert f"1 connection with the version policy {policy} use it" in refusal.detail
    else:
        await shelf.move("retired", retired)


def test_the_connections_of_all_enterprises_are_counted() -> None:
    versions = [CatalogueVersion("1.0.0", "d", "unpublished", "")]

    with pytest.raises(DibopError, match="7 connections of 3 enterprises"):
        require_unused("weather", versions, ["1.0.0"], [PolicyUse("^1", 7, 3)])


async def test_an_unpublished_version_takes_no_new_connection(shelf: Shelf) -> None:
    admin = caller("kim", "acme", Role.ENTERPRISE_ADMIN)
    await shelf.move("unpublished", "2.0.0")

    with pytest.raises(DibopError, match=r"2\.0\.0 \(unpublished\)"):
        await connections.create(shelf.store, shelf.projections, admin, connection(version_policy="^2"))


@pytest.mark.parametrize("successor", ["1.0.0", "1.1.0", "9.0.0", "weather", "nowhere"])
async def test_a_successor_has_to_be_there_and_to_stay(shelf: Shelf, successor: str) -> None:
    await shelf.move("unpublished", "1.1.0")

    refusal = await shelf.refused("deprecated", "1.0.0", successor=successor)

    assert (refusal.code, successor in refusal.detail) == ("invalid-request", True)


async def test_another_connector_may_be_the_successor(
    shelf: Shelf, platform: Caller, catalogue_publisher: Caller
) -> None:
    catalogue = Shelf(shelf.store, shelf.projections, platform, catalogue_publisher)
    await catalogue.add(await catalogue.save("climate"))

    await shelf.move("deprecated", "1.0.0", successor="climate")


async def test_only_the_publisher_moves_versions(shelf: Shelf, author: Caller) -> None:
    shelf.publisher = author

    assert (await shelf.refused("unpublished", "1.0.0")).code == "forbidden"


async def test_the_platform_takes_over_what_an_enterprise_drafted(
    shelf: Shelf, platform: Caller, catalogue_publisher: Caller
) -> None:
    catalogue = Shelf(shelf.store, shelf.projections, platform, catalogue_publisher)
    drafted = await shelf.save(description="For all.")
    command = drafted.model_copy(update={"source": "acme", "scope": "catalogue", "version": "1.0.0"})

    for _ in range(2):
        entry = await catalogue.add(command)
    again = await shelf.save(description="For all, better.")
    await catalogue.add(again.model_copy(update={"source": "acme", "scope": "catalogue", "version": "1.0.1"}))

    assert [v.digest for v in entry.versions] == [drafted.digest]
    kept = [draft.revision for draft in shelf.store.state.revisions["platform", "weather"]]
    assert [(r.revision, r.digest, r.saved_by) for r in kept] == [(1, drafted.digest, "ada"), (2, again.digest, "ada")]


async def test_a_draft_of_the_platforms_own_is_not_covered(
    shelf: Shelf, platform: Caller, catalogue_publisher: Caller
) -> None:
    catalogue = Shelf(shelf.store, shelf.projections, platform, catalogue_publisher)
    await catalogue.save(description="The platform's own.")
    drafted = await shelf.save(description="For all.")

    with pytest.raises(DibopError, match="a draft 'weather' of its own") as refused:
        await catalogue.add(drafted.model_copy(update={"source": "acme", "scope": "catalogue"}))

    assert refused.value.code == "conflict"


async def test_an_enterprise_takes_over_nothing(shelf: Shelf) -> None:
    drafted = await shelf.save(description="More.")

    with pytest.raises(DibopError, match="the platform alone"):
        await shelf.add(drafted.model_copy(update={"source": "other", "version": "3.0.0"}))
