"""One timer for many deadlines."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from services.executor.transport.deadline import Deadlines
from tests.support.polling import eventually


class Thing:
    def __init__(self, seconds: float, on_expiry: Callable[[Thing], None] | None = None) -> None:
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.expired_at = 0.0
        self._on_expiry = on_expiry

    def expire(self) -> None:
        assert not self.expired_at
        self.expired_at = asyncio.get_running_loop().time()
        if self._on_expiry is not None:
            self._on_expiry(self)


async def test_each_expires_at_its_own_deadline_in_whatever_order_they_came() -> None:
    deadlines = Deadlines()
    things = [Thing(seconds) for seconds in (0.15, 0.05, 30, 0.1, 0.0)]
    for thing in things:
        deadlines.watch(thing)
    *short, _ = sorted(things, key=lambda thing: thing.deadline)
    await eventually(lambda: all(thing.expired_at for thing in short))
    assert not things[2].expired_at
    for thing in short:
        assert -0.01 < thing.expired_at - thing.deadline < 1
    deadlines.close()


async def test_what_is_forgotten_does_not_expire_and_later_ones_still_do() -> None:
    deadlines = Deadlines()
    forgotten, watched = Thing(0.02), Thing(0.06)
    deadlines.watch(forgotten)
    deadlines.watch(watched)
    deadlines.forget(forgotten)
    await eventually(lambda: watched.expired_at > 0)
    assert not forgotten.expired_at


async def test_one_may_be_watched_anew_while_others_expire() -> None:
    deadlines = Deadlines()
    second = Thing(0.05)
    first = Thing(0.01, lambda _: deadlines.watch(second))
    deadlines.watch(first)
    await eventually(lambda: second.expired_at > 0)


async def test_a_deadline_may_never_come() -> None:
    deadlines = Deadlines()
    never, soon = Thing(math.inf), Thing(0.01)
    deadlines.watch(never)
    deadlines.watch(soon)
    await eventually(lambda: soon.expired_at > 0)
    assert not never.expired_at
    deadlines.close()
