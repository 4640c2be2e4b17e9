"""Projections: what executors read, compared with the database that it follows from, and mended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.commands.base import Message

ProjectionPart = Literal["templates", "catalogue", "connections", "enterprises"]
Drift = Literal["missing", "stale", "ahead", "different", "damaged", "foreign"]
"""How an entry differs from the database: it is not there; of an earlier generation; of a later one, as after a backup
was restored; of this generation and not the same; unreadable; or there is nothing in the database that it tells of."""
ProjectionCursor = Annotated[str, StringConstraints(max_length=300)]


class CheckProjection(Message):
    """`projection.check`: compare the next `limit` entries of a part; `after` is `next_after` of the page before."""

    part: ProjectionPart
    after: ProjectionCursor | None = None
    limit: int = Field(200, ge=1, le=1000)


class RebuildProjection(CheckProjection):
    """`projection.rebuild`: the same, and have each entry that differs be as the database says."""


class ProjectionDifference(Message):
    """`key` as it stands in the bucket; of a template its digest."""

    key: str
    drift: Drift


class ProjectionPage(Message):
    """`looked_at` counts this page's entries, of which `differences` differ (or did, before they were mended)."""

    part: ProjectionPart
    looked_at: int
    differences: list[ProjectionDifference]
    mended: bool
    next_after: str | None
