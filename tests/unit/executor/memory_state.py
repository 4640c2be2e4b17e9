"""Limits and circuits in memory, on a clock that stands still until it is moved: one worker's view of the rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.executor.resilience.types import COOLDOWN, Ask, Change, Confirmation, Decision, Outcome

WINDOW = 60.5


class Clock:
    """Seconds; `sleep` moves it on and returns at once."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Circuit:
    failures: int = 0
    epoch: int = 1
    opened: float | None = None
    probing: bool = False
    cause: str = ""
    cooldown: float = 0.0


@dataclass
class MemoryState:
    """What the shared state does, for one process. `asked` and `reported` say what was wanted of it."""

    clock: Clock = field(default_factory=Clock)
    asked: list[Ask] = field(default_factory=list)
    reported: list[tuple[str, int, str]] = field(default_factory=list)
    confirmed: int = 0
    later: int = 0
    granted: dict[str, list[float]] = field(default_factory=dict)
    circuits: dict[str, Circuit] = field(default_factory=dict)

    def circuit(self, ask: Ask) -> Circuit:
        return self.circuits.setdefault(ask.scope.prefix, Circuit())

    async def acquire(self, ask: Ask) -> Decision:
        self.asked.append(ask)
        now, circuit, limits = self.clock.now, self.circuit(ask), ask.limits
        probe = False
        if circuit.opened is not None:
            left = circuit.opened + limits.recovery_ms / 1000 - now
            if left > 0 or circuit.probing:
                return self._open(ask, Decision(False, refused="circuit-open"))
            probe = True
        log = self.granted.setdefault(ask.scope.prefix, [])
        at, limit = max(now, circuit.cooldown, *log[-1:]), COOLDOWN
        if limits.rate and len(log) >= limits.rate and log[-limits.rate] + WINDOW > at:
            at, limit = log[-limits.rate] + WINDOW, ask.scope.suffix
        wait_ms = round((at - now) * 1000)
        if wait_ms > ask.max_wait_ms:
            return Decision(False, refused="rate-limited", retry_after_ms=wait_ms, limit=limit, rate=limits.rate)
        log.append(at)
        if probe:
            circuit.probing, circuit.epoch = True, circuit.epoch + 1
        return Decision(True, wait_ms, round(at * 1e6), circuit.epoch, probe, circuit.failures)

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        self.confirmed += 1
        circuit = self.circuit(ask)
        if circuit.opened is not None and not decision.probe:
            refused = self._open(ask, Decision(False))
            return Confirmation("circuit-open", 0, False, refused.retry_after_ms, refused.since_ms, refused.cause)
        if circuit.cooldown * 1e6 > decision.at:
            circuit.probing = False
            return Confirmation("void")
        return Confirmation("send", circuit.epoch, decision.probe)

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        self.reported.append((outcome, cooldown_ms, cause))
        circuit = self.circuit(ask)
        if cooldown_ms:
            circuit.cooldown = max(circuit.cooldown, self.clock.now + cooldown_ms / 1000)
        if decision.epoch != circuit.epoch:
            return None
        if outcome == "neutral":
            circuit.probing = False
        elif outcome == "success":
            circuit.failures = 0
            if circuit.opened is not None:
                circuit.opened, circuit.probing, circuit.epoch = None, False, circuit.epoch + 1
                return Change("closed", circuit.epoch)
        else:
            circuit.failures += 1
            if decision.probe or 0 < ask.limits.threshold <= circuit.failures:
                first, circuit.opened = circuit.opened is None, self.clock.now
                circuit.cause, circuit.probing, circuit.epoch = cause, False, circuit.epoch + 1
                return Change("open", circuit.epoch, cause) if first else None
        return None

    def report_later(self, ask: Ask, decision: Decision) -> None:
        assert not decision.probe
        assert not decision.failures
        self.later += 1

    def _open(self, ask: Ask, decision: Decision) -> Decision:
        circuit = self.circuit(ask)
        since = self.clock.now - (circuit.opened or self.clock.now)
        left = max(ask.limits.recovery_ms - round(since * 1000), 100)
        return Decision(
            False, refused="circuit-open", retry_after_ms=left, since_ms=round(since * 1000), cause=circuit.cause,
            epoch=circuit.epoch,
        )  # fmt: skip
