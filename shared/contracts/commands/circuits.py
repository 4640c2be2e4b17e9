"""Circuits and limits of connections, as operators see and reset them.

The commands go to `executor.v1.<enterprise>.circuit.<verb>`, and whichever executor is free answers. Durations are
milliseconds: the shared state has a clock of its own, and no instant of it means anything elsewhere.
"""

from __future__ import annotations

from typing import Literal

from shared.contracts.commands.base import Message, Slug, Token

CircuitState = Literal["closed", "open", "half-open"]
LimitOf = Literal["operation", "connection", "enterprise", "platform"]
"""Whose limit it is; `enterprise` and `platform` are what operators set on top of the template."""
AuditState = Literal["written", "waiting", "off"]
"""`waiting`: the registry is away, and the executor repeats it; `off`: the executor has no token to write it with."""


class ShowCircuits(Message):
    """`circuit.show`: all circuits of a connection, or the one that `operation` counts against.

    Without `connection` it is the default one, or the calls without a connection where there is none.
    """

    connector: Slug
    connection: Token | None = None
    operation: Token | None = None


class ResetCircuits(ShowCircuits):
    """`circuit.reset`: close these circuits and end their cooldowns. Permits that are spent stay spent."""


class LimitUse(Message):
    """Permits of one limit within the present window; `used` counts those that are `waiting` for their time too."""

    of: LimitOf
    used: int
    waiting: int
    rate: int
    window_ms: int


class Circuit(Message):
    """One circuit with its cooldown and limits. `operation` has a circuit of its own; None is the connection's.

    `since_ms` is how long the circuit has not been closed, `retry_after_ms` when the next attempt may probe, `cause`
    what opened it. A `threshold` of 0 is a circuit that never opens.
    """

    operation: Token | None
    state: CircuitState
    failures: int
    threshold: int
    since_ms: int
    cause: str
    retry_after_ms: int
    cooldown_ms: int
    cooldown_cause: str
    limits: list[LimitUse]


class Circuits(Message):
    """What `circuit.show` answers. `connection` is None for calls without one."""

    enterprise: Token
    owner: Token
    connector: Slug
    connection: Token | None
    version: str
    circuits: list[Circuit]


class CircuitsReset(Message):
    """What `circuit.reset` answers: the circuits as they were before, and what has become of the audit entry."""

    before: Circuits
    audit: AuditState
