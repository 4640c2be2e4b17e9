"""What is asked of the call log, read from a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.contracts.commands import ListCalls
from shared.contracts.errors import DibopError

_SEPARATOR: Final = "."


@dataclass(frozen=True, slots=True)
class Question:
    """`status` is the lowest and the highest that fits; times are Unix milliseconds.

    `after` is time and id of the last call of the page before.
    """

    connector: str | None
    operation: str | None
    connection: str | None
    request_id: str | None
    outcome: str | None
    status: tuple[int, int] | None
    since_ms: int | None
    until_ms: int | None
    after: tuple[int, str] | None


def read_question(query: ListCalls) -> Question:
    """`invalid-request` for times that are none, and for what is no page's end."""
    return Question(
        connector=query.connector,
        operation=query.operation,
        connection=query.connection,
        request_id=query.request_id,
        outcome=query.outcome,
        status=None if query.status is None else _statuses(query.status),
        since_ms=_instant("since", query.since),
        until_ms=_instant("until", query.until),
        after=None if query.after is None else _place(query.after),
    )


def place(started_ms: int, identifier: str) -> str:
    """Where a page ends, for `ListCalls.after`."""
    return f"{started_ms}{_SEPARATOR}{identifier}"


def _place(text: str) -> tuple[int, str]:
    started, _, identifier = text.partition(_SEPARATOR)
    if not (started.isascii() and started.isdigit() and len(started) <= 15 and identifier):
        raise DibopError("invalid-request", f"after: {text[:80]!r} is no page's next_after. Begin without one.")
    return int(started), identifier


def _statuses(text: str) -> tuple[int, int]:
    if text.endswith("xx"):
        lowest = int(text[0]) * 100
        return lowest, lowest + 99
    return int(text), int(text)


def _instant(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise DibopError(
            "invalid-request",
            f"{name}: {text[:40]!r} is no time. Give ISO 8601 with a time zone, as 2026-01-31T09:05:00Z.",
        )
    return int(instant.timestamp() * 1000)
