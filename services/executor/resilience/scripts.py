"""The scripts that Redis runs: what they are told, and what their answers mean. Pure: nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import msgspec

from services.executor.resilience.types import (
    COOLDOWN,
    Ask,
    Change,
    Confirmation,
    Decision,
    Outcome,
    ScopeKey,
    Standing,
)

WINDOW_MS: Final = 60_500
"""A minute, and half a second of guard for the way from a grant to the arrival at the external system."""
KEEP_MS: Final = 600_000
"""How long an idle scope is remembered beyond what its circuit needs."""
MAX_COOLDOWN_MS: Final = 3_600_000
_MIN_RETRY_MS: Final = 100
_MAX_CAUSE: Final = 64
_READ_TIME: Final = "redis.call('TIME')"

_unpack: Final = msgspec.msgpack.Decoder(list[Any]).decode

Argument = str | int
Reply = list[Any]


class Script(msgspec.Struct, frozen=True):
    """A script's text, and the digest by which Redis knows it once it has run."""

    name: str
    source: str
    sha: str


class Scripts(msgspec.Struct, frozen=True):
    acquire: Script
    confirm: Script
    report: Script
    merge: Script
    inspect: Script
    lost: Script


class Command(msgspec.Struct, frozen=True, gc=False):
    """One call of a script."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]


class Timing(msgspec.Struct, frozen=True, gc=False):
    """The window of rate limits, and how long idle scopes are kept, in milliseconds."""

    window_ms: int = WINDOW_MS
    keep_ms: int = KEEP_MS


@cache
def load_scripts(clock: str = _READ_TIME) -> Scripts:
    """The scripts, with `clock` as the expression that reads the time: a list of seconds and microseconds."""
    folder = Path(__file__).parent
    common = (folder / "common.lua").read_text().replace(_READ_TIME, clock)

    def load(name: str, before: str = common) -> Script:
        source = before + (folder / f"{name}.lua").read_text().replace(_READ_TIME, clock)
        return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())

    return Scripts(
        acquire=load("acquire"),
        confirm=load("confirm"),
        report=load("report"),
        merge=load("merge", ""),
        inspect=load("inspect"),
        lost=load("lost", ""),
    )


def acquire_command(scripts: Scripts, timing: Timing, ask: Ask, told: int, others: Sequence[Ask] = ()) -> Command:
    """Ask for a permit for `ask`, and for `others` which differ from it only in how long they can wait.

    `told` is the epoch of successes of the scope that wait to be reported, 0 for none.
    """
    prefix, outer = ask.scope.prefix, ask.outer
    keys: tuple[str, ...] = (f"{prefix}:c", f"{prefix}:w")
    arguments = (*_common(timing, ask, told), timing.window_ms * 1000, ask.limits.rate)
    if outer:
        keys = (*keys, *(f"{scope.prefix}:w" for scope, _ in outer))
        arguments = (*arguments, *(rate for _, rate in outer))
    waits = (max(one.max_wait_ms, 0) * 1000 for one in (ask, *others))
    return Command(scripts.acquire, keys, (*arguments, *waits))


def confirm_command(scripts: Scripts, timing: Timing, ask: Ask, decision: Decision) -> Command:
    arguments = (*_common(timing, ask, 0), decision.epoch, decision.at)
    return Command(scripts.confirm, (f"{ask.scope.prefix}:c",), arguments)


def report_command(
    scripts: Scripts, timing: Timing, ask: Ask, epoch: int, outcome: Outcome, *, told: int, cooldown_ms: int, cause: str
) -> Command:
    pause = min(cooldown_ms, MAX_COOLDOWN_MS) * 1000
    arguments = (*_common(timing, ask, told), epoch, outcome, pause, cause[:_MAX_CAUSE])
    return Command(scripts.report, (f"{ask.scope.prefix}:c",), arguments)


def reset_command(scripts: Scripts, timing: Timing, scope: ScopeKey) -> Command:
    """Close the scope's circuit and end its cooldown."""
    return Command(scripts.report, (f"{scope.prefix}:c",), (0, 0, 0, timing.keep_ms, 0, 0, "reset", 0, ""))


def inspect_command(scripts: Scripts, timing: Timing, scope: ScopeKey, logs: Sequence[ScopeKey]) -> Command:
    """Look at a scope's circuit, and at the permits of `logs`."""
    keys = (f"{scope.prefix}:c", *(f"{log.prefix}:w" for log in logs))
    return Command(scripts.inspect, keys, (0, 0, 0, timing.keep_ms, 0, timing.window_ms * 1000))


