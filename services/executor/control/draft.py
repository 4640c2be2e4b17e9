"""`draft.probe`: whether a draft's external system can be reached and takes the test credentials."""

from __future__ import annotations

from services.executor.control.ports import Caller, Controls
from services.executor.probing import Probe
from shared.contracts.commands import Probed, ProbeDraft
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.security.principals import Action, authorise


async def probe(caller: Caller, command: ProbeDraft, controls: Controls) -> Probed:
    """Probe what the document describes, with the credentials that the command brings."""
    authorise(caller.principal, Action.PROBE_DRAFT, caller.enterprise)
    if command.owner != caller.enterprise:
        raise DibopError(
            "forbidden",
            f"A draft of {command.owner!r} cannot be probed for {caller.enterprise!r}. Send it to its owner's subject.",
        )
    given = None if command.credentials is None else SealedCredentials(**command.credentials.model_dump())
    plan, target, scope = await controls.resolver.draft_plan(command.owner, command.slug, command.digest, given)
    return await controls.prober.probe(Probe(scope, plan, target))
