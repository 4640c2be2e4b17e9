"""Retry-After (RFC 9110, 10.2.3): how long the external system asks to be left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """Milliseconds, from seconds or from a date; None where it says nothing usable.

    A date is read against the response's own Date, never against a clock of ours, which may be wrong.
    """
    text = headers.get("retry-after")
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text) * 1000
    until, now = _instant(text), _instant(headers.get("date", ""))
    if until is None or now is None:
        return None
    seconds = (until - now).total_seconds()
    return int(seconds * 1000) if seconds > 0 else None


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
