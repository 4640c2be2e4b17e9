"""Taking requests: one reply for each, a bounded number at once, a bounded queue, a drain that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError

from services.executor import bus
from services.executor.bus import Intake
from services.executor.callers import Callers
from services.executor.domain.reply import Result
from services.executor.handlers import Answer, Call, Ports
from shared.contracts.errors import DibopError
from tests.support.polling import eventually

INBOX = "_INBOX.acme."


class FakeSubscription:
    async def drain(self) -> None: ...


class FakeNats:
    """Remembers what is published; hands messages to the callbacks that were subscribed."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[[Msg], Any]] = {}
        self.queues: set[str] = set()
        self.replies: list[tuple[str, bytes, dict[str, str] | None]] = []
        self.closed = False

    async def subscribe(self, subject: str, queue: str, cb: Callable[[Msg], Any]) -> FakeSubscription:
        self.callbacks[subject] = cb
        self.queues.add(queue)
        return FakeSubscription()

    async def flush(self) -> None: ...

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        if self.closed:
            raise ConnectionClosedError
        self.replies.append((subject.removeprefix(INBOX), body, headers))

    async def ask(self, reply: str, *, subject: str = "exec.v1.acme.shop.run", headers: Any = None) -> None:
        plane = subject.split(".", maxsplit=1)[0]
        inbox = reply if not reply or reply.startswith("_") else INBOX + reply
        message = Msg(cast("Client", self), subject=subject, reply=inbox, data=b"{}", headers=headers)
        await self.callbacks[f"{plane}.v1.*.*.*"](message)

    def codes(self) -> dict[str, str]:
        """The error code of each reply by its subject; `ok` for results."""
        return {
            subject: msgspec.json.decode(body)["type"].removeprefix("urn:dibop:error:") if headers else "ok"
            for subject, body, headers in self.replies
        }


class World:
    def __init__(self, **limits: int) -> None:
        self.nats = FakeNats()
        self.gate = asyncio.Event()
        self.calls: list[Call] = []
        self.error: Exception | None = None
        self.waiting = False
        self.intake = Intake(
            cast("Client", self.nats),
            cast("Ports", None),
            Callers(None),
            max_in_flight=limits.get("max_in_flight", 2),
            queue_size=limits.get("queue_size", 2),
        )

    async def execute(self, call: Call, _ports: Ports) -> Answer:
        self.calls.append(call)
        if self.waiting:
            call.place.give_up()
        else:
            call.place.sent()
        await self.gate.wait()
        if self.waiting:
            call.place.take_back()
        if self.error is not None:
            raise self.error
        return Answer(b"result", cast("Result", None))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    async def make(**limits: int) -> World:
        here = World(**limits)
        monkeypatch.setattr(bus, "execute", here.execute)
        monkeypatch.setattr(bus, "execute_draft", here.execute)
        await here.intake.start()
        return here

    return make


async def test_all_planes_are_served_in_one_queue_group(world: Callable[..., Any]) -> None:
    here = await world()
    assert set(here.nats.callbacks) == {"exec.v1.*.*.*", "execas.v1.*.*.*", "draft.v1.*.*.*"}
    assert here.nats.queues == {"executors"}


async def test_a_request_is_read_from_its_headers(world: Callable[..., Any]) -> None:
    here = await world()
    headers = {"Dibop-Connection": "north", "Dibop-Version": "^1", "Dibop-Deadline-Ms": "1500",
               "Dibop-Request-Id": "r-1", "Idempotency-Key": "k"}  # fmt: skip
    await here.nats.ask("inbox", headers=headers)
    await eventually(lambda: here.calls)
    (call,) = here.calls
    assert call.key == ("exec.v1.acme.shop.run", "north", "^1")
    assert (call.request_id, call.waits, call.idempotency_key) == ("r-1", 1.5, "k")
    here.gate.set()


async def test_no_more_run_at_once_than_allowed_and_no_more_wait(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=2, queue_size=3)
    for number in range(8):
        await here.nats.ask(f"inbox-{number}")
    await eventually(lambda: len(here.calls) == 2)
    assert here.nats.codes() == {f"inbox-{number}": "overloaded" for number in (5, 6, 7)}
    assert (here.intake.counters.in_flight, here.intake.counters.queued) == (2, 3)
    here.gate.set()
    await eventually(lambda: len(here.nats.replies) == 8)
    assert [here.nats.codes()[f"inbox-{number}"] for number in range(5)] == ["ok"] * 5
    assert (here.intake.counters.in_flight, here.intake.counters.queued) == (0, 0)
    assert here.intake.counters.most_in_flight == 2


async def test_with_one_place_every_request_gets_its_turn(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=100)
    here.gate.set()
    for number in range(50):
        await here.nats.ask(f"inbox-{number}")
        if number % 7 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(here.nats.replies) == 50)


@pytest.mark.parametrize(
    "reply",
    [
        "_INBOX.globex.ann.1",
        "_INBOX.acmes.ann.1",
        "_INBOX.acme",
        "_INBOX.ann.1",
        "_INBOX.svc",
        "_INBOXES.acme.1",
        "_JS.API.STREAM.DELETE.EVENTS",
    ],
)
async def test_a_request_whose_reply_would_go_elsewhere_is_dropped_and_counted(
    world: Callable[..., Any], reply: str
) -> None:
    here = await world()
    for subject in ("exec.v1.acme.shop.run", "execas.v1.acme.shop.run", "draft.v1.acme.shop.run"):
        await here.nats.ask(reply, subject=subject)
    assert (here.calls, here.nats.replies) == ([], [])
    assert (here.intake.counters.foreign_reply, here.intake.counters.requests) == (3, 3)


