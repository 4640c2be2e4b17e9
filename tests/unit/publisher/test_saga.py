"""The way of a move: every interruption ends in one change, one entry, one event."""

from __future__ import annotations

import asyncio

import pytest
from services.publisher.domain.moves import Move, MoveKind, MoveState, Release, Withdrawal

from services.publisher.handlers.auditing import AuditForwarder
from services.publisher.handlers.saga import REFUSALS, MoveRunner, Point, Reached
from shared.contracts.errors import CATALOGUE, DibopError
from shared.contracts.projections import VersionState
from shared.contracts.template import document_digest
from tests.support.polling import eventually
from tests.unit.publisher.documents import api_key
from tests.unit.publisher.fakes import AT, World

ID = "6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11"
FIRST = Release("1.0.0", document_digest(api_key()), "catalogue", 1, None)
AGAIN = Release("1.0.1", document_digest(api_key()), "catalogue", 1, "1.0.0", content_of="1.0.0")


def made(kind: MoveKind, content: Release | Withdrawal, identifier: str = ID) -> Move:
    return Move(identifier, kind, "platform", "weather", content, "ada", "", "request-1", AT)


PUBLISH = made(MoveKind.PUBLISH, FIRST)
MOVES: dict[str, tuple[Move, str, dict[str, VersionState]]] = {
    "publish": (PUBLISH, "version_published", {"1.0.0": "published"}),
    "rollback": (made(MoveKind.ROLLBACK, AGAIN), "version_published", {"1.0.0": "published", "1.0.1": "published"}),
    "deprecate": (
        made(MoveKind.DEPRECATE, Withdrawal(("1.0.0",), "deprecated", "climate", "2030-01-31")),
        "version_deprecated",
        {"1.0.0": "deprecated"},
    ),
    "unpublish": (
        made(MoveKind.UNPUBLISH, Withdrawal(("1.0.0",), "unpublished")),
        "unpublished",
        {"1.0.0": "unpublished"},
    ),
    "retire": (made(MoveKind.RETIRE, Withdrawal(("1.0.0",), "retired")), "retired", {"1.0.0": "retired"}),
}


def runner(world: World, reached: Reached = lambda _: None) -> MoveRunner:
    return MoveRunner(world.store, world.registry, world.catalogue, reached=reached, first_wait_seconds=0.001)


class Case:
    """A move that is recorded, in a world where it can happen, and what is to come of it."""

    def __init__(self, name: str) -> None:
        self.world = World()
        self.move, self.event, self.states = MOVES[name]

    async def prepare(self) -> None:
        self.world.registry.save(api_key())
        if self.move.kind is not MoveKind.PUBLISH:
            await self.make(made(MoveKind.PUBLISH, FIRST, "0" * 32))
        if self.move.kind is MoveKind.RETIRE:
            await self.make(made(MoveKind.UNPUBLISH, Withdrawal(("1.0.0",), "unpublished"), "1" * 32))
        self.world.store.audit.clear()
        self.world.store.events.clear()
        self.world.store.moves[ID] = self.move

    async def make(self, move: Move) -> None:
        self.world.store.moves[move.id] = move
        await runner(self.world).run(move.id)

    def assert_done_once(self) -> None:
        assert {v.version: v.state for v in self.world.registry.versions["platform", "weather"]} == self.states
        entry = self.world.catalogue.entries["platform.weather"]
        assert {v.version: v.state for v in entry.versions} == self.states
        assert [event.what for event in self.world.store.events] == [self.event]
        assert [r.entry.action for r in self.world.store.audit] == [f"connector.{self.move.kind}"]


@pytest.fixture(params=MOVES)
async def case(request: pytest.FixtureRequest) -> Case:
    prepared = Case(request.param)
    await prepared.prepare()
    return prepared


@pytest.fixture
async def publish() -> Case:
    prepared = Case("publish")
    await prepared.prepare()
    return prepared


async def test_every_point_is_reached_once_in_order(case: Case) -> None:
    reached: list[Point] = []

    await runner(case.world, reached.append).run(ID)

    assert reached == list(Point)
    case.assert_done_once()


