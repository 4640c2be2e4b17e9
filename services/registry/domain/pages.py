"""Pages: as much of a list as fits one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

MAX_PAGE_BYTES: Final = 1024 * 1024

Row = TypeVar("Row", bound=BaseModel)


def fitting(found: Sequence[Row], limit: int) -> tuple[list[Row], bool]:
    """At most `limit` rows and `MAX_PAGE_BYTES`, at least one, and whether `found` holds more."""
    wanted = list(found[:limit])
    if len(to_json(wanted)) <= MAX_PAGE_BYTES:
        return wanted, len(found) > limit
    shown: list[Row] = []
    size = 0
    for row in wanted:
        size += len(row.model_dump_json())
        if shown and size > MAX_PAGE_BYTES:
            break
        shown.append(row)
    return shown, len(found) > len(shown)
