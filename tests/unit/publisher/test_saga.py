"""The way of a publication: every interruption ends in one version, one entry, one event."""

from __future__ import annotations

import asyncio

import pytest

from services.publisher.domain.publications import Publication, PublicationState
from services.publisher.handlers.auditing import AuditForwarder
from services.publisher.handlers.saga import REFUSALS, Point, PublicationRunner, Reached
from shared.contracts.errors import CATALOGUE, DibopError
from shared.contracts.template import document_digest
from tests.support.polling import eventually
from tests.unit.publisher.documents import api_key
from tests.unit.publisher.fakes import AT, World

ID = "6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11"


class Death(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def world() -> World:
    world = World()
    world.registry.save(api_key())
    world.store.publications[ID] = Publication(
        id=ID,
        owner="platform",
        slug="weather",
        scope="catalogue",
        digest=document_digest(api_key()),
        version="1.0.0",
        base_version=None,
        revision=1,
        actor="ada",
        notes="",
        request_id="request-1",
        created_at=AT,
    )
    return world


def runner(world: World, reached: Reached = lambda _: None) -> PublicationRunner:
    return PublicationRunner(world.store, world.registry, world.catalogue, reached=reached, first_wait_seconds=0.001)


def assert_published_once(world: World) -> None:
    assert [v.version for v in world.registry.versions["platform", "weather"]] == ["1.0.0"]
    assert [v.version for v in world.catalogue.entries["platform.weather"].versions] == ["1.0.0"]
    assert [event.id for event in world.store.told("version_published")] == [ID]
    assert [record.entry.action for record in world.store.audit] == ["connector.publish"]


async def test_every_point_is_reached_once_in_order(world: World) -> None:
    reached: list[Point] = []

    await runner(world, reached.append).run(ID)

    assert reached == list(Point)
    assert_published_once(world)


@pytest.mark.parametrize("point", list(Point))
async def test_dead_at_any_point_and_resumed_it_ends_published_once(world: World, point: Point) -> None:
    def die(reached: Point) -> None:
        if reached is point:
            raise Death

    with pytest.raises(Death):
        await runner(world, die).run(ID)

    second = runner(world)
    await second.resume()
    finished = await second.run(ID)

    assert finished.state is PublicationState.PUBLISHED
    assert_published_once(world)


async def test_two_processes_may_resume_the_same_publication(world: World) -> None:
    await asyncio.gather(runner(world).run(ID), runner(world).run(ID))

    assert_published_once(world)


async def test_whoever_asks_for_a_running_publication_joins_it(world: World) -> None:
    one = runner(world)

    assert one.run(ID) is one.run(ID)
    await one.run(ID)
    assert_published_once(world)


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - REFUSALS))
async def test_what_may_pass_is_tried_again(world: World, code: str) -> None:
    world.registry.failures = [DibopError(code, "Not now."), ConnectionError("gone")]  # type: ignore[arg-type]
    world.catalogue.failures = [TimeoutError("no answer")]

    finished = await runner(world).run(ID)

    assert finished.state is PublicationState.PUBLISHED
    assert_published_once(world)


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_what_will_not_pass_ends_it_with_the_reason(world: World, code: str) -> None:
    world.registry.failures = [DibopError(code, "No.")]  # type: ignore[arg-type]

    finished = await runner(world).run(ID)

    assert finished.state is PublicationState.FAILED
    assert finished.refusal is not None
    assert (finished.refusal.code, finished.refusal.detail) == (code, "The registry refused version 1.0.0: No.")
    assert world.catalogue.entries == {}
    assert world.store.told("version_published") == []
    assert [record.entry.action for record in world.store.audit] == ["connector.publish-failed"]


async def test_stopping_leaves_the_publication_open(world: World) -> None:
    world.registry.failures = [DibopError("overloaded", "No registry answers.")] * 1000
    one = runner(world)
    task = one.run(ID)
    await eventually(lambda: one.trouble(ID) == "No registry answers.")

    await one.stop()

    assert task.cancelled()
    assert [p.id for p in await world.store.open_publications()] == [ID]


async def test_what_another_process_left_behind_is_taken_up_while_running(world: World) -> None:
    left = world.store.publications.pop(ID)
    one = runner(world)
    await one.start(adopt_seconds=0.001)

    world.store.publications[ID] = left
    await eventually(lambda: world.store.told("version_published"))

    await one.stop()
    assert_published_once(world)


async def test_audit_entries_reach_the_registry_once_each_whatever_happens(world: World) -> None:
    await runner(world).run(ID)
    world.registry.failures = [DibopError("overloaded", "No registry answers."), OSError("gone")]
    forwarder = AuditForwarder(world.store, world.registry, poll_seconds=0.01)

    forwarder.start()
    await eventually(lambda: not world.store.audit)
    await forwarder.stop()

    (record,) = world.registry.audit.values()
    assert record.entry.action == "connector.publish"


async def test_an_audit_entry_that_is_refused_for_good_does_not_hold_up_the_others(world: World) -> None:
    await runner(world).run(ID)
    world.registry.failures = [DibopError("invalid-request", "Too large.")]

    await AuditForwarder(world.store, world.registry).forward()

    assert world.store.audit == []
    assert world.registry.audit == {}
