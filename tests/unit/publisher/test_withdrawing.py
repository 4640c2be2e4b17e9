"""Deprecating, unpublishing, retiring and rolling back: what a wish means, and what stands in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from services.publisher.domain.moves import MoveState
from services.publisher.handlers.rollback import rollback
from services.publisher.handlers.withdrawing import deprecate, retire, unpublish

from services.publisher.handlers.publishing import publish
from services.publisher.handlers.saga import MoveRunner
from shared.contracts import commands
from shared.contracts.errors import DibopError
from tests.unit.publisher.documents import DROP, api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller

SILENT = DibopError("deadline-exceeded", "No answer from the registry.")
_MODELS: dict[str, tuple[Any, Any]] = {
    "deprecate": (deprecate, commands.DeprecateConnector),
    "unpublish": (unpublish, commands.UnpublishConnector),
    "retire": (retire, commands.RetireConnector),
    "rollback": (rollback, commands.RollbackConnector),
    "publish": (publish, commands.PublishConnector),
}


class Publisher:
    """Moves versions in a world with a runner of its own."""

    def __init__(self) -> None:
        self.world = World()
        self.runner = MoveRunner(self.world.store, self.world.registry, self.world.catalogue, first_wait_seconds=0.001)

    async def do(
        self, what: str, *, enterprise: str = "platform", wait_seconds: float = 10.0, who: Any = None, **body: Any
    ) -> Any:
        use_case, model = _MODELS[what]
        command = model.model_validate({"slug": "weather", **body})
        asking = caller(enterprise) if who is None else caller(enterprise, who)
        return await use_case(asking, command, self.world.ports, self.runner, wait_seconds=wait_seconds)

    async def refused(self, what: str, **body: Any) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.do(what, **body)
        return caught.value

    async def release(self, **edits: Any) -> str:
        """Save an edited draft, all of it tested, and publish it."""
        self.world.registry.save(edited(api_key(), edits))
        self.world.all_tested()
        version: str = (await self.do("publish", scope="catalogue")).version
        return version

    @property
    def states(self) -> dict[str, str]:
        return {v.version: v.state for v in self.world.catalogue.entries["platform.weather"].versions}


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    """With the versions 1.0.0, 1.1.0 and 2.0.0."""
    made = Publisher()
    await made.release()
    await made.release(**{"/resilience/max_retries": 5})
    await made.release(**{"/resilience/max_retries": 5, "/base_url": "https://api.example.org"})
    assert list(made.states) == ["1.0.0", "1.1.0", "2.0.0"]
    made.world.store.events.clear()
    yield made
    await made.runner.stop()


async def test_one_version_is_deprecated_and_told_of(publisher: Publisher) -> None:
    moved = await publisher.do("deprecate", version="1.0.0", successor="2.0.0", date="2030-01-31", notes="Slow.")

    assert publisher.states == {"1.0.0": "deprecated", "1.1.0": "published", "2.0.0": "published"}
    assert (moved.versions, moved.changed, moved.connector_state) == (["1.0.0"], True, "published")
    (told,) = publisher.world.store.told("version_deprecated")
    assert told.subject == "evt.v1.platform.connector.weather.version_deprecated"
    assert {name: told.data[name] for name in ("version", "successor", "date", "notes")} == {
        "version": "1.0.0",
        "successor": "2.0.0",
        "date": "2030-01-31",
        "notes": "Slow.",
    }


async def test_without_a_version_all_but_the_successor_are_deprecated(publisher: Publisher) -> None:
    moved = await publisher.do("deprecate", successor="2.0.0")

    assert moved.versions == ["1.0.0", "1.1.0"]
    assert publisher.states["2.0.0"] == "published"
    assert len(publisher.world.store.told("version_deprecated")) == 2


async def test_the_whole_connector_goes_step_by_step(publisher: Publisher) -> None:
    await publisher.do("deprecate", version="1.0.0")
    unpublished = await publisher.do("unpublish")
    retired = await publisher.do("retire")

    assert set(publisher.states.values()) == {"retired"}
    assert (unpublished.connector_state, retired.connector_state) == ("unpublished", "retired")
    assert unpublished.versions == retired.versions == ["1.0.0", "1.1.0", "2.0.0"]
    assert len(publisher.world.store.told("unpublished")) == len(publisher.world.store.told("retired")) == 3


@pytest.mark.parametrize("what", ["deprecate", "unpublish"])
async def test_what_is_so_already_is_no_change(publisher: Publisher, what: str) -> None:
    await publisher.do(what)

    again = await publisher.do(what)

    assert (again.changed, again.versions) == (False, [])
    assert len(publisher.world.store.events) == 3


async def test_a_deprecation_may_be_told_anew(publisher: Publisher) -> None:
    await publisher.do("deprecate", version="1.0.0", successor="1.1.0")

    assert not (await publisher.do("deprecate", version="1.0.0", successor="1.1.0")).changed
    assert (await publisher.do("deprecate", version="1.0.0", successor="2.0.0")).changed
    assert [e.data["successor"] for e in publisher.world.store.told("version_deprecated")] == ["1.1.0", "2.0.0"]


@pytest.mark.parametrize(
    ("what", "body", "code", "told"),
    [
        ("retire", {"version": "1.0.0"}, "conflict", "Deprecate or unpublish it first"),
        ("retire", {}, "conflict", "is published and cannot become retired"),
        ("deprecate", {"version": "3.0.0"}, "not-found", "It has: 1.0.0, 1.1.0, 2.0.0"),
        ("deprecate", {"date": "2020-01-01"}, "invalid-request", "is over"),
        ("rollback", {"version": "3.0.0"}, "not-found", "It has: 1.0.0, 1.1.0, 2.0.0"),
        ("unpublish", {"enterprise": "acme"}, "not-found", "Platform Admins"),
        ("unpublish", {"enterprise": "globex"}, "forbidden", "'globex'"),
        ("unpublish", {"who": VIEWER}, "forbidden", "publish and withdraw versions"),
        ("rollback", {"version": "1.0.0", "who": VIEWER}, "forbidden", "publish and withdraw versions"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_recorded(
    publisher: Publisher, what: str, body: dict[str, Any], code: str, told: str
) -> None:
    refusal = await publisher.refused(what, **body)

    assert refusal.code == code
    assert told in refusal.detail
    assert len(publisher.world.store.moves) == 3


async def test_the_same_wish_at_once_is_one_move(publisher: Publisher) -> None:
    answers = await asyncio.gather(*(publisher.do("unpublish", version="1.0.0") for _ in range(6)))

    assert [answer.changed for answer in answers].count(True) == 1
    assert len(publisher.world.store.told("unpublished")) == 1


async def test_one_thing_happens_to_a_connector_at_a_time(publisher: Publisher) -> None:
    publisher.world.registry.failures = [SILENT] * 1000
    waiting = await publisher.refused("deprecate", version="1.0.0", wait_seconds=0.02)
    assert (waiting.code, waiting.outcome) == ("deadline-exceeded", "unknown")

    for what, body in (
        ("deprecate", {"version": "1.1.0"}),
        ("unpublish", {}),
        ("rollback", {"version": "1.0.0"}),
        ("publish", {"scope": "catalogue"}),
    ):
        refusal = await publisher.refused(what, **body)
        assert refusal.code == "conflict"
        assert "The move of version 1.0.0 of 'weather' to deprecated by ada is under way" in refusal.detail

    publisher.world.registry.failures.clear()
    assert not (await publisher.do("deprecate", version="1.0.0")).changed
    assert publisher.states["1.0.0"] == "deprecated"


async def test_a_refusal_by_the_registry_ends_the_move(publisher: Publisher) -> None:
    publisher.world.registry.failures = [DibopError("conflict", "3 connections use it.")]

    refusal = await publisher.refused("unpublish", version="1.0.0")

    assert (refusal.code, "3 connections use it." in refusal.detail) == ("conflict", True)
    assert [m.state for m in publisher.world.store.moves.values()][-1] is MoveState.FAILED
    assert publisher.world.store.events == []
    assert (await publisher.do("unpublish", version="1.0.0")).changed


async def test_a_rollback_publishes_old_content_under_the_next_version(publisher: Publisher) -> None:
    back = await publisher.do("rollback", version="1.1.0", notes="2.0.0 is wrong.")

    first, second = (publisher.world.registry.versions["platform", "weather"][i] for i in (1, 3))
    assert (back.version, back.changed, back.digest) == ("3.0.0", True, first.digest)
    assert second.document == first.document
    (told,) = publisher.world.store.told("version_published")
    assert (told.data["version"], told.data["content_of"], told.data["previous_version"]) == ("3.0.0", "1.1.0", "2.0.0")
    assert [r.entry.action for r in publisher.world.store.audit][-1] == "connector.rollback"


async def test_rolling_back_twice_changes_nothing_more(publisher: Publisher) -> None:
    first = await publisher.do("rollback", version="1.1.0")

    assert await publisher.do("rollback", version="1.1.0") == first.model_copy(update={"changed": False})
    assert not (await publisher.do("rollback", version="3.0.0")).changed


async def test_a_rollback_asks_for_the_bump_that_its_changes_need(publisher: Publisher) -> None:
    refusal = await publisher.refused("rollback", version="1.0.0", bump="minor")

    assert (refusal.code, "needs a major version" in refusal.detail) == ("not-publishable", True)


async def test_what_is_retired_does_not_come_back(publisher: Publisher) -> None:
    await publisher.do("unpublish", version="1.0.0")
    await publisher.do("retire", version="1.0.0")

    assert "does not come back" in (await publisher.refused("rollback", version="1.0.0")).detail
    assert "does not come back" in (await publisher.refused("deprecate", version="1.0.0")).detail


async def test_a_rollback_to_the_last_version_brings_it_back_where_it_was_unpublished(publisher: Publisher) -> None:
    await publisher.do("unpublish", version="2.0.0")

    assert (await publisher.do("rollback", version="2.0.0")).version == "2.0.1"


async def test_the_same_draft_is_published_anew_where_its_version_was_withdrawn(publisher: Publisher) -> None:
    await publisher.do("unpublish")

    again = await publisher.do("publish", scope="catalogue")

    assert (again.version, again.changed) == ("2.0.1", True)


async def test_a_draft_that_goes_on_is_left_alone_by_a_rollback(publisher: Publisher) -> None:
    publisher.world.registry.save(edited(api_key(), {"/operations/1": DROP}))
    before = publisher.world.registry.drafts["platform", "weather"]

    await publisher.do("rollback", version="1.0.0")

    assert publisher.world.registry.drafts["platform", "weather"] == before
