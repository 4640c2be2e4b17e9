"""Publications and evidence: the records that publishing is decided and resumed by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from shared.contracts.commands import ChecklistItem, Scope
from shared.contracts.errors import ErrorCode
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry

SCOPE_ITEM: Final = "scope"


class PublicationState(StrEnum):
    """How far a publication has come. The first two are open: at most one for each owner and slug."""

    RECORDED = "recorded"
    VERSION_ADDED = "version_added"
    PUBLISHED = "published"
    FAILED = "failed"


OPEN_STATES: Final = (PublicationState.RECORDED, PublicationState.VERSION_ADDED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a publication failed for good."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class Publication:
    """One document on its way into the catalogue; `base_version` is the version it was compared with.

    `entry` is the catalogue entry that the registry answered, from `VERSION_ADDED` on.
    """

    id: str
    owner: str
    slug: str
    scope: Scope
    digest: str
    version: str
    base_version: str | None
    revision: int
    actor: str
    notes: str
    request_id: str
    created_at: str
    state: PublicationState = PublicationState.RECORDED
    entry: CatalogueEntry | None = None
    refusal: Refusal | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def published_at(self) -> str:
        """When the registry took the version; empty before that."""
        versions = self.entry.versions if self.entry else []
        return next((row.published_at for row in versions if row.version == self.version), "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one operation, as it stood under `operation_digest`, fared when it was last run."""

    run_id: str
    owner: str
    slug: str
    operation: str
    operation_digest: str
    outcome: Literal["pass", "fail"]
    reason: str | None
    status_code: int | None
    duration_ms: float | None
    actor: str
    at: str


def scope_item(owner: str, scope: Scope) -> ChecklistItem:
    """Whether what `owner` drafts may be published to `scope` at all."""
    if owner == PLATFORM and scope == "enterprise":
        reason = (
            "A draft of the platform belongs to all enterprises and cannot be published to one alone. "
            "Publish it with scope 'catalogue', or save the draft as the enterprise's own."
        )
    elif owner != PLATFORM and scope == "catalogue":
        reason = (
            f"A draft of enterprise {owner!r} enters the catalogue only after a review by a Platform Admin, which "
            "this version does not offer. Publish it with scope 'enterprise', or have a Platform Admin save it as a "
            "draft of the platform."
        )
    else:
        return ChecklistItem(item=SCOPE_ITEM, passed=True, required=True)
    return ChecklistItem(item=SCOPE_ITEM, passed=False, required=True, reason=reason)
