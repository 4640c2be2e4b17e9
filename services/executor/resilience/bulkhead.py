"""The bulkhead: a bounded number of attempts in flight per connection, so that a slow system cannot starve others."""

from __future__ import annotations

import asyncio
from collections import deque


class _Slots:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Bulkhead:
    """`size` slots for each key. Whoever finds none free waits, first come, first served."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._keys: dict[str, _Slots] = {}

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
        slots = self._keys[key]
        turn = asyncio.get_running_loop().create_future()
        slots.waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(key)
            elif turn in slots.waiting:
                slots.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self, key: str) -> None:
        """Give a slot up: to the first that waits, else to whoever comes."""
        slots = self._keys[key]
        while slots.waiting:
            turn = slots.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        slots.taken -= 1
        if not slots.taken:
            del self._keys[key]
