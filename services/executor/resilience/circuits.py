"""Circuits as operators deal with them: how they stand, and closing them by hand."""

from __future__ import annotations

from typing import Protocol

import structlog

from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.guard import Watcher
from services.executor.resilience.scopes import ENTERPRISE_LIMIT, PLATFORM_LIMIT, Hold
from services.executor.resilience.types import Change, ScopeKey, Standing
from shared.contracts.commands import Circuit, LimitOf, LimitUse

_OF_OPERATION = ":op:"

_log = structlog.get_logger(__name__)


class Inspected(Protocol):
    """The shared state, as far as it is needed here. Raises StateUnavailableError where Redis does not do it."""

    async def inspect(self, scope: ScopeKey, logs: list[ScopeKey]) -> Standing: ...

    async def reset(self, scope: ScopeKey) -> Change | None: ...


class CircuitDesk:
    """Looks at scopes and resets them. `window_ms` is the window of rate limits."""

    def __init__(self, state: Inspected, watcher: Watcher, counters: ResilienceCounters, window_ms: int) -> None:
        self._state = state
        self._watcher = watcher
        self._counters = counters
        self._window_ms = window_ms

    async def look(self, hold: Hold) -> Circuit:
        """The circuit, cooldown and limits that `hold` counts against."""
        limits = [(hold.scope, hold.limits.rate)] if hold.limits.rate else []
        limits += hold.outer
        standing = await self._state.inspect(hold.scope, [scope for scope, _ in limits])
        return Circuit(
            operation=hold.circuit or None,
            state=standing.circuit,
            failures=standing.failures,
            threshold=hold.limits.threshold,
            since_ms=standing.since_ms,
            cause=standing.cause,
            retry_after_ms=standing.retry_after_ms,
            cooldown_ms=standing.cooldown_ms,
            cooldown_cause=standing.cooldown_cause,
            limits=[
                LimitUse(of=_whose(scope), used=used, waiting=waiting, rate=rate, window_ms=self._window_ms)
                for (scope, rate), (used, waiting) in zip(limits, standing.permits, strict=True)
            ],
        )

    async def reset(self, hold: Hold) -> None:
        """Close the circuit and end the cooldown; permits that are spent stay spent, so that no burst follows."""
        change = await self._state.reset(hold.scope)
        if change is None:
            return
        self._counters.circuits[change.circuit] += 1
        _log.warning("A circuit was closed by hand", scope=hold.scope.suffix)
        self._watcher.changed(hold, change)


def _whose(scope: ScopeKey) -> LimitOf:
    suffix = scope.suffix
    if suffix == PLATFORM_LIMIT:
        return "platform"
    if suffix.startswith(ENTERPRISE_LIMIT):
        return "enterprise"
    return "operation" if _OF_OPERATION in suffix else "connection"
