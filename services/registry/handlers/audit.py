"""The audit log: who did what, when, in which request. Entries are only ever added."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from services.registry.domain.pages import fitting
from services.registry.handlers.access import admit
from services.registry.handlers.ports import AuditRecord, Caller, Store, Work
from shared.contracts.clock import spelled, utc_now
from shared.contracts.commands import AppendAudit, AuditAppended, AuditPage, ListAudit
from shared.contracts.errors import DibopError
from shared.security.principals import Action

MAX_DETAILS_BYTES: Final = 16 * 1024
MAX_ENTRY: Final = 2**63 - 1

log = structlog.get_logger("registry")


async def record(
    work: Work,
    caller: Caller,
    action: str,
    thing: tuple[str, str],
    details: Mapping[str, Any],
    *,
    actor: str = "",
) -> None:
    """Write the entry of a change into the change's own transaction.

    `thing` is noun and identifier of what changed; `actor` is given where the caller acts for somebody.
    """
    noun, identifier = thing
    await work.audit.append(
        AuditRecord(
            entry_id=str(uuid.uuid4()),
            at=utc_now(),
            actor=actor or caller.subject,
            enterprise=caller.enterprise,
            action=action,
            noun=noun,
            identifier=identifier,
            details=details,
            request_id=caller.request_id,
        )
    )


async def append(store: Store, caller: Caller, command: AppendAudit) -> AuditAppended:
    """Take an entry from another service; repeating it changes nothing."""
    admit(caller, Action.APPEND_AUDIT)
    size = len(msgspec.json.encode(command.details))
    if size > MAX_DETAILS_BYTES:
        raise DibopError(
            "invalid-request",
            f"The details of audit entry {command.id!r} have {size} bytes; at most {MAX_DETAILS_BYTES} are kept. "
            "Name the thing and leave its contents out.",
        )
    entry = AuditRecord(
        entry_id=command.id,
        at=_instant(command.at),
        actor=command.actor,
        enterprise=caller.enterprise,
        action=command.action,
        noun=command.noun,
        identifier=command.identifier,
        details=command.details,
        request_id=command.request_id or caller.request_id,
    )
    async with store.write() as work:
        appended = await work.audit.append(entry)
    log.info("audit appended", action=command.action, appended=appended, request_id=caller.request_id)
    return AuditAppended(appended=appended)


async def page(store: Store, caller: Caller, query: ListAudit) -> AuditPage:
    """The enterprise's entries, newest first."""
    admit(caller, Action.READ_AUDIT)
    async with store.read() as work:
        found = await work.audit.page(
            caller.enterprise,
            before=None if query.before is None else max(0, min(query.before, MAX_ENTRY)),
            noun=query.noun,
            identifier=query.identifier,
            limit=query.limit + 1,
        )
    shown, more = fitting(found, query.limit)
    return AuditPage(entries=shown, next_before=shown[-1].id if more else None)


def _instant(text: str) -> str:
    """The same instant as every record spells it, or `invalid-request`."""
    try:
        return spelled(_aware(text))
    except (ValueError, OverflowError):
        raise DibopError(
            "invalid-request", f"`at` is {text[:60]!r}; it must be an instant such as 2026-01-31T09:05:00.123Z."
        ) from None


def _aware(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("no time zone")
    return instant
