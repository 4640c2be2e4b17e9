"""Sealing keys: what is sealed to which, and the end of those that nothing is sealed to any more."""

from __future__ import annotations

import uuid
from typing import Any, Final

import structlog

from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.ports import AuditRecord, Caller, Retirement, Store, Work
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    KeyRetired,
    KeyRotationNoted,
    KeyUse,
    KeyUses,
    ListKeyUses,
    NoteKeyRotation,
    RetireKey,
)
from shared.contracts.errors import DibopError
from shared.security.principals import Action

NOUN: Final = "keys"
_ROTATIONS: Final = uuid.UUID("c0a4d2b8-6b0c-4c38-9d5e-0a51f0f3b7d1")
_MOST_NAMED: Final = 20

log = structlog.get_logger("registry")


async def uses(store: Store, caller: Caller, _query: ListKeyUses) -> KeyUses:
    """How much is sealed to each key."""
    admit(caller, Action.ROTATE_KEYS)
    async with store.read() as work:
        return KeyUses(keys=await work.keys.uses())


async def rotated(store: Store, caller: Caller, command: NoteKeyRotation) -> KeyRotationNoted:
    """Write into the audit log, once, that the executors seal to another key."""
    admit(caller, Action.ROTATE_KEYS)
    async with store.write() as work:
        await work.audit.append(
            AuditRecord(
                entry_id=str(uuid.uuid5(_ROTATIONS, command.kid)),
                at=utc_now(),
                actor=caller.subject,
                enterprise=caller.enterprise,
                action="keys.rotate",
                noun=NOUN,
                identifier=command.kid,
                details={"previous": command.previous},
                request_id=caller.request_id,
            )
        )
    return KeyRotationNoted(kid=command.kid)


async def retire(store: Store, caller: Caller, command: RetireKey) -> KeyRetired:
    """Take nothing more that is sealed to the key, from this answer on. `conflict` while something is.

    Repeating it answers the same.
    """
    admit(caller, Action.ROTATE_KEYS)
    async with store.write() as work:
        retirement = await work.keys.hold(command.kid)
        if retirement is None:
            retirement = await _retire(work, caller, command)
    log.info("sealing key retired", kid=command.kid, actor=caller.subject, request_id=caller.request_id)
    return KeyRetired(kid=command.kid, retired_at=retirement.at)


async def _retire(work: Work, caller: Caller, command: RetireKey) -> Retirement:
    forgotten = await work.test_credentials.forget(command.kid) if command.forget_test_credentials else 0
    use = next((each for each in await work.keys.uses() if each.kid == command.kid), None)
    if use is not None and (use.connections or use.tokens or use.test_credentials):
        raise await _in_use(work, use)
    retirement = Retirement(utc_now(), caller.subject)
    await work.keys.retire(command.kid, retirement)
    details = {"test_credentials_forgotten": forgotten} if forgotten else {}
    await audit.record(work, caller, "keys.retire", (NOUN, command.kid), details)
    return retirement


async def _in_use(work: Work, use: KeyUse) -> DibopError:
    named = await work.keys.connections(use.kid, _MOST_NAMED)
    errors: list[dict[str, Any]] = [
        {
            "name": f"{key.enterprise}.{key.connector}.{key.name}",
            "problem": f"is sealed to {use.kid}",
            "allowed": "reseal it, rotate its credentials, or delete it",
        }
        for key in named
    ]
    wait = " Test credentials expire within 8 hours." if use.test_credentials else ""
    return DibopError(
        "conflict",
        f"The key {use.kid!r} is in use: {use.connections} connections, {use.tokens} stored tokens and "
        f"{use.test_credentials} test credentials are sealed to it. Reseal them first: 'dibop keys rotate' does.{wait}",
        errors=errors,
    )
