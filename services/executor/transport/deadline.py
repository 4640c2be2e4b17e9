"""Hard limits in time for many things at once, with one timer."""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

# The timer of an event loop may go off this much early, in seconds.
_EARLY: Final = 0.001
# Expiries closer together than this share one turn of the timer, in seconds.
_TURN: Final = 0.01


class Expiring(Protocol):
    """What can run out of time. `deadline` is a time of the event loop's clock."""

    deadline: float

    def expire(self) -> None: ...


class Deadlines:
    """Calls `expire` on what is still watched when its deadline comes, at most about 10 ms late.

    Nearly everything that is watched ends in time, so watching must cost next to nothing: a set, and a timer that
    stands at the earliest deadline. It moves only for an earlier one, or when it has gone off.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: set[Expiring] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def watch(self, expiring: Expiring) -> None:
        self._watched.add(expiring)
        if expiring.deadline < self._next:
            self._arm(expiring.deadline)

    def forget(self, expiring: Expiring) -> None:
        self._watched.discard(expiring)

    def close(self) -> None:
        self._disarm()
        self._watched.clear()

    def _arm(self, when: float) -> None:
        self._disarm()
        self._next = when
        self._timer = self._loop.call_at(when, self._go_off)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._next = math.inf

    def _go_off(self) -> None:
        self._disarm()
        now = self._loop.time() + _EARLY
        for expiring in [each for each in self._watched if each.deadline <= now]:
            self._watched.discard(expiring)
            expiring.expire()
        if self._watched:
            self._arm(max(min(each.deadline for each in self._watched), now + _TURN))