@pytest.mark.parametrize("reply", ["_INBOX.acme.ann.1", "_INBOX.svc.console.1", "_R_.abc.def"])
async def test_a_reply_goes_to_the_enterprise_a_service_or_where_the_server_routes_it(
    world: Callable[..., Any], reply: str
) -> None:
    here = await world()
    here.gate.set()
    await here.nats.ask(reply)
    await eventually(lambda: len(here.nats.replies) == 1)
    assert here.intake.counters.foreign_reply == 0


async def test_a_request_without_a_reply_subject_is_dropped_and_counted(world: Callable[..., Any]) -> None:
    here = await world()
    await here.nats.ask("")
    assert here.calls == []
    assert (here.intake.counters.without_reply, here.intake.counters.requests) == (1, 1)


async def test_a_bug_is_answered_and_the_worker_lives_on(world: Callable[..., Any]) -> None:
    here = await world()
    here.gate.set()
    here.error = ZeroDivisionError("secret inside")
    await here.nats.ask("inbox-1", headers={"Dibop-Request-Id": "r-1"})
    await eventually(lambda: here.nats.replies)
    _, body, headers = here.nats.replies[0]
    assert headers["Nats-Service-Error-Code"] == "500"
    assert b"r-1" in body
    assert b"secret inside" not in body
    here.error = None
    await here.nats.ask("inbox-2")
    await eventually(lambda: here.nats.codes().get("inbox-2") == "ok")


async def test_a_refusal_is_answered_in_the_catalogues_words(world: Callable[..., Any]) -> None:
    here = await world()
    here.gate.set()
    here.error = DibopError("unknown-connector", "No.")
    await here.nats.ask("inbox")
    await eventually(lambda: here.nats.replies)
    assert here.nats.codes() == {"inbox": "unknown-connector"}
    assert here.intake.counters.errors == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Dibop-Deadline-Ms": "soon"}, "invalid-request"),
        ({"Authorization": "Bearer x"}, "unauthenticated"),
        ({"Authorization": ""}, "unauthenticated"),
    ],
)
async def test_bad_headers_are_answered(world: Callable[..., Any], headers: dict[str, str], code: str) -> None:
    here = await world()
    await here.nats.ask("inbox", headers=headers)
    await eventually(lambda: here.nats.replies)
    assert here.nats.codes() == {"inbox": code}
    assert here.calls == []


async def test_a_drain_waits_for_what_was_taken(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=5)
    for number in range(4):
        await here.nats.ask(f"inbox-{number}")
    draining = asyncio.create_task(here.intake.drain(30))
    await eventually(lambda: here.calls)
    assert not draining.done()
    here.gate.set()
    await draining
    assert here.nats.codes() == {f"inbox-{number}": "ok" for number in range(4)}


async def test_a_drain_that_takes_too_long_tells_the_callers(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=5)
    for number in range(3):
        await here.nats.ask(f"inbox-{number}")
    await eventually(lambda: here.calls)
    await here.intake.drain(0.05)
    assert here.nats.codes() == {"inbox-0": "upstream-timeout", "inbox-1": "overloaded", "inbox-2": "overloaded"}
    outcomes = {subject: msgspec.json.decode(body)["outcome"] for subject, body, _ in here.nats.replies}
    assert outcomes == {"inbox-0": "unknown", "inbox-1": "not_sent", "inbox-2": "not_sent"}


async def test_a_reply_that_cannot_be_sent_is_counted(world: Callable[..., Any]) -> None:
    here = await world()
    here.gate.set()
    here.nats.closed = True
    await here.nats.ask("inbox")
    await eventually(lambda: here.intake.counters.undelivered == 1)


async def test_who_only_waits_lets_others_work(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=2, queue_size=4)
    here.waiting = True
    for number in range(4):
        await here.nats.ask(f"inbox-{number}")
    await eventually(lambda: here.intake.counters.waiting == 4)
    assert (here.intake.counters.in_flight, here.intake.counters.queued) == (0, 0)
    here.gate.set()
    await eventually(lambda: len(here.nats.replies) == 4)
    assert (here.intake.counters.in_flight, here.intake.counters.waiting) == (0, 0)


async def test_the_queue_moves_up_when_a_request_begins_to_wait(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=4)
    for number in range(3):
        await here.nats.ask(f"inbox-{number}")
    await eventually(lambda: len(here.calls) == 1)
    here.calls[0].place.give_up()
    await eventually(lambda: len(here.calls) == 2)
    assert (here.intake.counters.waiting, here.intake.counters.queued) == (1, 1)
    here.calls[0].place.take_back()
    assert here.intake.counters.in_flight == 2
    here.gate.set()
    await eventually(lambda: len(here.nats.replies) == 3)
    assert here.intake.counters.in_flight == 0


async def test_those_that_wait_count_against_the_queue(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=2)
    here.waiting = True
    for number in range(6):
        await here.nats.ask(f"inbox-{number}")
        await eventually(lambda: here.intake.counters.in_flight == 0)
    assert here.nats.codes() == {f"inbox-{number}": "overloaded" for number in (3, 4, 5)}
    here.gate.set()
    await eventually(lambda: len(here.nats.replies) == 6)


async def test_what_was_drained_while_it_waited_was_not_sent(world: Callable[..., Any]) -> None:
    here = await world(max_in_flight=1, queue_size=2)
    here.waiting = True
    await here.nats.ask("inbox")
    await eventually(lambda: here.intake.counters.waiting == 1)
    await here.intake.drain(0.05)
    assert here.nats.codes() == {"inbox": "overloaded"}
