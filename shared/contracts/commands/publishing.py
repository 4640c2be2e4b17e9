"""The gate, and publishing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from shared.contracts.commands.base import Message, Scope, Slug

BumpName = Literal["major", "minor", "patch"]
DRAFT = "draft"
"""Where a version is named: the draft as it stands."""
VersionOrDraft = Annotated[str, StringConstraints(pattern=r"^(draft|\d{1,6}\.\d{1,6}\.\d{1,6})$")]


class ShowChecklist(Message):
    """`connector.checklist`: the gate, item by item."""

    slug: Slug
    scope: Scope


class ChecklistItem(Message):
    """`path` is a JSON pointer to the place to mend, where there is one. What is only recommended never blocks."""

    item: str
    passed: bool
    required: bool
    reason: str | None = None
    path: str | None = None


class Checklist(Message):
    slug: str
    owner: str
    revision: int
    digest: str
    publishable: bool
    items: list[ChecklistItem]


class PublishConnector(Message):
    """`connector.publish`: the draft as it stands becomes the next version.

    `bump` asks for at least this bump; one that is smaller than what changed needs is refused.
    """

    slug: Slug
    scope: Scope
    notes: str = Field("", max_length=10_000)
    bump: BumpName | None = None


class Published(Message):
    """`changed` is false where this very document was published already, as `version`.

    Where a review comes first, `review` is its id, and there is no version yet.
    """

    slug: str
    owner: str
    scope: Scope
    version: str | None
    digest: str
    published_at: str | None
    changed: bool
    review: str | None = None


class DiffConnector(Message):
    """`connector.diff`: what changed between two documents of a connector.

    By default from the highest version to the draft.
    """

    slug: Slug
    before: VersionOrDraft | None = None
    after: VersionOrDraft = DRAFT


class ComparedDocument(Message):
    """`version` or, for the draft, `revision`."""

    version: str | None
    revision: int | None
    digest: str


class DocumentChange(Message):
    """`path` is a JSON pointer by names: `/operations/get_weather/parameters/units/default`.

    `before` and `after` are what stands there, null where nothing does; where `abridged`, a long one is the
    beginning of its JSON as text.
    """

    path: str
    kind: str
    bump: BumpName
    sentence: str
    before: Any = None
    after: Any = None
    abridged: bool = False


class Difference(Message):
    """Changes in the order of their bumps, the breaking ones first; `more` are not listed.

    `bump` is null where both are the same document. `next_version` is given where the draft is compared with
    the highest version: what publishing it now would make.
    """

    slug: str
    owner: str
    before: ComparedDocument
    after: ComparedDocument
    bump: BumpName | None
    next_version: str | None
    changes: list[DocumentChange]
    more: int