class Death(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("point", list(Point))
async def test_dead_at_any_point_and_resumed_it_ends_done_once(case: Case, point: Point) -> None:
    def die(reached: Point) -> None:
        if reached is point:
            raise Death

    with pytest.raises(Death):
        await runner(case.world, die).run(ID)

    second = runner(case.world)
    await second.resume()
    finished = await second.run(ID)

    assert finished.state is MoveState.DONE
    case.assert_done_once()


async def test_two_processes_may_resume_the_same_move(case: Case) -> None:
    await asyncio.gather(runner(case.world).run(ID), runner(case.world).run(ID))

    case.assert_done_once()


@pytest.mark.parametrize("name", ["publish", "rollback", "deprecate"])
async def test_a_process_that_lags_behind_undoes_nothing(name: str) -> None:
    """It has read the move before another process finished it, and goes on when the next move is done."""
    case = Case(name)
    await case.prepare()
    await runner(case.world).run(ID)
    await case.make(made(MoveKind.UNPUBLISH, Withdrawal(tuple(case.states), "unpublished"), "2" * 32))
    before = dict(case.world.catalogue.entries)
    told, audited = list(case.world.store.events), list(case.world.store.audit)

    late = runner(case.world)
    await late._apply(case.move)
    await late.run(ID)

    assert case.world.catalogue.entries == before
    assert (case.world.store.events, case.world.store.audit) == (told, audited)


async def test_whoever_asks_for_a_running_move_joins_it(publish: Case) -> None:
    one = runner(publish.world)

    assert one.run(ID) is one.run(ID)
    await one.run(ID)
    publish.assert_done_once()


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - REFUSALS))
async def test_what_may_pass_is_tried_again(publish: Case, code: str) -> None:
    publish.world.registry.failures = [DibopError(code, "Not now."), ConnectionError("gone")]  # type: ignore[arg-type]
    publish.world.catalogue.failures = [TimeoutError("no answer")]

    finished = await runner(publish.world).run(ID)

    assert finished.state is MoveState.DONE
    publish.assert_done_once()


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_what_will_not_pass_ends_it_with_the_reason(case: Case, code: str) -> None:
    before = dict(case.world.catalogue.entries)
    case.world.registry.failures = [DibopError(code, "No.")]  # type: ignore[arg-type]

    finished = await runner(case.world).run(ID)

    assert finished.state is MoveState.FAILED
    assert finished.refusal is not None
    assert finished.refusal.code == code
    assert finished.refusal.detail.endswith("was refused by the registry: No.")
    assert case.world.catalogue.entries == before
    assert case.world.store.events == []
    assert [r.entry.action for r in case.world.store.audit] == [f"connector.{case.move.kind}-failed"]


async def test_stopping_leaves_the_move_open(publish: Case) -> None:
    publish.world.registry.failures = [DibopError("overloaded", "No registry answers.")] * 1000
    one = runner(publish.world)
    task = one.run(ID)
    await eventually(lambda: one.trouble(ID) == "No registry answers.")

    await one.stop()

    assert task.cancelled()
    assert [move.id for move in await publish.world.store.open_moves()] == [ID]


async def test_what_another_process_left_behind_is_taken_up_while_running(publish: Case) -> None:
    left = publish.world.store.moves.pop(ID)
    one = runner(publish.world)
    await one.start(adopt_seconds=0.001)

    publish.world.store.moves[ID] = left
    await eventually(lambda: publish.world.store.told("version_published"))

    await one.stop()
    publish.assert_done_once()


async def test_each_version_that_is_withdrawn_is_told_of_under_an_id_of_its_own() -> None:
    case = Case("deprecate")
    await case.prepare()
    await case.make(made(MoveKind.ROLLBACK, AGAIN, "3" * 32))
    both = Withdrawal(("1.0.0", "1.0.1"), "deprecated", "climate", "2030-01-31")
    case.world.store.moves[ID] = made(MoveKind.DEPRECATE, both)

    await runner(case.world).run(ID)

    first, second = case.world.store.told("version_deprecated")
    assert first.id != second.id
    assert first.data == {
        "slug": "weather",
        "owner": "platform",
        "version": "1.0.0",
        "successor": "climate",
        "date": "2030-01-31",
        "connector_state": "deprecated",
        "moved_at": AT,
        "moved_by": "ada",
        "notes": "",
    }
    assert second.data["version"] == "1.0.1"


async def test_audit_entries_reach_the_registry_once_each_whatever_happens(publish: Case) -> None:
    world = publish.world
    await runner(world).run(ID)
    world.registry.failures = [DibopError("overloaded", "No registry answers."), OSError("gone")]
    forwarder = AuditForwarder(world.store, world.registry, poll_seconds=0.01)

    forwarder.start()
    await eventually(lambda: not world.store.audit)
    await forwarder.stop()

    (record,) = world.registry.audit.values()
    assert record.entry.action == "connector.publish"


async def test_an_audit_entry_that_is_refused_for_good_does_not_hold_up_the_others(publish: Case) -> None:
    world = publish.world
    await runner(world).run(ID)
    world.registry.failures = [DibopError("invalid-request", "Too large.")]

    await AuditForwarder(world.store, world.registry).forward()

    assert world.store.audit == []
    assert world.registry.audit == {}
