"""Connectors and their versions."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from shared.contracts.commands.base import ConnectorState, Digest, Message, Named, Scope, Slug, TemplateProblem, Token
from shared.contracts.lifecycle import LaterState
from shared.contracts.names import SLUG_PATTERN
from shared.contracts.projections import VersionState

VersionName = Annotated[str, StringConstraints(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")]
Successor = Annotated[str, StringConstraints(pattern=rf"{SLUG_PATTERN}|^\d{{1,6}}\.\d{{1,6}}\.\d{{1,6}}$")]
"""A version of the same connector, or the slug of another one."""
ConnectorSort = Literal["slug", "name", "type", "state", "changed"]


class ListConnectors(Message):
    """`connector.list`: the enterprise's own and, for an enterprise, the catalogue's.

    `search` are beginnings of words of slug, name, type, description and operations; all of them must be there.
    `after` is `next_after` of the page before.
    """

    search: str | None = Field(None, max_length=200)
    type: str | None = Field(None, max_length=200)
    state: ConnectorState | None = None
    sort: ConnectorSort = "slug"
    descending: bool = False
    limit: int = Field(100, ge=1, le=1000)
    after: str | None = Field(None, max_length=4096)


class ConnectorRow(Message):
    """`changed_at` is when what is shown here was saved or published."""

    slug: str
    owner: str
    name: str
    type: str
    state: ConnectorState
    draft_revision: int | None
    latest_version: str | None
    changed_at: str


class ConnectorPage(Message):
    """`next_after` is given while there is more."""

    connectors: list[ConnectorRow]
    next_after: str | None


class ShowConnector(Message):
    """`connector.show`: the enterprise's own, else the catalogue's."""

    slug: Slug


class DraftSummary(Message):
    revision: int
    digest: str
    errors: list[TemplateProblem]


class Deprecation(Message):
    """What takes a deprecated version's place, where that was said, and the day until which it can be counted on."""

    successor: str | None
    date: dt.date | None


class VersionSummary(Message):
    """`deprecation` is there for a deprecated version alone."""

    version: str
    state: VersionState
    digest: str
    scope: Scope
    published_at: str
    deprecation: Deprecation | None = None


class Connector(Message):
    """`draft` is null where there is none or the caller may not see it."""

    slug: str
    owner: str
    name: str
    type: str
    state: ConnectorState
    draft: DraftSummary | None
    versions: list[VersionSummary]
    latest_version: str | None


class DuplicateConnector(Message):
    """`connector.duplicate`: a new draft with the document of another connector that the caller sees.

    By default that of its draft, else of its latest version. `name` is the new one's; else it says that it is a copy.
    """

    slug: Slug
    new_slug: Slug
    version: Named | None = None
    name: str | None = Field(None, min_length=1, max_length=200)


class DeleteConnector(Message):
    """`connector.delete`: a draft that was never published, with its history."""

    slug: Slug
    base_revision: int = Field(ge=1)


class ConnectorDeleted(Message):
    slug: str
    owner: str


class GetVersion(Message):
    """`version.get`: a published document; the latest where `version` is absent."""

    slug: Slug
    version: Named | None = None


class Version(Message):
    """`revision` is the draft's revision that became this version."""

    slug: str
    owner: str
    version: str
    state: VersionState
    digest: str
    scope: Scope
    revision: int
    document: dict[str, Any]
    published_at: str
    notes: str


class AddVersion(Message):
    """`version.add`, by the publisher alone; repeating it with the same `publication_id` changes nothing more.

    `source` is the enterprise whose draft's `revision` it is, where the platform takes it over after a review.
    """

    publication_id: str = Field(min_length=1, max_length=64)
    slug: Slug
    version: VersionName
    digest: Digest
    scope: Scope
    revision: int
    source: Token | None = None
    actor: str
    notes: str = Field("", max_length=10_000)


class CatalogueVersionModel(Message):
    version: str
    digest: str
    state: VersionState
    published_at: str
    terms: str = ""


class CatalogueEntryModel(Message):
    """The whole catalogue entry as it must stand now (`shared.contracts.projections.CatalogueEntry`)."""

    key: str
    slug: str
    owner: str
    generation: int
    versions: list[CatalogueVersionModel]


class VersionAdded(CatalogueEntryModel):
    """The entry with the new version."""


class SetVersionState(Message):
    """`version.set-state`, by the publisher alone; repeating it with the same `move_id` changes nothing more.

    `successor` and `date` belong to a deprecation.
    """

    move_id: str = Field(min_length=1, max_length=64)
    slug: Slug
    versions: list[VersionName] = Field(min_length=1, max_length=10_000)
    state: LaterState
    successor: Successor | None = None
    date: dt.date | None = None
    actor: str
    notes: str = Field("", max_length=10_000)


class VersionStateSet(CatalogueEntryModel):
    """The entry with the versions in their new state. `state` is the connector's now."""

    state: ConnectorState
