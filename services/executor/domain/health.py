"""A connection's health: what circuits and token endpoints make of it, and the event that tells of a change."""

from __future__ import annotations

import msgspec

from services.executor.domain.scope import Scope
from shared.contracts.events import Event
from shared.contracts.projections import (
    AuthHealth,
    CircuitHealth,
    ConnectionHealth,
    HealthState,
    PingHealth,
    PingOutcome,
)

SOURCE = "executor"


class Finding(msgspec.Struct, frozen=True):
    """Something an executor has found out about a circuit of a connection: a change, or that it works at all.

    `circuit` is an operation's name where that has a circuit of its own, else empty.
    """

    scope: Scope
    circuit: str
    open: bool
    epoch: int
    cause: str = ""


class AuthFinding(msgspec.Struct, frozen=True):
    """The token endpoint has refused a connection, or has given it a token again.

    `credentials` tells which of the connection's credentials it was asked with. Only the worker that has asked finds
    it, so its own clock (microseconds) makes the epoch.
    """

    scope: Scope
    refused: bool
    credentials: int
    epoch: int
    cause: str = ""
    circuit: str = ""


class PingFinding(msgspec.Struct, frozen=True):
    """A ping has come to its end; or, without an outcome, what one has found holds no longer.

    `credentials` are those that it was made with. Its epoch is of the pinger's own clock (microseconds).
    """

    scope: Scope
    outcome: PingOutcome | None
    credentials: int
    epoch: int
    cause: str = ""
    circuit: str = ""


AnyFinding = Finding | AuthFinding | PingFinding


class _Known(msgspec.Struct):
    """What an entry is made of."""

    circuits: dict[str, CircuitHealth]
    auth: AuthHealth | None
    ping: PingHealth | None


def after(entry: ConnectionHealth | None, finding: AnyFinding, now: str) -> ConnectionHealth | None:
    """The entry as `finding` leaves it; None where the entry knows of it already, or of something later."""
    known = _Known({}, None, None) if entry is None else _Known(dict(entry.circuits), entry.auth, entry.ping)
    if not _taken(known, finding, now):
        return None
    state, scope = _state(known), finding.scope
    same = entry is not None and entry.state == state
    return ConnectionHealth(
        connection=scope.connection or "",
        enterprise=scope.enterprise,
        connector=scope.connector,
        name=scope.name,
        state=state,
        epoch=max(finding.epoch, entry.epoch if entry is not None else 0),
        since=entry.since if same and entry is not None else now,
        circuits=known.circuits,
        auth=known.auth,
        ping=known.ping,
    )


def _taken(known: _Known, finding: AnyFinding, now: str) -> bool:
    """Write the finding into what is known; False where it is no news."""
    if isinstance(finding, PingFinding):
        return _ping_taken(known, finding, now)
    if isinstance(finding, AuthFinding):
        if not _is_news(known.auth, finding):
            return False
        known.auth = AuthHealth(finding.refused, finding.credentials, finding.cause)
        return True
    circuit = known.circuits.get(finding.circuit)
    if circuit is not None and circuit.epoch >= finding.epoch:
        return False
    known.circuits[finding.circuit] = CircuitHealth(finding.open, finding.epoch, finding.cause)
    return True


def _ping_taken(known: _Known, finding: PingFinding, now: str) -> bool:
    ping, auth = known.ping, known.auth
    if ping is not None and (ping.epoch >= finding.epoch or ping.credentials > finding.credentials):
        return False
    if finding.outcome is None:
        known.ping = None
        return ping is not None
    known.ping = PingHealth(finding.outcome, now, finding.credentials, finding.epoch, finding.cause)
    if finding.outcome == "online" and auth is not None and auth.refused and auth.credentials <= finding.credentials:
        known.auth = AuthHealth(False, finding.credentials)
    return True


def _is_news(known: AuthHealth | None, finding: AuthFinding) -> bool:
    if known is None:
        return finding.refused
    if known.credentials > finding.credentials:
        return False
    return known.refused != finding.refused or (finding.refused and known.credentials < finding.credentials)


def _state(known: _Known) -> HealthState:
    auth, ping = known.auth, known.ping
    if (auth is not None and auth.refused) or (ping is not None and ping.outcome == "auth_error"):
        return "auth_error"
    if any(each.open for each in known.circuits.values()):
        return "degraded"
    if ping is not None and ping.outcome != "online":
        return "offline"
    return "healthy" if known.circuits or auth is not None or ping is not None else "unchecked"


def health_changed(before: ConnectionHealth | None, changed: ConnectionHealth, finding: AnyFinding) -> Event | None:
    """The event that tells of a change; None where the state is what it was.

    Its id is made of the connection and the change's epoch, so that the bus keeps one, whoever else tells it too.
    """
    previous: HealthState = "unchecked" if before is None else before.state
    if previous == changed.state:
        return None
    return Event(
        changed.enterprise,
        "connection",
        changed.connection,
        "health_changed",
        SOURCE,
        {
            "enterprise": changed.enterprise,
            "connector": changed.connector,
            "connection": changed.name,
            "from": previous,
            "to": changed.state,
            "cause": finding.cause,
            "operation": finding.circuit or None,
        },
        id=f"health/{changed.connection}/{finding.epoch}",
        time=changed.since,
    )
