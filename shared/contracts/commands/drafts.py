"""Drafts: saved and patched with revisions, restored, staged for tests."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.contracts.commands.base import Message, Slug, TemplateProblem
from shared.contracts.limits import MAX_REVISION


class SaveDraft(Message):
    """`draft.save`. `base_revision` is the revision the author started from; absent for a new draft.

    With `merge`, what others changed since is kept where the author did not change it too.
    """

    slug: Slug
    document: dict[str, Any]
    base_revision: int | None = Field(None, ge=1)
    merge: bool = False


class PatchDraft(Message):
    """`draft.patch`: a JSON Merge Patch (RFC 7396) of the document that the author started from.

    What others changed since is kept where the patch does not change it too. A list is replaced by the patch's, and
    merged by the names of operations and parameters.
    """

    slug: Slug
    patch: dict[str, Any]
    base_revision: int = Field(ge=1)


class DraftSaved(Message):
    """`revision` is unchanged, and `changed` false, where the document was the same as before.

    `merged` says that others had changed the draft meanwhile; `document` is then the whole as it stands now.
    """

    slug: str
    owner: str
    revision: int
    digest: str
    changed: bool
    merged: bool = False
    document: dict[str, Any] | None = None
    errors: list[TemplateProblem]
    warnings: list[TemplateProblem]


class GetDraft(Message):
    """`draft.get`: as it stands, or as it was at a revision."""

    slug: Slug
    revision: int | None = Field(None, ge=1, lt=MAX_REVISION)


class ListRevisions(Message):
    """`draft.history`: revisions, newest first; `before` is `next_before` of the page before."""

    slug: Slug
    limit: int = Field(100, ge=1, le=1000)
    before: int | None = Field(None, ge=1, le=MAX_REVISION)


class DraftRevision(Message):
    """`changed` names what differs from the revision before. `restored_from` is the revision whose document it is.

    `version` is what was published from it.
    """

    revision: int
    digest: str
    saved_by: str
    saved_at: str
    changed: list[str]
    restored_from: int | None
    version: str | None


class DraftHistory(Message):
    """`next_before` is given while there is more."""

    slug: str
    owner: str
    revisions: list[DraftRevision]
    next_before: int | None


class RestoreDraft(Message):
    """`draft.restore`: the document of an earlier revision, as the next one."""

    slug: Slug
    revision: int = Field(ge=1, lt=MAX_REVISION)
    base_revision: int = Field(ge=1)


class DiscardDraft(Message):
    """`draft.discard`: the document of the latest version, as the next revision."""

    slug: Slug
    base_revision: int = Field(ge=1)


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
