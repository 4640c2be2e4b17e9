"""The store of the use cases: each method is one transaction, with the events and audit entries of its change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.publisher.domain.evidence import Evidence
from services.publisher.domain.moves import OPEN_STATES, Move, MoveKind, MoveState, Refusal, Release, Withdrawal
from services.publisher.domain.reviews import Comment, Decision, Review
from services.publisher.handlers.ports import AuditRecord
from services.publisher.store import reviews
from services.publisher.store.auditing import queue_audit
from services.publisher.store.tables import audit_queue, evidence, moves
from shared.contracts.commands import AppendAudit, ListReviews
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry
from shared.persistence.engine import Database
from shared.persistence.outbox import enqueue
from shared.persistence.tenancy import across_tenants

_OPEN: Final = [state.value for state in OPEN_STATES]
_RELEASES: Final = (MoveKind.PUBLISH.value, MoveKind.ROLLBACK.value)
_DIGESTS_AT_ONCE: Final = 500
"""Below the number of bound values that either database takes in one statement."""


class _OvertakenError(Exception):
    """Rolls back a move whose version was made meanwhile."""


class SqlStore:
    """The publisher's records in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest_evidence(self, owner: str, slug: str, digests: Iterable[str]) -> Mapping[str, Evidence]:
        wanted = list(dict.fromkeys(digests))
        found: dict[str, Evidence] = {}
        async with self._database.read() as connection:
            for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
                part = wanted[start : start + _DIGESTS_AT_ONCE]
                rows = await connection.execute(_latest_evidence(owner, slug, part))
                found.update((row["operation_digest"], Evidence(**row)) for row in rows.mappings())
        return found

    async def record_move(self, move: Move) -> bool:
        """The unique index holds back a second open one; the query sees one that came and went meanwhile."""
        try:
            async with self._database.write() as connection:
                await _record(connection, move)
        except (IntegrityError, _OvertakenError):
            return False
        return True

    async def move(self, identifier: str) -> Move:
        async with self._database.read() as connection:
            row = await connection.execute(across_tenants(sa.select(moves).where(moves.c.id == identifier)))
            return _from_row(row.mappings().one())

    async def open_move(self, owner: str, slug: str) -> Move | None:
        found = await self._moves(_open().where(moves.c.owner == owner, moves.c.slug == slug))
        return found[0] if found else None

    async def open_moves(self) -> Sequence[Move]:
        return await self._moves(across_tenants(_open()))

    async def note_applied(self, identifier: str, entry: CatalogueEntry) -> None:
        noted = msgspec.json.encode(entry).decode()
        async with self._database.write() as connection:
            await _advance(connection, identifier, MoveState.RECORDED, MoveState.APPLIED, entry=noted)

    async def finish_move(self, identifier: str, events: Sequence[Event], audit: AuditRecord) -> None:
        async with self._database.write() as connection:
            if await _advance(connection, identifier, MoveState.APPLIED, MoveState.DONE):
                for event in events:
                    await enqueue(connection, event)
                await queue_audit(connection, audit)

    async def fail_move(self, identifier: str, refusal: Refusal, audit: AuditRecord) -> None:
        why = {"refusal_code": refusal.code, "refusal_detail": refusal.detail}
        async with self._database.write() as connection:
            if await _advance(connection, identifier, MoveState.RECORDED, MoveState.FAILED, **why):
                await queue_audit(connection, audit)

    async def open_review(self, review: Review, event: Event, audit: AuditRecord) -> Review:
        while True:
            try:
                return await self._open_review(review, event, audit)
            except IntegrityError:  # another one was opened meanwhile: look at that
                continue

    async def _open_review(self, review: Review, event: Event, audit: AuditRecord) -> Review:
        async with self._database.write() as connection:
            present = await reviews.opened(connection, review.owner, review.slug)
            if present is not None and (present.digest, present.scope) == (review.digest, review.scope):
                return present
            if present is not None:
                await reviews.supersede(connection, present)
            await reviews.add(connection, review)
            await enqueue(connection, event)
            await queue_audit(connection, audit)
        return review

    async def review(self, identifier: str, owner: str | None) -> Review | None:
        async with self._database.read() as connection:
            return await reviews.find(connection, identifier, owner)

    async def reviews(self, owner: str | None, query: ListReviews) -> Sequence[Review]:
        async with self._database.read() as connection:
            return await reviews.page(connection, owner, query)

    async def comments(self, owner: str, review: str) -> Sequence[Comment]:
        async with self._database.read() as connection:
            return await reviews.comments(connection, owner, review)

    async def add_comment(self, owner: str, review: str, comment: Comment, audit: AuditRecord) -> int:
        async with self._database.write() as connection:
            await reviews.add_comment(connection, owner, review, comment)
            await queue_audit(connection, audit)
            return len(await reviews.comments(connection, owner, review))

    async def decide_review(
        self, review: Review, decision: Decision, event: Event, audit: AuditRecord, *, move: Move | None
    ) -> bool:
        try:
            async with self._database.write() as connection:
                if not await reviews.decide(connection, review, decision, move.id if move else None):
                    return False
                if move is not None:
                    await _record(connection, move)
                await enqueue(connection, event)
                await queue_audit(connection, audit)
        except (IntegrityError, _OvertakenError):
            return False
        return True

    async def waiting_audit(self, limit: int) -> Sequence[AuditRecord]:
        async with self._database.read() as connection:
            query = across_tenants(sa.select(audit_queue).order_by(audit_queue.c.id).limit(limit))
            rows = await connection.execute(query)
            return [AuditRecord(row.enterprise, AppendAudit.model_validate_json(row.entry)) for row in rows]

    async def audit_taken(self, entry_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(across_tenants(audit_queue.delete().where(audit_queue.c.entry_id == entry_id)))

    async def _moves(self, query: sa.Select[Any]) -> list[Move]:
        async with self._database.read() as connection:
            return [_from_row(row) for row in (await connection.execute(query)).mappings()]


def _open() -> sa.Select[Any]:
    return sa.select(moves).where(moves.c.state.in_(_OPEN)).order_by(moves.c.created_at, moves.c.id)


async def _record(connection: AsyncConnection, move: Move) -> None:
    await connection.execute(moves.insert().values(_to_row(move)))
    if isinstance(move.content, Release):
        await _require_no_follower(connection, move, move.content)


async def _require_no_follower(connection: AsyncConnection, move: Move, release: Release) -> None:
    followers = await connection.execute(
        sa.select(moves.c.id).where(
            moves.c.owner == move.owner,
            moves.c.slug == move.slug,
            moves.c.kind.in_(_RELEASES),
            moves.c.state == MoveState.DONE.value,
            moves.c.base_version.is_not_distinct_from(release.base_version),
        )
    )
    if followers.first() is not None:
        raise _OvertakenError


async def _advance(
    connection: AsyncConnection, identifier: str, before: MoveState, after: MoveState, **values: Any
) -> bool:
    """Bring a move on; False where it does not stand in `before` any more, and nothing is changed."""
    advancing = moves.update().where(moves.c.id == identifier, moves.c.state == before.value)
    advanced = await connection.execute(across_tenants(advancing.values(state=after.value, **values)))
    return advanced.rowcount == 1


def _latest_evidence(owner: str, slug: str, digests: Sequence[str]) -> sa.Select[Any]:
    last = (
        sa.select(sa.func.max(evidence.c.id))
        .where(evidence.c.owner == owner, evidence.c.slug == slug, evidence.c.operation_digest.in_(digests))
        .group_by(evidence.c.operation_digest)
    )
    columns = [column for column in evidence.c if column.name != "id"]
    return sa.select(*columns).where(evidence.c.owner == owner, evidence.c.id.in_(last))


def _to_row(move: Move) -> dict[str, Any]:
    return {
        "id": move.id,
        "kind": move.kind.value,
        "owner": move.owner,
        "slug": move.slug,
        "base_version": move.content.base_version if isinstance(move.content, Release) else None,
        "content": msgspec.json.encode(move.content).decode(),
        "actor": move.actor,
        "notes": move.notes,
        "request_id": move.request_id,
        "created_at": move.created_at,
        "state": move.state.value,
    }


def _from_row(row: Mapping[Any, Any]) -> Move:
    content: type[Release | Withdrawal] = Release if row["kind"] in _RELEASES else Withdrawal
    code = row["refusal_code"]
    return Move(
        id=row["id"],
        kind=MoveKind(row["kind"]),
        owner=row["owner"],
        slug=row["slug"],
        content=msgspec.json.decode(row["content"], type=content),
        actor=row["actor"],
        notes=row["notes"],
        request_id=row["request_id"],
        created_at=row["created_at"],
        state=MoveState(row["state"]),
        entry=msgspec.json.decode(row["entry"], type=CatalogueEntry) if row["entry"] else None,
        refusal=Refusal(code, row["refusal_detail"]) if code else None,
    )
