"""The gate, and publishing."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.commands.base import Message, Scope, Slug


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
    """`connector.publish`: the draft as it stands becomes the next version."""

    slug: Slug
    scope: Scope
    notes: str = Field("", max_length=10_000)


class Published(Message):
    """`changed` is false where this very document was published already, as `version`."""

    slug: str
    owner: str
    scope: Scope
    version: str
    digest: str
    published_at: str
    changed: bool
