"""Connections: a connector with an enterprise's credentials, sealed where the registry cannot open them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from services.registry.domain.connections import check_fields, check_origin, shown_health, visible_fields
from services.registry.domain.enterprises import require_enterprise
from services.registry.domain.pages import fitting
from services.registry.domain.templates import require_valid
from services.registry.handlers import audit
from services.registry.handlers.access import admit, owners, sees_drafts
from services.registry.handlers.connectors import suggestion
from services.registry.handlers.ports import (
    Caller,
    ConnectionKey,
    ConnectionRecord,
    ConsentRecord,
    Document,
    Health,
    Projections,
    Store,
    TokenRecord,
    VersionRecord,
    Work,
)
from services.registry.handlers.projections import project_connection
from services.registry.handlers.revisions import SOURCE
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    Connection,
    ConnectionDeleted,
    ConnectionPage,
    ConsentModel,
    ConsentNeeded,
    CreateConnection,
    DeleteConnection,
    ListConnections,
    ShowConnection,
    TokenModel,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.execution import DEFAULT_CONNECTION
from shared.contracts.names import did_you_mean, is_slug, is_token
from shared.contracts.projections import ConnectionHealth, VersionState
from shared.contracts.template import Template, terms_changed, terms_of
from shared.contracts.versions import OFFERED, chosen, in_order, unagreed
from shared.security.principals import Action

log = structlog.get_logger("registry")

_SEPARATOR: Final = "."


async def create(store: Store, projections: Projections, caller: Caller, command: CreateConnection) -> Connection:
    """Make a connection and answer once executors can read it. Repeating the very command answers the same."""
    admit(caller, Action.MANAGE_CONNECTIONS)
    require_enterprise(caller.enterprise)
    async with store.read() as work:
        document, version = await document_for(work, caller, (command.owner, command.connector), command.version_policy)
    template = await asyncio.to_thread(require_valid, command.connector, document)
    check_fields(template, command)
    check_origin(template, command)
    wanted = _record(caller, command, consent_to(caller.subject, template, version))
    async with store.write() as work:
        await use_key(work, wanted.kid)
        await hold_version(work, wanted)
        record, created = await _create(work, caller, wanted)
    await project_connection(store, projections, key_of(record))
    log.info(
        "connection created" if created else "connection was there",
        **named(record),
        actor=caller.subject,
        request_id=caller.request_id,
    )
    return shown(record)


async def show(store: Store, health: Health, caller: Caller, query: ShowConnection) -> Connection:
    """One connection, with its health."""
    admit(caller, Action.READ)
    async with store.read() as work:
        key = await _named_or_default(work, caller, query)
        record = await work.connections.find(key)
        if record is None:
            raise await no_connection(work, key)
        needed = await consents_needed(work, [record])
    return shown(record, health.of(record.enterprise, record.id), needed.get(record.id))


async def _named_or_default(work: Work, caller: Caller, query: ShowConnection) -> ConnectionKey:
    name = query.name
    if name is None:
        marked = await work.connections.default_of(caller.enterprise, query.connector)
        name = DEFAULT_CONNECTION if marked is None else marked.name
    return ConnectionKey(caller.enterprise, query.connector, name)


async def page(store: Store, health: Health, caller: Caller, query: ListConnections) -> ConnectionPage:
    """The enterprise's connections by connector and name; `after` is `<connector>.<name>`, as `next_after` gives it."""
    admit(caller, Action.READ)
    after = None if query.after is None else _read_after(query.after)
    async with store.read() as work:
        found = await work.connections.page(
            caller.enterprise, connector=query.connector, after=after, limit=query.limit + 1
        )
        needed = await consents_needed(work, found)
    rows, more = fitting(
        [shown(each, health.of(each.enterprise, each.id), needed.get(each.id)) for each in found], query.limit
    )
    return ConnectionPage(
        connections=rows, next_after=f"{rows[-1].connector}{_SEPARATOR}{rows[-1].name}" if more else None
    )


