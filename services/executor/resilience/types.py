"""What passes between the pipeline of attempts and the state that all workers share.

Durations are whole milliseconds. Instants leave Redis only as tokens: `at` and `epoch` are given back as they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Outcome = Literal["success", "failure", "neutral"]
"""What an attempt says to the circuit."""
Refusal = Literal["", "rate-limited", "circuit-open"]
Verdict = Literal["send", "circuit-open", "void"]

COOLDOWN: str = "cooldown"
"""`Decision.limit` where a cooldown refused, and no rate."""


PLACE: int = -1
"""The epoch of a permit that is none yet, but a place in the worker's own queue: `confirm` says `void` in its turn."""


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What one scope is held to."""

    rate: int
    """Permits per window; 0 is unlimited."""
    threshold: int
    """Consecutive failures that open the circuit; 0 turns it off."""
    recovery_ms: int
    """How long the circuit stays open before a probe."""


class ScopeKey(msgspec.Struct, frozen=True, gc=False):
    """Where a scope lies in Redis: `prefix` with `:c` for its circuit, with `:w` for its permits."""

    prefix: str

    @property
    def suffix(self) -> str:
        """The scope without its connector, as people are told it."""
        return self.prefix.partition("}:")[2]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What an attempt asks for: a permit of its scope and of every limit further out, all or none."""

    scope: ScopeKey
    limits: Limits
    max_wait_ms: int
    """What the caller can wait; a longer wait is refused, and reserves nothing."""
    lease_ms: int
    """How long a probe may be silent, counted from the time of its permit: attempt timeout + 5 s."""
    outer: tuple[tuple[ScopeKey, int], ...] = ()
    """Stacked limits further out: where, and permits per window. They share the hash tag of `scope`."""
    connection: ScopeKey | None = None
    """The connection's own scope, where `scope` is that of an operation with limits of its own."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer to an `Ask`: a permit, now or after a wait, or a refusal that explains itself."""

    granted: bool
    wait_ms: int = 0
    """Sleep this long; if it is more than 20, confirm; then send."""
    at: int = 0
    """The reserved time; it identifies the permit."""
    epoch: int = 0
    probe: bool = False
    failures: int = 0
    """Failures in a row so far. Above 0, a success is reported before the reply."""
    refused: Refusal = ""
    retry_after_ms: int = 0
    limit: str = ""
    """What refused: a scope's suffix, or `COOLDOWN`."""
    rate: int = 0
    """Permits per window of `limit`."""
    since_ms: int = 0
    """How long the circuit has been open."""
    cause: str = ""
    """What opened the circuit, or set the cooldown: "status 503", "upstream-timeout"."""
    local: bool = False
    """Decided by this worker alone, without Redis."""
    opened: int = 0
    """Of a refusal by the circuit, and of a probe: the epoch of the change that opened it."""


class Confirmation(msgspec.Struct, frozen=True, gc=False):
    """Whether a permit that was waited for still holds; with `void`, acquire anew."""

    verdict: Verdict
    epoch: int = 0
    """With `send`: the epoch to report with, which is another one where the circuit has opened and closed meanwhile."""
    probe: bool = False
    """With `send`: whether the attempt still is the probe."""
    retry_after_ms: int = 0
    since_ms: int = 0
    cause: str = ""
    opened: int = 0
    """With `circuit-open`: the epoch of the change that opened it."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """A circuit opened, or closed again. A probe that fails is no change. Of each change one report hears, once."""

    circuit: Literal["open", "closed"]
    epoch: int
    """Strictly rising within a scope: of two changes the later one has the higher epoch."""
    cause: str = ""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a scope stands. `since_ms`, `cause` and `retry_after_ms` are of a circuit that is not closed.

    `permits` are of each list that was asked for: how many count in the present window, and how many of them are
    still to come.
    """

    circuit: Literal["closed", "open", "half-open"]
    failures: int
    since_ms: int
    cause: str
    retry_after_ms: int
    cooldown_ms: int
    cooldown_cause: str
    permits: tuple[tuple[int, int], ...] = ()


class StateUnavailableError(Exception):
    """Redis did not answer, or refused. The sentence says what happened and what to do about it."""


class State(Protocol):
    """Limits and circuits. Every method but `report_later` raises StateUnavailableError when Redis does not do it."""

    async def acquire(self, ask: Ask) -> Decision:
        """Ask for leave to send one attempt. A probe that wants another permit reports `neutral` first."""
        ...

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        """Ask again after a wait of more than 20 ms, just before sending. A probe with a void permit is freed."""
        ...

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        """Say how an attempt ended; the change that this made, if it did. `cause` must carry no secret."""
        ...

    def report_later(self, ask: Ask, decision: Decision) -> None:
        """Say that an attempt succeeded, within 50 ms. Not for a probe, nor where `decision.failures` is above 0."""
        ...


class SharedState(State, Protocol):
    """The state in Redis. It gives up an answer that whoever asks gives up."""

    async def ping(self, scope: ScopeKey) -> None:
        """Return if the Redis that has `scope` answers on a second connection; however long that takes."""
        ...

    async def check(self) -> None:
        """Return if Redis does all that is asked of it."""
        ...

    async def merge(self, scope: ScopeKey, ages_us: Sequence[int]) -> None:
        """Enter permits into the shared log of their limit."""
        ...

    async def lost(self, hold_ms: int = 0) -> int:
        """For how many more milliseconds a loss counts; with `hold_ms` there was one, which counts for so long."""
        ...

    async def hang_up(self) -> None:
        """Drop the connections; new ones are made when something is asked."""
        ...
