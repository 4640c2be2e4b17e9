"""Several workers' view of one Redis, whose time a test moves."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from typing import Final

import redis.asyncio

from services.executor.resilience.scripts import WINDOW_MS, Timing, load_scripts
from services.executor.resilience.state import RedisState
from services.executor.resilience.types import Ask, Decision, Limits, Outcome, ScopeKey

BEGIN: Final = 1_700_000_000_000_000
_RUN: Final = uuid.uuid4().hex[:8]
_numbers = itertools.count()


def new_scope(name: str = "acme.1", connector: str | None = None) -> ScopeKey:
    """A scope that no other test has; of the connector named so, else of a new one."""
    return ScopeKey(f"res:{{{connector or new_connector()}}}:{name}")


def new_connector() -> str:
    return f"{_RUN}.c{next(_numbers)}"


def ask_for(
    scope: ScopeKey,
    *,
    rate: int = 0,
    threshold: int = 0,
    recovery_ms: int = 30_000,
    max_wait_ms: int = 600_000,
    lease_ms: int = 35_000,
    outer: Sequence[tuple[ScopeKey, int]] = (),
) -> Ask:
    return Ask(scope, Limits(rate, threshold, recovery_ms), max_wait_ms, lease_ms, tuple(outer))


async def attempt(state: RedisState, ask: Ask, *outcomes: Outcome) -> list[Decision]:
    """Attempts that are all let through, each reported with its outcome before the next begins."""
    decisions = []
    for outcome in outcomes:
        decision = await state.acquire(ask)
        assert decision.granted, decision
        await state.report(ask, decision, outcome, cause="status 503")
        decisions.append(decision)
    return decisions


def most_in_a_window(times: Sequence[int], window_ms: int = WINDOW_MS) -> int:
    """The most of `times`, in microseconds, that lie within one window, wherever it starts."""
    return max((sum(start <= time < start + window_ms * 1_000 for time in times) for start in times), default=0)


class Workers:
    """Workers of one fleet, each with a connection of its own. The time stands still until `time_passes`."""

    def __init__(
        self, url: str, client: redis.asyncio.Redis, *, real_time: bool = False, timing: Timing | None = None
    ) -> None:
        self.redis = client
        self.now = BEGIN
        self._url = url
        self._timing = timing or Timing()
        self._clock = f"clock:{new_connector()}"
        self._scripts = load_scripts() if real_time else load_scripts(f"redis.call('LRANGE', '{self._clock}', 0, 1)")
        self._started: list[RedisState] = []

    async def start(self) -> Workers:
        await self.time_passes(0)
        return self

    def new(self) -> RedisState:
        state = RedisState(self._url, timing=self._timing, texts=self._scripts)
        self._started.append(state)
        return state

    async def time_passes(self, milliseconds: float) -> None:
        self.now += round(milliseconds * 1_000)
        async with self.redis.pipeline() as pipeline:
            pipeline.delete(self._clock)
            pipeline.rpush(self._clock, *divmod(self.now, 1_000_000))
            await pipeline.execute()

    async def keys_of(self, scope: ScopeKey) -> list[str]:
        return sorted([key.decode() async for key in self.redis.scan_iter(f"{scope.prefix}*")])

    async def stop(self) -> None:
        await asyncio.gather(*(state.close() for state in self._started))
