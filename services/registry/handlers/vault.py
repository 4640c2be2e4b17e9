"""The vault: other credentials for a connection, and what executors seal: refresh tokens, the same to another key.

The registry stores ciphertexts and opens none. Every change is compare-and-set: nobody writes over what they have not
seen.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from services.registry.domain.connections import check_fields, check_origin
from services.registry.domain.enterprises import require_enterprise
from services.registry.domain.templates import require_valid
from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.connections import (
    consent_to,
    document_for,
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
    ConsentRecord,
    Projections,
    Resealing,
    Store,
    TokenRecord,
    Work,
)
from services.registry.handlers.projections import project_connection
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    Connection,
    ConnectionResealed,
    ResealConnection,
    RotateConnection,
    StoreToken,
    TokenStored,
)
from shared.contracts.errors import DibopError
from shared.contracts.versions import USABLE
from shared.security.principals import Action

log = structlog.get_logger("registry")


async def rotate(store: Store, projections: Projections, caller: Caller, command: RotateConnection) -> Connection:
    """Put other credentials in place of a connection's and answer once executors can read them.

    The stored token goes with the old ones. Repeating the very command answers the same.
    """
    admit(caller, Action.MANAGE_CONNECTIONS)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.read() as work:
        record = await require(work, key, command.id)
        connector = (record.owner, record.connector)
        document, version = await document_for(work, caller, connector, record.version_policy, USABLE)
    template = await asyncio.to_thread(require_valid, command.connector, document)
    check_fields(template, command)
    check_origin(template, command)
    async with store.write() as work:
        record = await _rotate(work, caller, key, command, consent_to(caller.subject, template, version))
    await project_connection(store, projections, key)
    log.info("connection rotated", **named(record), actor=caller.subject, request_id=caller.request_id)
    return shown(record)


async def store_token(store: Store, projections: Projections, caller: Caller, command: StoreToken) -> TokenStored:
    """Store a refresh token where the stored one is still the one that the executor has seen."""
    admit(caller, Action.STORE_TOKEN)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.write() as work:
        generation = await _store_token(work, caller, key, command)
    await project_connection(store, projections, key)
    log.info("token stored", enterprise=key.enterprise, connector=key.connector, connection=key.name)
    return TokenStored(generation=generation)


async def reseal(
    store: Store, projections: Projections, caller: Caller, command: ResealConnection
) -> ConnectionResealed:
    """Replace ciphertexts by the same values sealed to another key, unless the connection has changed meanwhile."""
    admit(caller, Action.RESEAL)
    require_enterprise(caller.enterprise)
    key = ConnectionKey(caller.enterprise, command.connector, command.name)
    async with store.write() as work:
        record = await require(work, key, command.id)
        _check_resealed(record, command)
        await use_key(work, command.kid)
        if command.token is not None:
            await use_key(work, command.token.kid)
        resealing = Resealing(
            (command.kid, command.sealed) if command.sealed else None,
            (command.token.kid, command.token.sealed) if command.token else None,
        )
        if record.generation != command.generation or not await work.connections.reseal(record, resealing):
            raise changed(record, f"generation {command.generation} was resealed")
        await _record(work, caller, record, "connection.reseal", kid=command.kid, previous=record.kid)
    await project_connection(store, projections, key)
    log.info("connection resealed", **named(record), kid=command.kid)
    return ConnectionResealed(generation=record.generation + 1)


async def _rotate(
    work: Work, caller: Caller, key: ConnectionKey, command: RotateConnection, consent: ConsentRecord
) -> ConnectionRecord:
    record = await require(work, key, command.id)
    if command.sealed and (record.values, record.sealed) == (command.values, command.sealed):
        return record
    kid = command.kid if command.sealed else ""
    await use_key(work, kid)
    wanted = replace(
        record,
        origin=command.origin,
        kid=kid,
        values=command.values,
        sealed=command.sealed,
        masked=command.masked,
        rotated_by=caller.subject,
        rotated_at=utc_now(),
        token=None,
        consent=consent,
    )
    if not await work.connections.rotate(wanted):
        raise changed(record, "it was rotated")
    await tell(work, caller, wanted, "connection.rotate", "rotated")
    return replace(wanted, generation=record.generation + 1)


async def _store_token(work: Work, caller: Caller, key: ConnectionKey, command: StoreToken) -> int:
    record = await require(work, key, command.id)
    present = record.token
    if present is not None and present.sealed == command.sealed:
        return present.generation
    generation = present.generation if present is not None else 0
    if command.expected != generation or command.credentials not in {None, 0, record.credentials_generation}:
        raise DibopError(
            "conflict",
            f"The token of connection {record.name!r} of {record.connector!r} is of generation {generation}, and of "
            f"credentials {record.credentials_generation}; the writer had seen {command.expected} and "
            f"{command.credentials}. Read the connection again and use the token that it has.",
        )
    await use_key(work, command.kid)
    token = TokenRecord(generation, command.kid, command.sealed, command.scopes or "", utc_now())
    stored = await work.connections.store_token(record, token)
    if stored is None:
        raise changed(record, "its token was stored")
    if present is None:
        await _record(work, caller, record, "connection.store-token", scopes=token.scopes)
    return stored


async def require(work: Work, key: ConnectionKey, identifier: str) -> ConnectionRecord:
    """The connection of this name, which must be the one that the values were sealed for."""
    record = await work.connections.find(key)
    if record is None:
        raise await no_connection(work, key)
    if record.id != identifier:
        raise DibopError(
            "conflict",
            f"The connection {record.name!r} of {record.connector!r} is {record.id} by now, and the values are sealed "
            f"for {identifier}. Read the connection again and seal for it.",
        )
    return record


def _check_resealed(record: ConnectionRecord, command: ResealConnection) -> None:
    """Resealing changes who can open values, never which values there are."""
    if command.sealed and command.sealed.keys() != record.sealed.keys():
        raise DibopError(
            "invalid-request",
            f"The connection {record.name!r} of {record.connector!r} has the sealed fields "
            f"{', '.join(record.sealed) or 'none'}; send all of them, or none to leave them as they are.",
        )
    if command.token is not None and record.token is None:
        raise changed(record, "its token was resealed")


def changed(record: ConnectionRecord, while_: str) -> DibopError:
    return DibopError(
        "conflict",
        f"The connection {record.name!r} of {record.connector!r} has changed while {while_}: it is of generation "
        f"{record.generation}. Read it again and repeat.",
    )


async def _record(work: Work, caller: Caller, record: ConnectionRecord, action: str, **details: str) -> None:
    key = key_of(record)
    await audit.record(
        work,
        caller,
        action,
        ("connection", f"{key.connector}.{key.name}"),
        {"id": record.id, "connector": record.connector, "name": record.name, **details},
    )
