"""A connection's health: what circuits and token endpoints make of it, and the event that tells of a change."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.executor.domain.scope import Scope
from shared.contracts.events import Event
from shared.contracts.projections import AuthHealth, CircuitHealth, ConnectionHealth, HealthState

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


def after(entry: ConnectionHealth | None, finding: Finding | AuthFinding, now: str) -> ConnectionHealth | None:
    """The entry as `finding` leaves it; None where the entry knows of it already, or of something later."""
    circuits = dict(entry.circuits) if entry is not None else {}
    auth = entry.auth if entry is not None else None
    if isinstance(finding, AuthFinding):
        if not _is_news(auth, finding):
            return None
        auth = AuthHealth(finding.refused, finding.credentials, finding.cause)
    else:
        known = circuits.get(finding.circuit)
        if known is not None and known.epoch >= finding.epoch:
            return None
        circuits[finding.circuit] = CircuitHealth(finding.open, finding.epoch, finding.cause)
    state, scope = _state(circuits, auth), finding.scope
    same = entry is not None and entry.state == state
    return ConnectionHealth(
        connection=scope.connection or "",
        enterprise=scope.enterprise,
        connector=scope.connector,
        name=scope.name,
        state=state,
        epoch=max(finding.epoch, entry.epoch if entry is not None else 0),
        since=entry.since if same and entry is not None else now,
        circuits=circuits,
        auth=auth,
    )


def _is_news(known: AuthHealth | None, finding: AuthFinding) -> bool:
    if known is None:
        return finding.refused
    if known.credentials > finding.credentials:
        return False
    return known.refused != finding.refused or (finding.refused and known.credentials < finding.credentials)


def _state(circuits: Mapping[str, CircuitHealth], auth: AuthHealth | None) -> HealthState:
    if auth is not None and auth.refused:
        return "auth_error"
    return "degraded" if any(each.open for each in circuits.values()) else "healthy"


def health_changed(
    before: ConnectionHealth | None, changed: ConnectionHealth, finding: Finding | AuthFinding
) -> Event | None:
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
