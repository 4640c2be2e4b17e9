"""Commands and queries of registry and publisher, and what comes back.

They go to `<plane>.v1.<enterprise>.<noun>.<verb>`. The enterprise is the subject's, the person is the
Authorization header's. Bodies are JSON objects; unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.names import SLUG_PATTERN, TOKEN_PATTERN
from shared.contracts.projections import VersionState

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
Token = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Scope = Literal["catalogue", "enterprise"]
ConnectorState = Literal["draft", "published", "deprecated", "unpublished", "retired"]


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplateProblem(Message):
    """One thing wrong with a template; `path` is a JSON pointer into the document."""

    path: str
    problem: str
    mend: str


# ---- registry: drafts ----------------------------------------------------------------------------


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


# ---- registry: connectors and versions -----------------------------------------------------------


class ListConnectors(Message):
    """`connector.list`: the enterprise's own and, for an enterprise, the catalogue's; `after` is a slug."""

    search: str | None = Field(None, max_length=200)
    limit: int = Field(100, ge=1, le=1000)
    after: str | None = None


class ConnectorRow(Message):
    slug: str
    owner: str
    name: str
    type: str
    state: ConnectorState
    draft_revision: int | None
    latest_version: str | None


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


class VersionSummary(Message):
    version: str
    state: VersionState
    digest: str
    scope: Scope
    published_at: str


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


class GetVersion(Message):
    """`version.get`: a published document; the latest where `version` is absent."""

    slug: Slug
    version: str | None = None


class Version(Message):
    slug: str
    owner: str
    version: str
    state: VersionState
    digest: str
    scope: Scope
    document: dict[str, Any]
    published_at: str


class AddVersion(Message):
    """`version.add`, by the publisher alone; repeating it with the same `publication_id` changes nothing more."""

    publication_id: str = Field(min_length=1, max_length=64)
    slug: Slug
    version: str = Field(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")
    digest: Digest
    scope: Scope
    revision: int
    actor: str
    notes: str = Field("", max_length=10_000)


class CatalogueVersionModel(Message):
    version: str
    digest: str
    state: VersionState
    published_at: str


class VersionAdded(Message):
    """The whole catalogue entry as it must stand now (`shared.contracts.projections.CatalogueEntry`)."""

    key: str
    slug: str
    owner: str
    generation: int
    versions: list[CatalogueVersionModel]


# ---- registry: connections -----------------------------------------------------------------------


class CreateConnection(Message):
    """`connection.create`. `id` is the UUID that the sealing side made; `sealed` values are base64."""

    connector: Slug
    name: Token = "default"
    id: str = Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    owner: Token
    origin: str = Field("", max_length=300)
    kid: str = Field("", max_length=64)
    values: dict[Token, Annotated[str, StringConstraints(max_length=4096)]] = Field(default_factory=dict)
    sealed: dict[Token, Annotated[str, StringConstraints(max_length=32_768)]] = Field(default_factory=dict)
    masked: dict[Token, Annotated[str, StringConstraints(max_length=4)]] = Field(default_factory=dict)
    version_policy: str = Field("^1", pattern=r"^(\^\d{1,6}|\d{1,6}\.\d{1,6}\.\d{1,6})$")


class Connection(Message):
    """A connection as people see it: sensitive fields only as masked tails (`fields`: name to what may be shown)."""

    id: str
    enterprise: str
    connector: str
    owner: str
    name: str
    version_policy: str
    origin: str
    fields: dict[str, str]
    created_by: str
    created_at: str


class ListConnections(Message):
    """`connection.list`."""

    connector: Slug | None = None
    limit: int = Field(100, ge=1, le=1000)
    after: str | None = None


class ConnectionPage(Message):
    connections: list[Connection]
    next_after: str | None


class DeleteConnection(Message):
    """`connection.delete`."""

    connector: Slug
    name: Token = "default"


class ConnectionDeleted(Message):
    id: str
    connector: str
    name: str


# ---- registry: audit -----------------------------------------------------------------------------


class ListAudit(Message):
    """`audit.list`: newest first; `before` is an entry's id, for paging."""

    limit: int = Field(50, ge=1, le=1000)
    before: int | None = None
    noun: Token | None = None
    identifier: str | None = Field(None, max_length=200)


class AuditEntry(Message):
    id: int
    at: str
    actor: str
    enterprise: str
    action: str
    noun: str
    identifier: str
    details: dict[str, Any]
    request_id: str


class AuditPage(Message):
    entries: list[AuditEntry]
    next_before: int | None


class AppendAudit(Message):
    """`audit.append`, by services: `id` makes a repeat harmless."""

    id: str = Field(min_length=1, max_length=64)
    at: str
    actor: str
    action: str
    noun: Token
    identifier: str
    details: dict[str, Any] = Field(default_factory=dict)
    request_id: str = ""


class AuditAppended(Message):
    appended: bool


# ---- publisher -----------------------------------------------------------------------------------


class TestCredentials(Message):
    """Test credentials, sealed for the use `test`; `id` is the test session's UUID."""

    id: str = Field(max_length=64)
    origin: str = Field(max_length=300)
    kid: str = Field(max_length=64)
    values: dict[Token, str] = Field(default_factory=dict)
    sealed: dict[Token, str] = Field(default_factory=dict)


class PlanTest(Message):
    """`test.plan`: which operations a test would run. Without names: all idempotent ones."""

    slug: Slug
    operations: list[str] | None = None


class PlannedOperation(Message):
    operation: str
    runs: bool
    reason: str | None = None


class TestPlan(Message):
    slug: str
    owner: str
    revision: int
    digest: str
    operations: list[PlannedOperation]


class RunTest(Message):
    """`test.run`: run operations of the draft with their sample values, or with `parameters` for each.

    `timeout` bounds one attempt, in seconds.
    """

    slug: Slug
    operations: list[str] | None = None
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    credentials: TestCredentials | None = None
    timeout: float | None = Field(None, gt=0, le=300)


class TestedOperation(Message):
    """How one operation fared. `reason` is given for fail and skip."""

    operation: str
    outcome: Literal["pass", "fail", "skip"]
    reason: str | None
    status_code: int | None = None
    duration_ms: float | None = None
    schema_valid: bool | None = None
    schema_errors: list[dict[str, Any]] = Field(default_factory=list)
    error: dict[str, Any] | None = None


class TestReport(Message):
    run_id: str
    slug: str
    owner: str
    revision: int
    digest: str
    operations: list[TestedOperation]


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
