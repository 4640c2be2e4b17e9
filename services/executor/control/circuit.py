"""`circuit.show` and `circuit.reset`: how a connection's circuits stand, and closing them by hand."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from services.executor.control.ports import Caller, Controls
from services.executor.domain.resolution import Ask
from services.executor.resilience.types import StateUnavailableError
from services.executor.resolve import Held
from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit, Circuit, Circuits, CircuitsReset, ResetCircuits, ShowCircuits
from shared.contracts.errors import DibopError
from shared.security.principals import Action, authorise

T = TypeVar("T")

_MOST_AUDITED: Final = 50
"""An audit entry names so many circuits at most."""


async def show(caller: Caller, query: ShowCircuits, controls: Controls) -> Circuits:
    """How the circuits of a connection stand."""
    authorise(caller.principal, Action.READ, caller.enterprise)
    held = await _held(caller, query, controls)
    return await _look(caller, query, held, controls)


async def reset(caller: Caller, command: ResetCircuits, controls: Controls) -> CircuitsReset:
    """Close circuits, end cooldowns, and leave an audit entry: at once, or once the registry is back."""
    authorise(caller.principal, Action.MANAGE_CONNECTIONS, caller.enterprise)
    held = await _held(caller, command, controls)
    before = await _look(caller, command, held, controls)
    for hold in held.holds:
        await _reached(controls.desk.reset(hold))
    return CircuitsReset(before=before, audit=await controls.audit.write(caller.enterprise, _entry(caller, before)))


async def _held(caller: Caller, query: ShowCircuits, controls: Controls) -> Held:
    return await controls.resolver.held(
        Ask(caller.enterprise, query.connector, query.operation or "", connection=query.connection)
    )


async def _look(caller: Caller, query: ShowCircuits, held: Held, controls: Controls) -> Circuits:
    return Circuits(
        enterprise=caller.enterprise,
        owner=held.owner,
        connector=query.connector,
        connection=held.connection,
        version=held.version,
        circuits=[await _reached(controls.desk.look(hold)) for hold in held.holds],
    )


async def _reached(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except StateUnavailableError as error:
        raise DibopError(
            "overloaded",
            f"The Redis that holds circuits and limits cannot be asked: {error} Until it can, each worker decides by "
            "itself. Repeat when Redis is back.",
        ) from error


def _entry(caller: Caller, before: Circuits) -> AppendAudit:
    changed = [_told(each) for each in before.circuits if each.state != "closed" or each.failures or each.cooldown_ms]
    return AppendAudit(
        id=str(uuid.uuid4()),
        at=utc_now(),
        actor=caller.principal.subject,
        action="circuit.reset",
        noun="circuit",
        identifier=f"{before.connector}.{before.connection}" if before.connection else before.connector,
        details={
            "connector": before.connector,
            "owner": before.owner,
            "connection": before.connection,
            "operations": [each.operation for each in before.circuits if each.operation][:_MOST_AUDITED],
            "before": changed[:_MOST_AUDITED],
        },
        request_id=caller.request_id,
    )


def _told(circuit: Circuit) -> dict[str, Any]:
    return circuit.model_dump(include={"operation", "state", "failures", "cause", "cooldown_ms", "cooldown_cause"})
