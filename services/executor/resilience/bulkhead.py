"""The bulkhead: a bounded number of attempts in flight per connection, so that a slow system cannot starve others."""

from __future__ import annotations

import asyncio
from collections import deque

from services.executor.transport.deadline import Deadlines


class _Waiter:
    """Waits for a slot until `deadline` of the loop's clock; `turn` says whether there was one."""

    __slots__ = ("deadline", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.deadline = loop.time() + seconds
        self.turn: asyncio.Future[bool] = loop.create_future()

    def expire(self) -> None:
        if not self.turn.done():
            self.turn.set_result(False)


class _Slots:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[_Waiter] = deque()


class Bulkhead:
    """`size` slots for each key. Whoever finds none free waits, first come, first served."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._keys: dict[str, _Slots] = {}
        self._deadlines: Deadlines | None = None

    def __len__(self) -> int:
        """How many keys have attempts in flight or waiting."""
        return len(self._keys)

    def take(self, key: str) -> bool:
        """Take a slot where one is free and nobody waits for it."""
        slots = self._keys.get(key)
        if slots is None:
            slots = self._keys[key] = _Slots()
        if slots.taken >= self.size:
            return False
        slots.taken += 1
        return True

    async def wait(self, key: str, seconds: float) -> bool:
        """Take a slot as soon as one is handed over; False where none was within `seconds`."""
        if seconds <= 0:
            return False
        deadlines = self._deadlines = self._deadlines or Deadlines()
        waiting, waiter = self._keys[key].waiting, _Waiter(asyncio.get_running_loop(), seconds)
        waiting.append(waiter)
        deadlines.watch(waiter)
        got = False
        try:
            got = await waiter.turn
        except BaseException:
            if not waiter.turn.cancelled() and waiter.turn.result():
                self.leave(key)
            raise
        finally:
            deadlines.forget(waiter)
            if not got and waiter in waiting:
                waiting.remove(waiter)
        return got

    def leave(self, key: str) -> None:
        """Give a slot up: to the first that waits, else to whoever comes."""
        slots = self._keys[key]
        while slots.waiting:
            turn = slots.waiting.popleft().turn
            if not turn.done():
                turn.set_result(True)
                return
        slots.taken -= 1
        if not slots.taken:
            del self._keys[key]
