"""What a finished move tells: its events and its audit entry. Their ids follow from the move's, so none is doubled."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from services.publisher.domain.moves import Move, Release, Withdrawal
from services.publisher.handlers.ports import AuditRecord
from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit
from shared.contracts.events import Event
from shared.contracts.lifecycle import LaterState, best_state

_TOLD_AS: Final[Mapping[LaterState, str]] = {
    "deprecated": "version_deprecated",
    "unpublished": "unpublished",
    "retired": "retired",
}
_NAMED: Final = 100
"""How many versions an audit entry names."""


def events(move: Move) -> list[Event]:
    """One for the new version, or one for each version that was withdrawn."""
    match move.content:
        case Release() as release:
            return [_event(move, "version_published", move.id, _published(move, release))]
        case Withdrawal() as withdrawal:
            return [
                _event(
                    move,
                    _TOLD_AS[withdrawal.state],
                    str(uuid.uuid5(uuid.UUID(move.id), version)),
                    _withdrawn(move, withdrawal, version),
                )
                for version in withdrawal.versions
            ]


def audit(move: Move, *, failed_because: str | None = None) -> AuditRecord:
    """The entry of a move that is done, or of one that failed."""
    action = f"connector.{move.kind}" + ("-failed" if failed_because else "")
    details = {"move": move.id, **_details(move.content)}
    if failed_because:
        details["reason"] = failed_because
    return AuditRecord(
        move.owner,
        AppendAudit(
            id=str(uuid.uuid5(uuid.UUID(move.id), action)),
            at=utc_now(),
            actor=move.actor,
            action=action,
            noun="connector",
            identifier=move.slug,
            details=details,
            request_id=move.request_id,
        ),
    )


def _event(move: Move, what: str, identifier: str, data: Mapping[str, Any]) -> Event:
    common = {"slug": move.slug, "owner": move.owner}
    return Event(move.owner, "connector", move.slug, what, "publisher", {**common, **data}, id=identifier)


def _published(move: Move, release: Release) -> dict[str, Any]:
    return {
        "scope": release.scope,
        "version": release.version,
        "previous_version": release.base_version,
        "content_of": release.content_of,
        "digest": release.digest,
        "published_at": move.published_at,
        "published_by": move.actor,
        "reviewed_by": release.reviewed_by,
        "notes": move.notes,
    }


def _withdrawn(move: Move, withdrawal: Withdrawal, version: str) -> dict[str, Any]:
    named = {"successor": withdrawal.successor, "date": withdrawal.date} if withdrawal.state == "deprecated" else {}
    return {
        "version": version,
        **named,
        "connector_state": best_state(each.state for each in move.entry.versions) if move.entry else None,
        "moved_at": move.created_at,
        "moved_by": move.actor,
        "notes": move.notes,
    }


def _details(content: Release | Withdrawal) -> dict[str, Any]:
    match content:
        case Release() as release:
            named = {name: getattr(release, name) for name in ("content_of", "source", "reviewed_by")}
            said = {name: value for name, value in named.items() if value is not None}
            return {"version": release.version, "digest": release.digest, "scope": release.scope, **said}
        case Withdrawal(versions, state, successor, date):
            more = {"more": len(versions) - _NAMED} if len(versions) > _NAMED else {}
            named = {"successor": successor, "date": date} if state == "deprecated" else {}
            return {"versions": list(versions[:_NAMED]), **more, **named}
