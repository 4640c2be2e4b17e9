"""Instants as they stand in records and events."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Now, as ISO 8601 in UTC with milliseconds: `2026-01-31T09:05:00.123Z`."""
    return spelled(datetime.now(UTC))


def spelled(instant: datetime) -> str:
    """An instant with a time zone as records spell it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