async def delete(
    store: Store, projections: Projections, caller: Caller, command: DeleteConnection
) -> ConnectionDeleted:
    """Erase a connection and answer once executors no longer find it."""
    admit(caller, Action.MANAGE_CONNECTIONS)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.write() as work:
        record = await work.connections.find(key)
        if record is None or not await work.connections.delete(record, at=utc_now(), by=caller.subject):
            raise await no_connection(work, key)
        await tell(work, caller, record, "connection.delete", "deleted")
    await project_connection(store, projections, key)
    log.info("connection deleted", **named(record), actor=caller.subject, request_id=caller.request_id)
    return ConnectionDeleted(id=record.id, connector=record.connector, name=record.name)


async def _create(work: Work, caller: Caller, wanted: ConnectionRecord) -> tuple[ConnectionRecord, bool]:
    """The connection as it stands then, and whether it is new."""
    if await work.connections.create(wanted):
        await tell(work, caller, wanted, "connection.create", "created")
        return await work.connections.find(key_of(wanted)) or wanted, True
    existing = await work.connections.find(key_of(wanted))
    if existing is not None and _is_same(existing, wanted):
        return existing, False
    if existing is not None:
        raise DibopError(
            "already-exists",
            f"{wanted.enterprise!r} has a connection {wanted.name!r} of {wanted.connector!r} already, made by "
            f"{existing.created_by!r} at {existing.created_at}. Choose another name, or delete that one first.",
        )
    raise DibopError(
        "already-exists",
        f"The connection id {wanted.id} is taken. Seal the credentials under a new UUID and send them again.",
    )


async def document_for(
    work: Work,
    caller: Caller,
    connector: tuple[str, str],
    policy: str,
    states: frozenset[VersionState] = OFFERED,
) -> tuple[Document, str | None]:
    """The document whose credentials a connection holds, and its version: what the policy takes now, else the draft.

    `connector` is owner and slug; `states` are those of the versions that may be taken.
    """
    owner, slug = connector
    if owner in owners(caller.enterprise):
        versions = await work.versions.of(owner, slug)
        if (version := chosen(versions, policy, states)) is not None:
            return await work.versions.document(owner, slug, version.version), version.version
        if versions:
            raise _no_version(slug, policy, versions)
        if sees_drafts(caller.principal, owner) and (draft := await work.drafts.current(owner, slug)):
            document = await work.drafts.document(owner, slug, draft.revision)
            if document is not None:
                return document, None
    raise DibopError(
        "not-found",
        f"{caller.enterprise!r} sees no connector {slug!r} of {owner!r}. {await suggestion(work, caller, slug)}",
    )


async def hold_version(work: Work, connection: ConnectionRecord) -> None:
    """Keep what the connection would run from being withdrawn until this work ends; refuse what was meanwhile."""
    owner, slug = connection.owner, connection.connector
    if await work.drafts.current(owner, slug, lock=True) is None:
        raise DibopError(
            "not-found", f"The connector {slug!r} of {owner!r} has just been deleted. Look at what there is."
        )
    versions = await work.versions.of(owner, slug)
    if versions and chosen(versions, connection.version_policy) is None:
        raise _no_version(slug, connection.version_policy, versions)


def _no_version(slug: str, policy: str, versions: list[VersionRecord]) -> DibopError:
    names = ", ".join(f"{each.version} ({each.state})" for each in in_order(versions)[-10:])
    return DibopError(
        "not-found",
        f"No version of {slug!r} that takes credentials fits {policy!r}. There is: {names}. "
        "Choose another version policy.",
    )


async def no_connection(work: Work, key: ConnectionKey) -> DibopError:
    others = await work.connections.page(key.enterprise, connector=key.connector, after=None, limit=1000)
    return DibopError(
        "not-found",
        f"{key.enterprise!r} has no connection {key.name!r} of {key.connector!r}. "
        + did_you_mean(key.name, (each.name for each in others), "connection of this connector"),
    )


async def use_key(work: Work, kid: str) -> None:
    """Keep the sealing key until this work ends; refuse what is sealed to a retired one."""
    if kid and (retirement := await work.keys.use(kid)) is not None:
        raise DibopError(
            "conflict",
            f"This is sealed to the key {kid!r}, which {retirement.by!r} retired at {retirement.at}: no executor could "
            "open it. Get the executors' present sealing key (the context's seal_key_file), and seal again.",
        )