def merge_command(scripts: Scripts, timing: Timing, scope: ScopeKey, ages_us: Sequence[int]) -> Command:
    """Enter permits that were due so long ago, in microseconds; negative where they are still to come."""
    return Command(scripts.merge, (f"{scope.prefix}:w",), (timing.window_ms * 1000, *ages_us))


def lost_command(scripts: Scripts, scope: ScopeKey, hold_ms: int) -> Command:
    """Ask whether workers have lost Redis lately; with `hold_ms`, say that one has, and for how long that counts."""
    return Command(scripts.lost, (f"{scope.prefix}:lost",), (hold_ms * 1000,))


def unpack(answer: bytes) -> Reply:
    """What a script answered."""
    return _unpack(answer)


def repaired_keys(reply: Reply) -> list[str]:
    """The keys that held what the scripts had not written, and that were dropped."""
    return str(reply[1]).split()


def read_decisions(reply: Reply, ask: Ask) -> list[Decision]:
    """The decision on each attempt of an acquire, in the order in which they were named."""
    return [_read_decision(decision, ask) for decision in reply[2:]]


def read_decision(reply: Reply, ask: Ask) -> Decision:
    """The decision on the only attempt of an acquire."""
    return _read_decision(reply[2], ask)


def _read_decision(decision: Reply, ask: Ask) -> Decision:
    code = decision[0]
    if code == 0:
        _, wait, at, epoch, failures, *probe = decision
        cause, opened = probe or ("", 0)
        return Decision(
            True,
            wait_ms=_milliseconds(wait),
            at=at,
            epoch=epoch,
            probe=bool(probe),
            failures=failures,
            cause=cause,
            opened=opened,
        )
    if code == 1:
        _, left, since, cause, opened = decision
        return Decision(
            False,
            refused="circuit-open",
            retry_after_ms=max(_milliseconds(left), _MIN_RETRY_MS),
            since_ms=_milliseconds(since),
            cause=cause,
            opened=opened,
        )
    _, wait, limit, cause = decision
    name, rate = _limit(ask, limit)
    return Decision(
        False, refused="rate-limited", retry_after_ms=_milliseconds(wait), limit=name, rate=rate, cause=cause
    )


def read_confirmation(reply: Reply) -> Confirmation:
    code = reply[0]
    if code == 0:
        return Confirmation("send", epoch=reply[2], probe=reply[3] == 1)
    if code == 1:
        _, _, left, since, cause, opened = reply
        retry_after = max(_milliseconds(left), _MIN_RETRY_MS)
        return Confirmation(
            "circuit-open", retry_after_ms=retry_after, since_ms=_milliseconds(since), cause=cause, opened=opened
        )
    return Confirmation("void")


def read_change(reply: Reply, cause: str) -> Change | None:
    change, _, epoch = reply
    if change == 0:
        return None
    return Change("open", epoch, cause[:_MAX_CAUSE]) if change == 1 else Change("closed", epoch)


def read_lost(reply: Reply) -> int:
    """Milliseconds."""
    return _milliseconds(reply[0])


def read_standing(reply: Reply) -> Standing:
    state, _, failures, since, left, cause, cooldown, cooldown_cause, *permits = reply
    return Standing(
        circuit=("closed", "open", "half-open")[state],
        failures=failures,
        since_ms=_milliseconds(since),
        cause=cause,
        retry_after_ms=_milliseconds(left),
        cooldown_ms=_milliseconds(cooldown),
        cooldown_cause=cooldown_cause,
        permits=tuple(zip(permits[::2], permits[1::2], strict=True)),
    )


def _common(timing: Timing, ask: Ask, told: int) -> tuple[Argument, ...]:
    limits = ask.limits
    return limits.threshold, limits.recovery_ms * 1000, ask.lease_ms * 1000, timing.keep_ms, told


def _limit(ask: Ask, index: int) -> tuple[str, int]:
    if index == 1:
        return COOLDOWN, 0
    scope, rate = ask.outer[index - 3] if index > 2 else (ask.scope, ask.limits.rate)
    return scope.suffix, rate


def _milliseconds(microseconds: int) -> int:
    """Rounded up, so that a wait of this length reaches the time."""
    return -(-microseconds // 1000)
