"""Drafts: saved with revisions, staged for tests."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.contracts.commands.base import Message, Slug, TemplateProblem


class SaveDraft(Message):
    """`draft.save`. `base_revision` is the revision the author started from; absent for a new draft."""

    slug: Slug
    document: dict[str, Any]
    base_revision: int | None = Field(None, ge=1)


class DraftSaved(Message):
    """`revision` is unchanged, and `changed` false, where the document was the same as before."""

    slug: str
    owner: str
    revision: int
    digest: str
    changed: bool
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]


class GetDraft(Message):
    """`draft.get`."""

    slug: Slug


class Draft(Message):
    slug: str
    owner: str
    revision: int
    digest: str
    document: dict[str, Any]
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]
    saved_by: str
    saved_at: str


class StageDraft(Message):
    """`draft.stage`: put a valid draft's document where executors can read it, under its digest."""

    slug: Slug


class StagedDraft(Message):
    """`operations` maps each operation to its digest, in the template's order."""

    slug: str
    owner: str
    revision: int
    digest: str
    document: dict[str, Any]
    operations: dict[str, str]
