"""`connection.ping` and `connection.consent`: whether a connection works, and where its credentials may go."""

from __future__ import annotations

from typing import Final

import structlog

from services.executor.consenting import resealed
from services.executor.control.ports import Caller, Controls
from services.executor.domain.resolution import Ask
from services.executor.keys import no_key
from services.executor.probing import Probe, cause_of
from shared.contracts.commands import ConsentConnection, Consented, PingConnection, Probed
from shared.security.principals import Action, authorise

_HEALTH_SECONDS: Final = 5.0
_LONGEST_CAUSE: Final = 300

_log = structlog.get_logger(__name__)


async def ping(caller: Caller, command: PingConnection, controls: Controls) -> Probed:
    """Probe a connection, and answer once its health says what was found."""
    authorise(caller.principal, Action.MANAGE_CONNECTIONS, caller.enterprise)
    choice, plan, target, scope = await controls.resolver.connected_plan(
        Ask(caller.enterprise, command.connector, "", connection=command.connection)
    )
    probed = await controls.prober.probe(Probe(scope, plan, target))
    credentials = choice.connection.credentials if choice.connection is not None else 0
    controls.health.pinged(scope, probed.outcome, credentials, cause_of(probed.steps)[:_LONGEST_CAUSE])
    if not await controls.health.written(_HEALTH_SECONDS):
        _log.warning("What a ping has found is not written yet", connector=command.connector, connection=scope.name)
    return probed


async def consent(caller: Caller, command: ConsentConnection, controls: Controls) -> Consented:
    """Seal a connection's credentials for where a version sends them, in the name of the person who consents."""
    authorise(caller.principal, Action.MANAGE_CONNECTIONS, caller.enterprise)
    if controls.ring is None:
        raise no_key("open and seal credentials with")
    ask = Ask(caller.enterprise, command.connector, "", connection=command.connection)
    entry, plan = await controls.resolver.offered(ask, command.version)
    record = resealed(entry, plan, controls.ring, version=command.version, actor=caller.principal.subject)
    recorded = await controls.registry.consent(caller.enterprise, record, request_id=caller.request_id)
    return Consented(
        connector=command.connector,
        connection=command.connection,
        version=command.version,
        origin=record.origin,
        changes=recorded.changes,
    )
