"""The reference model of the scripts: what they must answer, said as plainly as possible, with no thought of speed.

It keeps every permit ever granted, looks at every window, and knows no keys, no expiry and no Redis. The model check
runs random histories through both and compares every answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from services.executor.resilience.types import (
    COOLDOWN,
    Ask,
    Change,
    Confirmation,
    Decision,
    Outcome,
    ScopeKey,
)

_MILLISECOND: Final = 1_000
_LONGEST_COOLDOWN_WAIT: Final = 60_000 * _MILLISECOND
_LONGEST_COOLDOWN: Final = 3_600_000 * _MILLISECOND


@dataclass
class Circuit:
    """A scope's circuit and cooldown; times in microseconds. `opened` is the epoch in which it has left closed."""

    state: Literal["closed", "open", "half-open"] = "closed"
    epoch: int = 0
    failures: int = 0
    ends: int = 0
    opened: int = 0
    cause: str = ""
    cooldown: int = 0
    cooldown_cause: str = ""


@dataclass
class Model:
    """What all workers share, at the time `now`, which the test moves."""

    window_ms: int
    now: int
    circuits: dict[ScopeKey, Circuit] = field(default_factory=dict)
    permits: dict[ScopeKey, list[int]] = field(default_factory=dict)
    lost_until: int = 0

    def acquire(self, ask: Ask, told: int = 0) -> Decision:
        """A permit, or a refusal that changes nothing. `told`: the epoch of successes that were not reported yet."""
        circuit = self.circuit(ask.scope)
        threshold = ask.limits.threshold
        if threshold and told:
            self._succeed(circuit, told)
        if threshold and circuit.state != "closed" and self.now < circuit.ends:
            return Decision(
                False,
                refused="circuit-open",
                retry_after_ms=max(100, _milliseconds(circuit.ends - self.now)),
                since_ms=_milliseconds(max(self.now - circuit.opened, 0)),
                cause=circuit.cause,
                opened=circuit.opened,
            )
        at, limit = self._earliest(ask, circuit)
        wait = at - self.now
        if wait > ask.max_wait_ms * _MILLISECOND or circuit.cooldown - self.now > _LONGEST_COOLDOWN_WAIT:
            return self._rate_limited(circuit, wait, limit)
        for scope, rate in ((ask.scope, ask.limits.rate), *ask.outer):
            if rate:
                self.permits.setdefault(scope, []).append(at)
        probe = threshold > 0 and circuit.state != "closed"
        if probe:
            circuit.state, circuit.ends = "half-open", at + ask.lease_ms * _MILLISECOND
            self._new_epoch(circuit)
        elif threshold and not circuit.epoch:
            self._new_epoch(circuit)
        epoch = circuit.epoch if threshold else 0
        decision = Decision(True, _milliseconds(wait), at, epoch, failures=circuit.failures)
        if not probe:
            return decision
        return msgspec.structs.replace(decision, probe=True, cause=circuit.cause, opened=circuit.opened)

    def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        """Whether a permit that was waited for still holds."""
        circuit = self.circuit(ask.scope)
        watched = ask.limits.threshold > 0
        probe = watched and circuit.state == "half-open" and circuit.epoch == decision.epoch
        if watched and circuit.state != "closed" and not probe:
            return Confirmation(
                "circuit-open",
                retry_after_ms=max(100, _milliseconds(circuit.ends - self.now)),
                since_ms=_milliseconds(max(self.now - circuit.opened, 0)),
                cause=circuit.cause,
                opened=circuit.opened,
            )
        if circuit.cooldown > decision.at:
            if probe:
                self._free(circuit)
            return Confirmation("void")
        if watched and not circuit.epoch:
            self._new_epoch(circuit)
        return Confirmation("send", epoch=circuit.epoch if watched else 0, probe=probe)

    def report(
        self, ask: Ask, epoch: int, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = "", told: int = 0
    ) -> Change | None:
        """How an attempt ended, and the change that it made."""
        circuit = self.circuit(ask.scope)
        if ask.limits.threshold and told:
            self._succeed(circuit, told)
        if cooldown_ms:
            ends = self.now + min(cooldown_ms * _MILLISECOND, _LONGEST_COOLDOWN)
            if ends > circuit.cooldown:
                circuit.cooldown, circuit.cooldown_cause = ends, cause
        if not ask.limits.threshold or not circuit.epoch or epoch != circuit.epoch:
            return None
        if circuit.state == "closed":
            return self._count(ask, circuit, outcome, cause)
        if circuit.state == "half-open":
            return self._judge_probe(ask, circuit, outcome, cause)
        return None

    def reset(self, scope: ScopeKey) -> Change | None:
        """What an operator does: the circuit is closed, and the cooldown over."""
        circuit = self.circuit(scope)
        was = circuit.state
        circuit.cooldown = 0
        if circuit.epoch:
            self._close(circuit)
        return None if was == "closed" else Change("closed", circuit.epoch)

    def lost(self, hold_ms: int) -> int:
        """For how many milliseconds it still counts that workers were without Redis; `hold_ms`: one was just now."""
        if hold_ms:
            self.lost_until = max(self.lost_until, self.now + hold_ms * _MILLISECOND)
        return _milliseconds(max(self.lost_until - self.now, 0))

    def circuit(self, scope: ScopeKey) -> Circuit:
        return self.circuits.setdefault(scope, Circuit())

    def _count(self, ask: Ask, circuit: Circuit, outcome: Outcome, cause: str) -> Change | None:
        if outcome == "success":
            circuit.failures = 0
        elif outcome == "failure":
            circuit.failures += 1
            if circuit.failures >= ask.limits.threshold:
                self._open(ask, circuit, cause)
                circuit.opened = circuit.epoch
                return Change("open", circuit.epoch, cause)
        return None

    def _judge_probe(self, ask: Ask, circuit: Circuit, outcome: Outcome, cause: str) -> Change | None:
        if outcome == "success":
            self._close(circuit)
            return Change("closed", circuit.epoch)
        if outcome == "failure":
            self._open(ask, circuit, cause)
        else:
            self._free(circuit)
        return None

    def _open(self, ask: Ask, circuit: Circuit, cause: str) -> None:
        circuit.state, circuit.failures, circuit.cause = "open", 0, cause
        circuit.ends = self.now + ask.limits.recovery_ms * _MILLISECOND
        self._new_epoch(circuit)

    def _close(self, circuit: Circuit) -> None:
        circuit.state, circuit.failures = "closed", 0
        self._new_epoch(circuit)

    def _free(self, circuit: Circuit) -> None:
        circuit.state, circuit.ends = "open", self.now
        self._new_epoch(circuit)

    def _new_epoch(self, circuit: Circuit) -> None:
        circuit.epoch = max(self.now, circuit.epoch + 1)

    def _succeed(self, circuit: Circuit, epoch: int) -> None:
        if circuit.state == "closed" and circuit.epoch == epoch:
            circuit.failures = 0

    def _earliest(self, ask: Ask, circuit: Circuit) -> tuple[int, tuple[str, int]]:
        """The time of the next permit, and which limit put it there."""
        at, limit = self.now, ("", 0)
        if circuit.cooldown > at:
            at, limit = circuit.cooldown, (COOLDOWN, 0)
        if rate := ask.limits.rate:
            granted = sorted(self.permits.get(ask.scope, []))
            binding = granted[-1:] + [time + self._window for time in granted[-rate:][:1] if len(granted) >= rate]
            if max(binding, default=0) > at:
                at, limit = max(binding), (ask.scope.suffix, rate)
        moved = True
        while moved:
            moved = False
            for scope, rate in ask.outer:
                later = self._gap(scope, rate, at) if rate else at
                if later > at:
                    at, limit, moved = later, (scope.suffix, rate), True
        return at, limit

    def _gap(self, scope: ScopeKey, rate: int, at: int) -> int:
        """The earliest time from `at` on at which no window around it holds `rate` permits already."""
        granted = self.permits.get(scope, [])
        candidates = sorted({at, *(time + self._window for time in granted if time + self._window > at)})
        return next(time for time in candidates if self._fits(granted, rate, time))

    def _fits(self, granted: list[int], rate: int, at: int) -> bool:
        starts = [at, *(time for time in granted if at - self._window < time <= at)]
        return all(sum(start <= time < start + self._window for time in granted) < rate for start in starts)

    def _rate_limited(self, circuit: Circuit, wait: int, limit: tuple[str, int]) -> Decision:
        name, rate = limit
        cause = circuit.cooldown_cause if name == COOLDOWN else ""
        retry_after = _milliseconds(wait)
        return Decision(False, refused="rate-limited", retry_after_ms=retry_after, limit=name, rate=rate, cause=cause)

    @property
    def _window(self) -> int:
        return self.window_ms * _MILLISECOND


def _milliseconds(microseconds: int) -> int:
    return -(-microseconds // _MILLISECOND)
