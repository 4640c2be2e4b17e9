"""Test credentials: kept for the person who gave them, for hours, and opened by executors alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from services.registry.domain.connections import check_fields, check_origin, visible_fields
from services.registry.domain.templates import require_valid
from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.connections import use_key
from services.registry.handlers.connectors import suggestion
from services.registry.handlers.ports import Caller, Document, Store, TestCredentialsRecord, Work
from shared.contracts.clock import spelled, utc_now
from shared.contracts.commands import (
    DeleteTestCredentials,
    FetchTestCredentials,
    KeptTestCredentials,
    ListTestCredentials,
    SaveTestCredentials,
    TestCredentials,
    TestCredentialsDeleted,
    TestCredentialsList,
)
from shared.contracts.errors import DibopError
from shared.security.principals import Action

MOST_KEPT: Final = 100
"""So many a person may keep at once in an enterprise."""

log = structlog.get_logger("registry")


async def save(store: Store, caller: Caller, command: SaveTestCredentials) -> KeptTestCredentials:
    """Keep credentials for tests of the draft, in place of the caller's earlier ones for its connector and origin."""
    admit(caller, Action.TEST_DRAFT)
    async with store.read() as work:
        document = await _draft(work, caller, command.connector)
    template = await asyncio.to_thread(require_valid, command.connector, document)
    check_fields(template, command)
    check_origin(template, command)
    record = _record(caller, command)
    async with store.write() as work:
        await use_key(work, record.kid)
        kept = await work.test_credentials.of(caller.enterprise, caller.subject, connector=None, now=record.saved_at)
        if len(kept) >= MOST_KEPT:
            raise DibopError(
                "conflict",
                f"{caller.subject!r} keeps {len(kept)} test credentials already. Delete some, or wait until they "
                "expire.",
            )
        if not await work.test_credentials.save(record):
            raise DibopError(
                "already-exists",
                f"The test session {record.id} is taken. Seal the credentials for a new UUID and send them again.",
            )
        await _tell(work, caller, "test-credentials.save", record)
    log.info("test credentials kept", connector=record.connector, person=record.person, expires_at=record.expires_at)
    return _shown(record)


async def page(store: Store, caller: Caller, query: ListTestCredentials) -> TestCredentialsList:
    """The caller's own."""
    admit(caller, Action.TEST_DRAFT)
    async with store.read() as work:
        found = await work.test_credentials.of(
            caller.enterprise, caller.subject, connector=query.connector, now=utc_now()
        )
    return TestCredentialsList(credentials=[_shown(record) for record in found])


async def delete(store: Store, caller: Caller, command: DeleteTestCredentials) -> TestCredentialsDeleted:
    """Erase credentials that the caller keeps."""
    admit(caller, Action.TEST_DRAFT)
    now = utc_now()
    async with store.write() as work:
        record = await work.test_credentials.find(caller.enterprise, caller.subject, command.id, now=now)
        if record is None or not await work.test_credentials.delete(
            caller.enterprise, caller.subject, command.id, now=now
        ):
            raise _not_kept(caller.subject, command.id)
        await _tell(work, caller, "test-credentials.delete", record)
    return TestCredentialsDeleted(id=command.id)


async def fetch(store: Store, caller: Caller, query: FetchTestCredentials) -> TestCredentials:
    """What an executor opens for the test that `query.person` runs; for the publisher alone."""
    admit(caller, Action.FETCH_TEST_CREDENTIALS)
    async with store.read() as work:
        record = await work.test_credentials.find(caller.enterprise, query.person, query.id, now=utc_now())
    if record is None or record.connector != query.connector:
        raise _not_kept(query.person, query.id)
    return TestCredentials(
        id=record.id,
        origin=record.origin,
        kid=record.kid,
        values=dict(record.values),
        sealed=dict(record.sealed),
    )


async def sweep(store: Store) -> int:
    """Delete what has expired; the answer says how many."""
    async with store.write() as work:
        swept = await work.test_credentials.sweep(utc_now())
    if swept:
        log.info("expired test credentials deleted", count=swept)
    return swept


async def _draft(work: Work, caller: Caller, slug: str) -> Document:
    draft = await work.drafts.current(caller.enterprise, slug)
    document = await work.drafts.document(caller.enterprise, slug, draft.revision) if draft else None
    if document is None:
        raise DibopError(
            "not-found", f"{caller.enterprise!r} has no draft {slug!r}. {await suggestion(work, caller, slug)}"
        )
    return document


def _record(caller: Caller, command: SaveTestCredentials) -> TestCredentialsRecord:
    now = datetime.now(UTC)
    return TestCredentialsRecord(
        id=command.id,
        enterprise=caller.enterprise,
        person=caller.subject,
        connector=command.connector,
        origin=command.origin,
        kid=command.kid if command.sealed else "",
        values=command.values,
        sealed=command.sealed,
        masked=command.masked,
        saved_at=spelled(now),
        expires_at=spelled(now + timedelta(seconds=command.lifetime_seconds)),
    )


def _shown(record: TestCredentialsRecord) -> KeptTestCredentials:
    return KeptTestCredentials(
        id=record.id,
        connector=record.connector,
        origin=record.origin,
        fields=visible_fields(record.values, record.sealed, record.masked),
        saved_at=record.saved_at,
        expires_at=record.expires_at,
    )


def _not_kept(person: str, identifier: str) -> DibopError:
    return DibopError(
        "not-found",
        f"{person!r} keeps no test credentials {identifier}: they may have expired. List those that there are, or "
        "save them again.",
    )


async def _tell(work: Work, caller: Caller, action: str, record: TestCredentialsRecord) -> None:
    details = {"id": record.id, "origin": record.origin, "expires_at": record.expires_at}
    await audit.record(work, caller, action, ("test-credentials", record.connector), details)
