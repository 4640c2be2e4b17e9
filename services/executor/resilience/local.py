"""Limits and circuits of one worker by itself, for when the state that all share is away.

It is kept warm: every answer of the shared state and every outcome is told here as well. Alone, a worker uses no more
than its even share of each limit, what the shared state has granted it within the window included. The shares of all
workers together are never more than the limit: a worker that has just started knows nothing of what was sent in its
place before, and therefore grants nothing for a whole window.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf
from time import monotonic
from typing import Final

import msgspec

from services.executor.resilience.local_breaker import LocalBreaker
from services.executor.resilience.permit_log import PermitLog, Share
from services.executor.resilience.types import (
    COOLDOWN,
    Ask,
    Change,
    Confirmation,
    Decision,
    Outcome,
    ScopeKey,
)

_IDLE_SECONDS: Final = 600.0
_OPEN_IDLE_SECONDS: Final = 2 * 3600.0
"""Longer than any circuit recovers."""
_SEND: Final = Confirmation("send")
_VOID: Final = Confirmation("void")


class Unshared(msgspec.Struct, frozen=True, gc=False):
    """When the permits are due that the shared log of a limit does not have, by the worker's own clock."""

    scope: ScopeKey
    times: tuple[float, ...]


class _Scope:
    """What is known of one scope."""

    __slots__ = ("breaker", "cause", "cooldown", "log", "rate", "used")

    def __init__(self) -> None:
        self.log = PermitLog()
        self.breaker = LocalBreaker()
        self.cooldown = 0.0
        self.cause = ""
        self.rate = 0
        self.used = 0.0


