"""Enterprises: what is told of them is kept and projected, for every service to go by."""

from __future__ import annotations

from typing import Final

import structlog

from services.registry.domain.enterprises import EnterpriseRecord, Told, added_up, read_command, said
from services.registry.domain.pages import fitting
from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.ports import Caller, Projections, Store, Work
from services.registry.handlers.projections import project_enterprise
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    ChangeEnterprise,
    Enterprise,
    EnterprisePage,
    ListEnterprises,
    ShowEnterprise,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, Principal

SOURCE: Final = "registry"
NOUN: Final = "enterprise"

log = structlog.get_logger("registry")


async def hear(store: Store, projections: Projections, told: Told, event: Event) -> None:
    """Take what another service tells. Repeating it, in whatever order, changes nothing more."""
    teller = Caller(Principal(event.source or "unknown", PLATFORM, frozenset()), PLATFORM, event.id)
    async with store.write() as work:
        await _take(work, teller, told)
    await project_enterprise(store, projections, told.enterprise)


async def change(store: Store, projections: Projections, caller: Caller, command: ChangeEnterprise) -> Enterprise:
    """Tell something of an enterprise in a person's name, and answer once it stands where all services look.

    The event goes out as if another service had told it.
    """
    _admit(caller)
    told = read_command(command, utc_now())
    async with store.write() as work:
        record = await _take(work, caller, told)
        data = {**said(told), "actor": caller.subject}
        await work.emit(Event(PLATFORM, NOUN, told.enterprise, told.what, SOURCE, data, time=told.moment.at))
    await project_enterprise(store, projections, told.enterprise)
    return _shown(record)


async def show(store: Store, caller: Caller, query: ShowEnterprise) -> Enterprise:
    """`not-found` for one of which nothing was ever told; it is in good standing."""
    _admit(caller)
    async with store.read() as work:
        record = await work.enterprises.find(query.id)
    if record is None:
        raise DibopError(
            "not-found",
            f"Nothing was told of an enterprise {query.id!r} yet: it is neither registered nor suspended. "
            "List those there are, or register it.",
        )
    return _shown(record)


async def page(store: Store, caller: Caller, query: ListEnterprises) -> EnterprisePage:
    """Every enterprise of which something was told, by id."""
    _admit(caller)
    suspended = None if query.state is None else query.state == "suspended"
    async with store.read() as work:
        found = await work.enterprises.page(suspended=suspended, after=query.after, limit=query.limit + 1)
    rows, more = fitting([_shown(each) for each in found], query.limit)
    return EnterprisePage(enterprises=rows, next_after=rows[-1].id if more else None)


async def _take(work: Work, teller: Caller, told: Told) -> EnterpriseRecord:
    before = await work.enterprises.hold(told.enterprise)
    after = added_up(before, told)
    if after == before:
        return before
    anew = after.standing != before.standing or not before.generation
    after = await work.enterprises.write(after, anew=anew)
    if after.known == before.known:
        return after
    details = {"at": told.moment.at, **said(told)}
    await audit.record(work, teller, f"{NOUN}.{told.what}", (NOUN, told.enterprise), details)
    log.info("enterprise changed", enterprise=told.enterprise, what=told.what, at=told.moment.at, by=teller.subject)
    return after


def _admit(caller: Caller) -> None:
    admit(caller, Action.MANAGE_ENTERPRISES)
    if caller.enterprise != PLATFORM:
        raise DibopError("invalid-request", f"Enterprises are {PLATFORM!r}'s matter. Send this to its subject.")


def _shown(record: EnterpriseRecord) -> Enterprise:
    return Enterprise(
        id=record.id,
        name=record.name,
        state="suspended" if record.suspended else "active",
        sdk_access=record.sdk_access,
        reason=record.reason,
        registered_at=record.named.at or None,
        changed_at=record.changed.at or None,
    )
