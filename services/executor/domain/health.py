"""A connection's health: what each change of a circuit makes of it, and the event that tells of it."""

from __future__ import annotations

import msgspec

from services.executor.domain.scope import Scope
from shared.contracts.events import Event
from shared.contracts.projections import CircuitHealth, ConnectionHealth, HealthState

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


def after(entry: ConnectionHealth | None, finding: Finding, now: str) -> ConnectionHealth | None:
    """The entry as `finding` leaves it; None where the entry knows of it already, or of something later."""
    scope, circuit = finding.scope, CircuitHealth(finding.open, finding.epoch, finding.cause)
    circuits = dict(entry.circuits) if entry is not None else {}
    known = circuits.get(finding.circuit)
    if known is not None and known.epoch >= finding.epoch:
        return None
    circuits[finding.circuit] = circuit
    state: HealthState = "degraded" if any(each.open for each in circuits.values()) else "healthy"
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
    )


def health_changed(before: ConnectionHealth | None, changed: ConnectionHealth, finding: Finding) -> Event | None:
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
