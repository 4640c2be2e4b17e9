"""The guard: asks the shared state before each attempt, tells it how the attempt went, and explains refusals."""

from __future__ import annotations

from time import monotonic
from typing import Final, Protocol

import msgspec
import structlog

from services.executor.domain.classify import Effect
from services.executor.domain.timing import deadline_passed
from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.scopes import ENTERPRISE_LIMIT, PLATFORM_LIMIT, Hold
from services.executor.resilience.types import COOLDOWN, PLACE, Ask, Change, Decision, State
from shared.contracts.errors import DibopError

PERMIT_SECONDS: Final = 0.5
"""A permit whose request is not on its way so long after its time is void: the window reckons with no more."""
SHORT_WAIT: Final = 0.02
"""Seconds. After a longer wait the state is asked once more before anything is sent."""
MAX_WAIT: Final = 60.5
"""Seconds that a permit is waited for at most: a whole window."""
LEASE_EXTRA_MS: Final = 5_000
_NO_CIRCUIT: Final = 1
"""The epoch of a scope whose circuit is turned off."""

_log = structlog.get_logger(__name__)


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one attempt from `due` to `sent_by`, both times of `monotonic`."""

    ask: Ask
    decision: Decision
    due: float
    sent_by: float


class Watcher(Protocol):
    """Whoever wants to know what becomes of circuits. Nothing here may wait."""

    def changed(self, hold: Hold, change: Change) -> None: ...

    def found_open(self, hold: Hold, epoch: int, cause: str) -> None: ...

    def succeeded(self, hold: Hold, epoch: int) -> None: ...


class Guard:
    """One for a worker."""

    def __init__(self, state: State, watcher: Watcher, counters: ResilienceCounters) -> None:
        self._state = state
        self._watcher = watcher
        self.counters = counters

    async def acquire(self, hold: Hold, *, attempt_ms: int, left: float) -> Permit:
        """A permit that may have to be waited for, within `left` seconds. Does not wait itself.

        Raises `rate-limited`, `circuit-open`, and `deadline-exceeded` where nothing is left.
        """
        if left <= 0:
            raise deadline_passed()
        ask = Ask(
            hold.scope,
            hold.limits,
            int(min(left, MAX_WAIT) * 1000),
            attempt_ms + LEASE_EXTRA_MS,
            hold.outer,
            hold.connection,
        )
        asked = monotonic()
        decision = await self._state.acquire(ask)
        counters = self.counters
        counters.local_decisions += decision.local
        if decision.opened:
            self._watcher.found_open(hold, decision.opened, decision.cause)
        if not decision.granted:
            counters.refusals[decision.refused] += 1
            raise _refusal(hold, decision, left)
        counters.permits += 1
        counters.probes += decision.probe
        if not decision.wait_ms:
            return Permit(ask, decision, asked, asked + PERMIT_SECONDS)
        counters.permits_waited += 1
        counters.permit_wait_ms += decision.wait_ms
        wait = decision.wait_ms / 1000
        return Permit(ask, decision, monotonic() + wait, asked + wait + PERMIT_SECONDS)

    async def acquire_redirect(self, hold: Hold, left: float) -> float | None:
        """A permit for a redirect that is followed within an attempt; seconds to wait for it.

        None where it would take longer than `left` seconds. It is no attempt of its own: the circuit has no say in it.
        """
        if not hold.limits.rate and not hold.outer:
            return 0.0
        limits = msgspec.structs.replace(hold.limits, threshold=0)
        ask = Ask(hold.scope, limits, int(left * 1000), 0, hold.outer, hold.connection)
        decision = await self._state.acquire(ask)
        if not decision.granted or decision.epoch == PLACE:
            return None
        self.counters.permits += 1
        return decision.wait_ms / 1000

    async def confirm(self, hold: Hold, permit: Permit) -> Permit | None:
        """The permit that was waited for, as it is now; None where it is void. Raises `circuit-open`."""
        decision = permit.decision
        answer = await self._state.confirm(permit.ask, decision)
        if answer.verdict == "circuit-open":
            self.counters.refusals["circuit-open"] += 1
            if answer.opened:
                self._watcher.found_open(hold, answer.opened, answer.cause)
            raise _circuit_open(hold, answer.retry_after_ms, answer.since_ms, answer.cause)
        if answer.verdict == "void":
            return None
        if answer.epoch != decision.epoch or answer.probe != decision.probe:
            decision = msgspec.structs.replace(decision, epoch=answer.epoch, probe=answer.probe)
            permit = msgspec.structs.replace(permit, decision=decision)
        if monotonic() <= permit.sent_by:
            return permit
        await self.give_up(permit)
        return None

    async def give_up(self, permit: Permit) -> None:
        """The permit was not used, or nothing can be said of its attempt: let another worker probe."""
        if permit.decision.probe:
            await self._state.report(permit.ask, permit.decision, "neutral")

    async def report(
        self, hold: Hold, permit: Permit, effect: Effect, *, cooldown_ms: int = 0, cause: str = ""
    ) -> bool:
        """Tell how an attempt went; True where that has opened the circuit.

        A success that changes nothing may be told later; all else is told before this returns.
        """
        decision = permit.decision
        if effect == "success":
            if not decision.probe:
                self._watcher.succeeded(hold, decision.epoch if hold.limits.threshold else _NO_CIRCUIT)
                if not decision.failures:
                    if hold.limits.threshold:
                        self._state.report_later(permit.ask, decision)
                    return False
        elif effect != "failure" and not cooldown_ms:
            await self.give_up(permit)
            return False
        change = await self._state.report(
            permit.ask,
            decision,
            effect if effect != "none" else "neutral",
            cooldown_ms=cooldown_ms,
            cause=cause,
        )
        if change is None:
            return False
        self.counters.circuits[change.circuit] += 1
        _log.warning("A circuit has changed", scope=hold.scope.suffix, circuit=change.circuit, cause=change.cause)
        self._watcher.changed(hold, change)
        return change.circuit == "open"


def _refusal(hold: Hold, decision: Decision, left: float) -> DibopError:
    if decision.refused == "circuit-open":
        return _circuit_open(hold, decision.retry_after_ms, decision.since_ms, decision.cause)
    wait = decision.retry_after_ms / 1000
    allowed = (
        f"the caller waits {left:.3g} s" if left < MAX_WAIT else f"no permit is waited for longer than {MAX_WAIT:g} s"
    )
    detail = (
        f"{_limit(hold, decision)} The next attempt may go out in {wait:.3g} s, and {allowed}. "
        "Nothing was sent; repeat after retry_after_ms."
    )
    return DibopError("rate-limited", detail, retry_after_ms=decision.retry_after_ms, outcome="not_sent")


def _limit(hold: Hold, decision: Decision) -> str:
    """What refused, and why."""
    connector = f"connector {hold.target.connector!r}"
    if decision.limit == COOLDOWN:
        why = f" ({decision.cause})" if decision.cause else ""
        return f"The external system of {connector} has asked to be left alone{why}."
    if decision.limit == hold.scope.suffix:
        whose = f"on {hold.name}"
    elif decision.limit == PLATFORM_LIMIT:
        whose = f"that operators have set on {connector} for all enterprises together"
    elif decision.limit.startswith(ENTERPRISE_LIMIT):
        whose = f"that operators have set on {connector} for each enterprise"
    else:
        whose = f"on {connector}"
    return f"The limit of {decision.rate} attempts a minute {whose} is used up."


def _circuit_open(hold: Hold, retry_after_ms: int, since_ms: int, cause: str) -> DibopError:
    after = f"{retry_after_ms / 1000:.3g} s"
    if since_ms or not cause:
        why = f", since attempts failed one after another ({cause})" if cause else ""
        what = f"The circuit of {hold.name} has been open for {since_ms / 1000:.3g} s{why}."
    else:
        what = f"Nothing is sent to {hold.name} for now: {cause}."
    detail = f"{what} A test request may go out in {after}. Nothing was sent; repeat after retry_after_ms."
    return DibopError("circuit-open", detail, retry_after_ms=retry_after_ms, outcome="not_sent")
