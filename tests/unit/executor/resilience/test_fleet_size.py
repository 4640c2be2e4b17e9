"""Counting the workers that answer on the bus."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.executor.resilience.fleet_size import Fleet
from tests.support.polling import eventually

MEMORY = 60.5


class FakeBus:
    """Remembers what was asked; the test answers."""

    is_connected = True

    def __init__(self) -> None:
        self.asked = 0
        self.hear: Any = None

    def new_inbox(self) -> str:
        return "_INBOX.1"

    async def subscribe(self, subject: str, cb: Any) -> FakeBus:
        self.hear = cb
        return self

    async def unsubscribe(self) -> None:
        self.hear = None

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        assert (subject, reply) == ("$SRV.PING.dibop-executor", "_INBOX.1")
        self.asked += 1

    async def answer(self, *workers: str) -> None:
        for worker in workers:
            data = json.dumps({"name": "dibop-executor", "id": worker, "version": "1.0.0"}).encode()
            await self.hear(Msg(Client(), data=data))


class Counted:
    def __init__(self, every: float = 5.0) -> None:
        self.bus, self.now = FakeBus(), 1000.0
        self.fleet = Fleet(self.bus, memory=MEMORY, every=every, clock=lambda: self.now)  # type: ignore[arg-type]


@pytest.fixture
async def counted() -> Any:
    made = Counted()
    await made.fleet.start()
    yield made
    await made.fleet.stop()


async def test_a_worker_that_hears_nothing_is_alone(counted: Counted) -> None:
    assert (counted.bus.asked, counted.fleet.workers) == (1, 1)


async def test_every_worker_counts_once(counted: Counted) -> None:
    await counted.bus.answer("a", "b", "c")
    await counted.bus.answer("a", "b", "c")
    assert counted.fleet.workers == 3


async def test_a_worker_that_is_gone_counts_for_one_window_more(counted: Counted) -> None:
    await counted.bus.answer("a", "b")
    counted.now += MEMORY
    await counted.bus.answer("a")
    assert counted.fleet.workers == 2
    counted.now += 1
    await counted.bus.answer("a")
    assert counted.fleet.workers == 1


async def test_nobody_is_forgotten_while_nobody_answers(counted: Counted) -> None:
    await counted.bus.answer("a", "b")
    counted.now += 10 * MEMORY
    assert counted.fleet.workers == 2
    await counted.bus.answer("a")
    assert counted.fleet.workers == 1


async def test_what_is_no_answer_is_ignored(counted: Counted) -> None:
    await counted.bus.hear(Msg(Client(), data=b"what?"))
    assert counted.fleet.workers == 1


async def test_it_asks_again_and_again() -> None:
    counted = Counted(every=0.01)
    await counted.fleet.start()
    await eventually(lambda: counted.bus.asked > 3)
    await counted.fleet.stop()
