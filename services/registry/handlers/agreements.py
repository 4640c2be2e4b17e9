"""How a connection is used: which versions it follows, whether it is the default, and what it has consented to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog

from services.registry.domain.connections import check_fields, check_origin
from services.registry.domain.enterprises import require_enterprise
from services.registry.domain.templates import require_valid
from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.connections import (
    consent_to,
    consents_needed,
    hold_version,
    key_of,
    named,
    no_connection,
    shown,
    tell,
    use_key,
)
from services.registry.handlers.ports import (
    Caller,
    ConnectionKey,
    ConnectionRecord,
    Health,
    Projections,
    Store,
    VersionRecord,
    Work,
)
from services.registry.handlers.projections import project_connection
from services.registry.handlers.revisions import SOURCE
from services.registry.handlers.vault import changed, require
from shared.contracts.commands import Connection, ConsentRecorded, RecordConsent, UpdateConnection
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.template import Template, terms_changed
from shared.contracts.versions import USABLE, chosen, running
from shared.security.principals import Action

log = structlog.get_logger("registry")


async def update(
    store: Store, projections: Projections, health: Health, caller: Caller, command: UpdateConnection
) -> Connection:
    """Change version policy or default, and answer once executors go by it."""
    admit(caller, Action.MANAGE_CONNECTIONS)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.write() as work:
        record = await work.connections.find(key)
        if record is None:
            raise await no_connection(work, key)
        if record.generation != command.generation:
            raise changed(record, f"generation {command.generation} was looked at")
        wanted = await _wanted(work, record, command)
        # The one that was the default is projected after the new one: there is always one that runs.
        before = await work.connections.default_of(key.enterprise, key.connector) if command.default else None
        if wanted != record:
            await _write(work, caller, record, wanted)
        record = await work.connections.find(key) or wanted
        needed = await consents_needed(work, [record])
    await project_connection(store, projections, key)
    if before is not None and before.id != record.id:
        await project_connection(store, projections, key_of(before))
    log.info("connection updated", **named(record), actor=caller.subject, request_id=caller.request_id)
    return shown(record, health.of(record.enterprise, record.id), needed.get(record.id))


async def consent(store: Store, projections: Projections, caller: Caller, command: RecordConsent) -> ConsentRecorded:
    """Store what an executor has sealed anew for a version's terms, unless the connection has changed meanwhile."""
    admit(caller, Action.RECORD_CONSENT)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.read() as work:
        record = await require(work, key, command.id)
        version = await _offered(work, record, command.version)
        document = await work.versions.document(record.owner, record.connector, version.version)
    template = await asyncio.to_thread(require_valid, command.connector, document)
    check_fields(template, command)
    check_origin(template, command)
    async with store.write() as work:
        record = await require(work, key, command.id)
        await _offered(work, record, command.version)
        await use_key(work, command.kid if command.sealed else "")
        if record.generation != command.generation:
            raise changed(record, f"generation {command.generation} was sealed anew")
        changes = await _consent(work, caller, record, command, template)
    await project_connection(store, projections, key)
    log.info("connection consented", **named(record), version=command.version, actor=command.actor)
    return ConsentRecorded(generation=record.generation + 1, changes=changes)


async def _wanted(work: Work, record: ConnectionRecord, command: UpdateConnection) -> ConnectionRecord:
    """The connection as it is to be. With another policy it goes on running what it runs, until it may run another."""
    wanted = replace(record, default=bool(command.default) or record.default)
    policy = command.version_policy
    if policy is None or policy == record.version_policy:
        return wanted
    wanted = replace(wanted, version_policy=policy)
    await hold_version(work, wanted)
    if record.consent is not None:
        versions = await work.versions.of(record.owner, record.connector)
        runs = running(versions, record.version_policy, record.consent.digest, record.consent.version)
        if runs is not None:
            wanted = replace(wanted, consent=replace(record.consent, version=runs.version))
    return wanted


async def _write(work: Work, caller: Caller, record: ConnectionRecord, wanted: ConnectionRecord) -> None:
    if not await work.connections.update(wanted):
        raise changed(record, "it was updated")
    said: dict[str, Any] = {}
    if wanted.version_policy != record.version_policy:
        said |= {"version_policy": wanted.version_policy, "version_policy_before": record.version_policy}
    if wanted.default != record.default:
        said |= {"default": wanted.default}
    await tell(work, caller, wanted, "connection.update", "updated", **said)


async def _offered(work: Work, record: ConnectionRecord, version: str) -> VersionRecord:
    """The version, which must be the one that the connection's policy takes now."""
    versions = await work.versions.of(record.owner, record.connector)
    taken = chosen(versions, record.version_policy, USABLE)
    if taken is None or taken.version != version:
        raise DibopError(
            "conflict",
            f"The connection {record.name!r} of {record.connector!r} follows {record.version_policy}, which is "
            f"{taken.version if taken is not None else 'no version'} by now, and the consent is to {version}. "
            "Look at what it needs now: dibop connection show.",
        )
    return taken


async def _consent(
    work: Work, caller: Caller, record: ConnectionRecord, command: RecordConsent, template: Template
) -> list[str]:
    consent = consent_to(command.actor, template, command.version)
    before = record.consent.terms if record.consent is not None else {}
    changes = terms_changed(before, consent.terms)
    keeps_token = command.origin == record.origin and before.get("grant") == consent.terms.get("grant")
    wanted = replace(
        record,
        origin=command.origin,
        kid=command.kid if command.sealed else "",
        values=command.values,
        sealed=command.sealed,
        masked={name: tail for name, tail in record.masked.items() if name in command.sealed},
        token=record.token if keeps_token else None,
        consent=consent,
    )
    if not await work.connections.consent(wanted):
        raise changed(record, "it was consented to")
    said = {"id": record.id, "connector": record.connector, "owner": record.owner, "name": record.name}
    agreed = {
        "version": command.version,
        "version_before": record.consent.version if record.consent is not None else None,
        "origin": command.origin,
        "origin_before": record.origin,
        "changes": changes,
    }
    place = ("connection", f"{record.connector}.{record.name}")
    await audit.record(work, caller, "connection.consent", place, {**said, **agreed}, actor=command.actor)
    await work.emit(
        Event(record.enterprise, "connection", record.id, "consented", SOURCE, said | agreed | {"actor": command.actor})
    )
    return changes
