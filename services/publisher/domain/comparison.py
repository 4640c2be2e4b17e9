"""A comparison of two documents as an answer: as many changes as one reply holds, the breaking ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.publisher.domain.sentences import sentence
from services.publisher.domain.versioning import Change
from shared.contracts.commands import DocumentChange
from shared.contracts.template import canonical_json

MAX_VALUE_BYTES: Final = 2048
"""Longer values are abridged."""
MAX_CHANGES_BYTES: Final = 1024 * 1024


def listed(changes: Sequence[Change]) -> tuple[list[DocumentChange], int]:
    """The changes as they are told, and how many more there are than fit."""
    rows = list(_fitting(sorted(changes, key=lambda change: -change.bump)))
    return rows, len(changes) - len(rows)


def _fitting(changes: Sequence[Change]) -> Iterator[DocumentChange]:
    size = 0
    for change in changes:
        row = _told(change)
        size += len(row.model_dump_json())
        if size > MAX_CHANGES_BYTES:
            return
        yield row


def _told(change: Change) -> DocumentChange:
    before, after = _abridged(change.before), _abridged(change.after)
    return DocumentChange(
        path=change.path,
        kind=change.what,
        bump=change.bump.word,
        sentence=sentence(change),
        before=before,
        after=after,
        abridged=before is not change.before or after is not change.after,
    )


def _abridged(value: Any) -> Any:
    """The value, or the beginning of its JSON where that is long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = canonical_json(value)
    return value if len(text) <= MAX_VALUE_BYTES else text[:MAX_VALUE_BYTES].decode(errors="ignore") + "\u2026"
