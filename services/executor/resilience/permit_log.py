"""A worker's own sliding log of permits, for when it has to keep to a share of a limit by itself."""

from __future__ import annotations

from bisect import insort
from collections import deque
from functools import lru_cache
from typing import Final

import msgspec

_FOR_EVER: Final = float("inf")


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one worker may use of a limit: `permits` in any `seconds`."""

    permits: int
    seconds: float

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(rate: int, workers: int, window: float) -> Share:
        """An even share, rounded down; where that is nothing, one permit for as many windows as it takes."""
        whole = rate // workers
        return Share(whole, window) if whole else Share(1, window * -(-workers // rate))


class PermitLog:
    """When one worker's permits of one limit were or will be due, oldest first; all times in seconds of one clock.

    `alone` are those among them that the shared log does not have, in no order.
    """

    __slots__ = ("_times", "alone")

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.alone: list[float] = []

    def __len__(self) -> int:
        return len(self._times)

    @property
    def last(self) -> float:
        return self._times[-1] if self._times else -_FOR_EVER

    def earliest(self, share: Share) -> float:
        """From when on another permit fits the share."""
        times = self._times
        return times[-share.permits] + share.seconds if len(times) >= share.permits else -_FOR_EVER

    def add(self, at: float, *, alone: bool = False) -> None:
        times = self._times
        if not times or times[-1] <= at:
            times.append(at)
        else:
            insort(times, at)
        if alone:
            self.alone.append(at)

    def take_back(self, at: float) -> None:
        """Forget a permit, if it is still known."""
        if at in self._times:
            self._times.remove(at)

    def take_alone(self) -> list[float]:
        alone, self.alone = self.alone, []
        return alone

    def forget_before(self, at: float, keep: int) -> None:
        """Forget what is older than `at`, and the oldest while there are more than `keep`."""
        times = self._times
        while times and (times[0] < at or len(times) > keep):
            times.popleft()
        if len(self.alone) > 2 * keep:
            self.alone = [permit for permit in self.alone if permit >= at]
