"""A worker's own picture of a circuit: what it has heard of the shared one, and what it saw itself."""

from __future__ import annotations

from typing import Final, Literal

from services.executor.resilience.types import Ask, Change, Decision, Outcome

UNKNOWN_END: Final = 1.0
"""Seconds after which to ask again about a circuit that only the shared state can close."""

Leave = Literal["closed", "probe", "open"]


class LocalBreaker:
    """One circuit. `shared` is true where the shared state has opened it: then no worker may probe by itself."""

    __slots__ = ("_probe_until", "_until", "cause", "failures", "open", "opened", "shared")

    def __init__(self) -> None:
        self.failures = 0
        self.open = False
        self.shared = False
        self.opened = 0.0
        self.cause = ""
        self._until = 0.0
        self._probe_until = 0.0

    # ---- what the shared state says -----------------------------------------------------------
    def heard(self, decision: Decision, now: float) -> None:
        """Learn from an answer of the shared state."""
        if decision.granted:
            if not decision.probe:
                self.open = False
                self.failures = decision.failures
        elif decision.refused == "circuit-open":
            self._opens(now - decision.since_ms / 1000, now + decision.retry_after_ms / 1000, decision.cause)
            self.shared = True

    def changed(self, change: Change, ask: Ask, now: float) -> None:
        """Learn what a report has changed."""
        if change.circuit == "open":
            self._opens(now, now + ask.limits.recovery_ms / 1000, change.cause)
            self.shared = True
        else:
            self._closes()

    # ---- alone --------------------------------------------------------------------------------
    def leave(self, now: float) -> Leave:
        """Whether an attempt may go out where this worker decides alone; `probed` says that a probe has."""
        if not self.open:
            return "closed"
        return "open" if self.shared or now < max(self._until, self._probe_until) else "probe"

    def recovering(self, now: float) -> bool:
        """True while a circuit that this worker has opened itself would refuse everything."""
        return self.open and not self.shared and now < self._until

    def probed(self, until: float) -> None:
        self._probe_until = until

    def retry_after(self, now: float) -> float:
        """Seconds until it is worth asking again, at least a tenth."""
        left = max(self._until, self._probe_until) - now
        return max(left, UNKNOWN_END if self.shared else 0.1)

    def ended(self, ask: Ask, outcome: Outcome, cause: str, now: float, *, probe: bool, alone: bool) -> None:
        """Count an attempt. Only a worker that is `alone` opens the circuit: else the shared state does, or not."""
        if probe:
            self._probe_until = 0.0
        if outcome == "neutral" or (self.open and not probe):
            return
        if outcome == "success":
            self._closes()
            return
        self.failures += 1
        threshold = ask.limits.threshold
        if self.open:
            self._until = now + ask.limits.recovery_ms / 1000
        elif alone and threshold and self.failures >= threshold:
            self._opens(now, now + ask.limits.recovery_ms / 1000, cause)
            self.shared = False

    def _opens(self, opened: float, until: float, cause: str) -> None:
        self.open, self.opened, self.cause = True, opened, cause
        self._until, self._probe_until = until, 0.0

    def _closes(self) -> None:
        self.open, self.failures = False, 0
