"""Waiting for answers, and telling a server that is gone from a loop that has not run.

Time is counted in ticks of the event loop: a loop that stood still for a second has made one tick, and what arrived
meanwhile is read before the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from services.executor.resilience.types import StateUnavailableError

T = TypeVar("T")

TICK_SECONDS: Final = 0.01


class GivenUpError(StateUnavailableError):
    """The answer took too long; its future was cancelled."""


def _nothing() -> None: ...


class Patience:
    """Waits for answers. `on_overdue` is called at each tick at which the oldest has been waited for `suspect` ticks.

    After `limit` ticks an answer is given up.
    """

    def __init__(self, *, suspect: int, limit: int) -> None:
        self.on_overdue: Callable[[], None] = _nothing
        self._suspect = suspect
        self._limit = limit
        self._asked: dict[asyncio.Future[Any], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.ticks = 0

    def __len__(self) -> int:
        """How many answers are waited for."""
        return len(self._asked)

    async def wait(self, answer: asyncio.Future[T]) -> T:
        """The answer; GivenUpError once it has taken too long."""
        self._asked[answer] = self.ticks
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        try:
            return await answer
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if answer not in self._asked and not (task is not None and task.cancelling()):
                raise GivenUpError("The shared state has not answered in time.") from None
            answer.cancel()
            raise
        finally:
            self._asked.pop(answer, None)

    def give_up_all(self) -> None:
        for answer in list(self._asked):
            self._give_up(answer)

    def close(self) -> None:
        """Wait for nothing any more."""
        self.give_up_all()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self.ticks += 1
        self._timer = None
        if self._asked:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
            if self._waited(next(iter(self._asked.values()))) >= self._suspect:
                self.on_overdue()
        for answer, asked in tuple(self._asked.items()):
            if self._waited(asked) < self._limit:
                break
            self._give_up(answer)

    def _waited(self, asked: int) -> int:
        return self.ticks - asked

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        """An answer that is there already is not given up, however late it is read."""
        if answer.cancel():
            del self._asked[answer]