async def tell(
    work: Work, caller: Caller, record: ConnectionRecord, action: str, what: str, **more: str | bool
) -> None:
    """Write what was done to a connection into the audit log, and tell it; `more` goes into both."""
    said = {"id": record.id, "connector": record.connector, "owner": record.owner, "name": record.name, **more}
    kept = {"origin": record.origin, "version_policy": record.version_policy, **said}
    await audit.record(work, caller, action, ("connection", f"{record.connector}{_SEPARATOR}{record.name}"), kept)
    await work.emit(Event(record.enterprise, "connection", record.id, what, SOURCE, {**said, "actor": caller.subject}))


def consent_to(who: str, template: Template, version: str | None) -> ConsentRecord:
    """Whoever gives credentials for a version, or a draft, consents to its terms."""
    return ConsentRecord(version, terms_of(template), who, utc_now())


def _record(caller: Caller, command: CreateConnection, consent: ConsentRecord) -> ConnectionRecord:
    return ConnectionRecord(
        id=command.id,
        enterprise=caller.enterprise,
        connector=command.connector,
        owner=command.owner,
        name=command.name,
        version_policy=command.version_policy,
        origin=command.origin,
        kid=command.kid if command.sealed else "",
        values=command.values,
        sealed=command.sealed,
        masked=command.masked,
        created_by=caller.subject,
        created_at=utc_now(),
        consent=consent,
    )


def _is_same(existing: ConnectionRecord, wanted: ConnectionRecord) -> bool:
    """True where the same command came twice, as it does after a lost answer."""
    return (existing.id, existing.owner, existing.version_policy, existing.values, existing.sealed) == (
        wanted.id,
        wanted.owner,
        wanted.version_policy,
        wanted.values,
        wanted.sealed,
    )


async def consents_needed(work: Work, records: Sequence[ConnectionRecord]) -> dict[str, ConsentNeeded]:
    """By connection id: the versions that wait for their owner's consent."""
    needed, versions = {}, dict[tuple[str, str], list[VersionRecord]]()
    for record in records:
        consent, connector = record.consent, (record.owner, record.connector)
        if consent is None:
            continue
        if connector not in versions:
            versions[connector] = await work.versions.of(*connector)
        if (wanted := unagreed(versions[connector], record.version_policy, consent.digest)) is not None:
            changes = terms_changed(consent.terms, wanted.sends or {})
            needed[record.id] = ConsentNeeded(version=wanted.version, changes=changes)
    return needed


def shown(
    record: ConnectionRecord, health: ConnectionHealth | None = None, needed: ConsentNeeded | None = None
) -> Connection:
    return Connection(
        id=record.id,
        enterprise=record.enterprise,
        connector=record.connector,
        owner=record.owner,
        name=record.name,
        version_policy=record.version_policy,
        origin=record.origin,
        fields=visible_fields(record.values, record.sealed, record.masked),
        created_by=record.created_by,
        created_at=record.created_at,
        rotated_by=record.rotated_by,
        rotated_at=record.rotated_at,
        token=_shown_token(record.token),
        health=shown_health(health),
        generation=record.generation,
        default=record.default,
        consent=_shown_consent(record.consent),
        consent_needed=needed,
    )


def _shown_consent(consent: ConsentRecord | None) -> ConsentModel | None:
    return None if consent is None else ConsentModel(version=consent.version, by=consent.by, at=consent.at)


def _shown_token(token: TokenRecord | None) -> TokenModel | None:
    if token is None:
        return None
    return TokenModel(generation=token.generation, scopes=token.scopes, stored_at=token.stored_at)


def key_of(record: ConnectionRecord) -> ConnectionKey:
    return ConnectionKey(record.enterprise, record.connector, record.name)


def named(record: ConnectionRecord) -> dict[str, str]:
    return {"enterprise": record.enterprise, "connector": record.connector, "connection": record.name}


def _read_after(after: str) -> tuple[str, str]:
    connector, _, name = after.partition(_SEPARATOR)
    if not is_slug(connector) or not is_token(name):
        raise DibopError(
            "invalid-request",
            f"`after` is {after[:150]!r}; it must be the `next_after` of the page before, <connector>.<name>.",
        )
    return connector, name