class LocalState:
    """One for a worker. `workers` says how many share each limit; `window` is in seconds, as `clock` is."""

    def __init__(self, workers: Callable[[], int], *, window: float, clock: Callable[[], float] = monotonic) -> None:
        self._workers = workers
        self._window = window
        self._clock = clock
        self._scopes: dict[str, _Scope] = {}
        self._unknown_until = clock() + window

    def __len__(self) -> int:
        """How many scopes are known."""
        return len(self._scopes)

    # ---- kept warm ----------------------------------------------------------------------------
    def heard(self, ask: Ask, decision: Decision) -> None:
        """Remember what the shared state has answered."""
        now = self._clock()
        scope = self._scope(ask.scope, ask.limits.rate, now)
        if ask.limits.threshold:
            scope.breaker.heard(decision, now)
        if decision.granted:
            self._note(ask, scope, now + decision.wait_ms / 1000, now, alone=False)
        elif decision.limit == COOLDOWN:
            self._cool(scope, now + decision.retry_after_ms / 1000, decision.cause)

    def reported(
        self,
        ask: Ask,
        decision: Decision,
        outcome: Outcome,
        *,
        cooldown_ms: int = 0,
        cause: str = "",
        alone: bool = False,
    ) -> None:
        """Remember how an attempt went; `alone` where the shared state was not told."""
        now = self._clock()
        scope = self._scope(ask.scope, ask.limits.rate, now)
        scope.breaker.ended(ask, outcome, cause, now, probe=decision.probe, alone=alone)
        if cooldown_ms:
            self._cool(scope, now + cooldown_ms / 1000, cause)

    def changed(self, ask: Ask, change: Change) -> None:
        """Remember that a report has opened or closed the shared circuit."""
        now = self._clock()
        self._scope(ask.scope, ask.limits.rate, now).breaker.changed(change, ask, now)

    # ---- alone --------------------------------------------------------------------------------
    def acquire(self, ask: Ask) -> Decision:
        """Decide without the shared state."""
        now = self._clock()
        scope = self._scope(ask.scope, ask.limits.rate, now)
        leave = scope.breaker.leave(now) if ask.limits.threshold else "closed"
        if leave == "open":
            return _circuit_open(scope.breaker, now)
        due, limit = self._due(ask, scope, now, unknown_until=self._unknown_until)
        decision = self._permit(ask, scope, now, due, limit, alone=True)
        if decision.granted and leave == "probe":
            scope.breaker.probed(now + (decision.wait_ms + ask.lease_ms) / 1000)
            return msgspec.structs.replace(decision, probe=True, failures=scope.breaker.failures)
        return decision

    def wait(self, ask: Ask, *, until: float = inf) -> Decision | None:
        """A refusal or a wait that this worker's share or breaker imposes; None where it would grant at once.

        A wait holds a place in the log, which `take_back` frees. What was sent in this worker's place before it
        started counts `until` then at most.
        """
        now = self._clock()
        scope = self._scope(ask.scope, ask.limits.rate, now)
        if ask.limits.threshold and scope.breaker.recovering(now):
            return _circuit_open(scope.breaker, now)
        due, limit = self._due(ask, scope, now, unknown_until=min(self._unknown_until, until))
        return self._permit(ask, scope, now, due, limit, alone=False) if due > now else None

    def grant(self, ask: Ask) -> Decision:
        """Grant whatever the limits say, and count it."""
        now = self._clock()
        self._note(ask, self._scope(ask.scope, ask.limits.rate, now), now, now, alone=True)
        return Decision(granted=True, at=_microseconds(now), local=True)

    def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        """Whether a local permit still holds after its wait."""
        now = self._clock()
        scope = self._scope(ask.scope, ask.limits.rate, now)
        breaker = scope.breaker
        if breaker.open and not decision.probe:
            return Confirmation(
                "circuit-open",
                retry_after_ms=_milliseconds(breaker.retry_after(now)),
                since_ms=_milliseconds(now - breaker.opened),
                cause=breaker.cause,
            )
        if scope.cooldown <= now:
            return Confirmation("send", epoch=decision.epoch, probe=decision.probe)
        if decision.probe:
            breaker.probed(0.0)
        return _VOID

    def take_back(self, ask: Ask, decision: Decision) -> None:
        """Free the place that a wait has held."""
        at = decision.at / 1_000_000
        for key, rate in _limits(ask):
            known = self._scopes.get(key.prefix)
            if rate and known is not None:
                known.log.take_back(at)

    # ---- back again ---------------------------------------------------------------------------
    def take_unshared(self) -> list[Unshared]:
        """The permits of the last window that the shared logs do not have; they are to be entered, or put back."""
        since, found = self._clock() - self._window, []
        for prefix, scope in self._scopes.items():
            recent = tuple(at for at in scope.log.take_alone() if at > since)
            if recent:
                found.append(Unshared(ScopeKey(prefix), recent))
        return found

    def put_back(self, unshared: Unshared) -> None:
        """The shared log still does not have these."""
        self._scopes[unshared.scope.prefix].log.alone.extend(unshared.times)

    def ages_us(self, unshared: Unshared) -> tuple[int, ...]:
        """How long ago each permit was due, in microseconds; negative where it is still to come."""
        now = self._clock()
        return tuple(_microseconds(now - at) for at in unshared.times)

    def forget_idle(self) -> None:
        """Let go of scopes that nobody has used for a while."""
        now = self._clock()
        for prefix, scope in list(self._scopes.items()):
            scope.log.forget_before(now - self._longest(scope.rate), scope.rate)
            idle = _OPEN_IDLE_SECONDS if scope.breaker.open else _IDLE_SECONDS
            if not scope.log and scope.cooldown < now and scope.used < now - idle:
                del self._scopes[prefix]

    # ---- permits ------------------------------------------------------------------------------
    def _permit(self, ask: Ask, scope: _Scope, now: float, due: float, limit: str, *, alone: bool) -> Decision:
        wait_ms = _milliseconds(due - now)
        if wait_ms > ask.max_wait_ms:
            return _rate_limited(ask, scope, limit, wait_ms)
        at = _microseconds(due)
        self._note(ask, scope, at / 1_000_000, now, alone=alone)
        return Decision(granted=True, wait_ms=wait_ms, at=at, failures=scope.breaker.failures, local=True)

    def _due(self, ask: Ask, scope: _Scope, now: float, *, unknown_until: float) -> tuple[float, str]:
        """When the next permit is due, and which limit says so."""
        due, limit = now, ""
        if ask.limits.rate and scope.log.last > due:
            due, limit = scope.log.last, ask.scope.suffix
        if scope.cooldown > due:
            due, limit = scope.cooldown, COOLDOWN
        for key, rate in _limits(ask):
            if not rate:
                continue
            log = self._scope(key, rate, now).log
            earliest = max(unknown_until, log.earliest(self._share(rate)))
            if earliest > due:
                due, limit = earliest, key.suffix
        return due, limit

    def _note(self, ask: Ask, scope: _Scope, at: float, now: float, *, alone: bool) -> None:
        rate = ask.limits.rate
        if rate:
            scope.log.forget_before(now - self._longest(rate), rate)
            scope.log.add(at, alone=alone)
        for key, outer_rate in ask.outer:
            log = self._scope(key, outer_rate, now).log
            log.forget_before(now - self._longest(outer_rate), outer_rate)
            log.add(at, alone=alone)

    def _share(self, rate: int) -> Share:
        return Share.of(rate, max(1, self._workers()), self._window)

    def _longest(self, rate: int) -> float:
        """How long a permit of a limit matters."""
        return self._share(rate).seconds if rate else self._window

    def _scope(self, key: ScopeKey, rate: int, now: float) -> _Scope:
        scope = self._scopes.get(key.prefix)
        if scope is None:
            scope = self._scopes[key.prefix] = _Scope()
        scope.rate, scope.used = rate, now
        return scope

    @staticmethod
    def _cool(scope: _Scope, until: float, cause: str) -> None:
        if until > scope.cooldown:
            scope.cooldown, scope.cause = until, cause


def _limits(ask: Ask) -> tuple[tuple[ScopeKey, int], ...]:
    return ((ask.scope, ask.limits.rate), *ask.outer)


def _circuit_open(breaker: LocalBreaker, now: float) -> Decision:
    return Decision(
        granted=False,
        refused="circuit-open",
        retry_after_ms=_milliseconds(breaker.retry_after(now)),
        since_ms=_milliseconds(now - breaker.opened),
        cause=breaker.cause,
        local=True,
    )


def _rate_limited(ask: Ask, scope: _Scope, limit: str, wait_ms: int) -> Decision:
    rates = {key.suffix: rate for key, rate in _limits(ask)}
    cause = scope.cause if limit == COOLDOWN else ""
    return Decision(
        granted=False,
        refused="rate-limited",
        retry_after_ms=wait_ms,
        limit=limit,
        rate=rates.get(limit, 0),
        cause=cause,
        local=True,
    )


def _milliseconds(seconds: float) -> int:
    """Rounded up, so that whoever waits so long has waited long enough."""
    return max(0, ceil(seconds * 1000))


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
