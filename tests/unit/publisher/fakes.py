"""Small honest stand-ins for what the publisher's use cases are given."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.publisher.domain.publications import Evidence, Publication, PublicationState, Refusal
from services.publisher.handlers.ports import AuditRecord, Caller, Ports
from shared.contracts.commands import (
    AddVersion,
    CatalogueVersionModel,
    Connector,
    Draft,
    FetchTestCredentials,
    StagedDraft,
    TestCredentials,
    Version,
    VersionAdded,
    VersionSummary,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.execution import DraftExecutionRequest, ExecutionReply
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry
from shared.contracts.template import check, document_digest, operation_digests
from shared.security.principals import Principal, Role

AT = "2026-01-31T09:05:00.123Z"
ADMIN = Principal("ada", "acme", frozenset({Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK}))
VIEWER = Principal("vic", "acme", frozenset({Role.VIEWER}))


def caller(enterprise: str = PLATFORM, principal: Principal = ADMIN) -> Caller:
    return Caller(principal, enterprise, "request-1")


def reply(**values: Any) -> ExecutionReply:
    """A passing reply, with other `values`."""
    passing: dict[str, Any] = {
        "request_id": "r",
        "connector": "weather",
        "version": "draft",
        "operation": "get_weather",
        "connection": None,
        "status_code": 200,
        "headers": {},
        "response": {"name": "London"},
        "response_encoding": "json",
        "duration_ms": 12.5,
        "attempts": [],
        "schema_valid": True,
    }
    return ExecutionReply(**{**passing, **values})


@dataclass
class FakeRegistry:
    """Drafts by (owner, slug), and versions by the same, added as the registry adds them."""

    drafts: dict[tuple[str, str], tuple[int, dict[str, Any]]] = field(default_factory=dict)
    versions: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    by_publication: dict[str, AddVersion] = field(default_factory=dict)
    audit: dict[str, AuditRecord] = field(default_factory=dict)
    kept: dict[tuple[str, str, str, str], TestCredentials] = field(default_factory=dict)
    """Test credentials by enterprise, person, connector and id."""
    failures: list[Exception] = field(default_factory=list)
    """Raised, one for each further `add_version` or `append_audit`."""

    def save(self, document: Mapping[str, Any], owner: str = PLATFORM, slug: str = "weather") -> None:
        revision = self.drafts[owner, slug][0] + 1 if (owner, slug) in self.drafts else 1
        self.drafts[owner, slug] = (revision, copy.deepcopy(dict(document)))

    async def test_credentials(
        self, enterprise: str, query: FetchTestCredentials, *, request_id: str
    ) -> TestCredentials:
        kept = self.kept.get((enterprise, query.person, query.connector, query.id))
        if kept is None:
            raise DibopError("not-found", f"{query.person!r} keeps no test credentials {query.id}.")
        return kept

    async def draft(self, enterprise: str, slug: str, *, request_id: str) -> Draft:
        revision, document = self._found(enterprise, slug)
        report = check(document)
        return Draft(
            slug=slug,
            owner=enterprise,
            revision=revision,
            digest=document_digest(document),
            document=document,
            errors=[{"path": p.path, "problem": p.problem, "mend": p.mend} for p in report.errors],
            warnings=[],
            saved_by="ada",
            saved_at=AT,
        )

    async def stage(self, enterprise: str, slug: str, *, request_id: str) -> StagedDraft:
        revision, document = self._found(enterprise, slug)
        template = check(document).template
        assert template is not None
        return StagedDraft(
            slug=slug,
            owner=enterprise,
            revision=revision,
            digest=document_digest(document),
            document=document,
            operations=operation_digests(template),
        )

    async def connector(self, enterprise: str, slug: str, *, request_id: str) -> Connector:
        for owner in (enterprise, PLATFORM):
            versions = self.versions.get((owner, slug), [])
            if versions or (owner, slug) in self.drafts:
                return Connector(
                    slug=slug,
                    owner=owner,
                    name=slug,
                    type="General",
                    state="published" if versions else "draft",
                    draft=None,
                    versions=[
                        VersionSummary(
                            version=v.version,
                            state=v.state,
                            digest=v.digest,
                            scope=v.scope,
                            published_at=v.published_at,
                        )
                        for v in versions
                    ],
                    latest_version=versions[-1].version if versions else None,
                )
        raise DibopError("not-found", f"no connector {slug}")

    async def version(self, enterprise: str, slug: str, version: str, *, request_id: str) -> Version:
        return next(v for v in self.versions[enterprise, slug] if v.version == version)

    async def add_version(self, enterprise: str, command: AddVersion, *, request_id: str) -> VersionAdded:
        if self.failures:
            raise self.failures.pop(0)
        versions = self.versions.setdefault((enterprise, command.slug), [])
        if command.publication_id not in self.by_publication:
            if any(v.version == command.version for v in versions):
                raise DibopError("conflict", f"version {command.version} is there")
            self.by_publication[command.publication_id] = command
            versions.append(
                Version(
                    slug=command.slug,
                    owner=enterprise,
                    version=command.version,
                    state="published",
                    digest=command.digest,
                    scope=command.scope,
                    revision=command.revision,
                    document=self._found(enterprise, command.slug)[1],
                    published_at=AT,
                    notes=command.notes,
                )
            )
        return VersionAdded(
            key=f"{enterprise}.{command.slug}",
            slug=command.slug,
            owner=enterprise,
            generation=len(versions),
            versions=[
                CatalogueVersionModel(version=v.version, digest=v.digest, state=v.state, published_at=v.published_at)
                for v in versions
            ],
        )

    async def append_audit(self, record: AuditRecord) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.audit.setdefault(record.entry.id, record)

    def _found(self, owner: str, slug: str) -> tuple[int, dict[str, Any]]:
        if (owner, slug) not in self.drafts:
            raise DibopError("not-found", f"no draft {slug}")
        return self.drafts[owner, slug]


@dataclass
class FakeExecutors:
    """Answers each operation with what `replies` has for it, else with a passing reply."""

    replies: dict[str, ExecutionReply | DibopError] = field(default_factory=dict)
    requests: list[tuple[str, str, DraftExecutionRequest]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    async def execute(
        self,
        enterprise: str,
        slug: str,
        operation: str,
        request: DraftExecutionRequest,
        *,
        deadline_seconds: float,
        request_id: str,
    ) -> ExecutionReply:
        self.requests.append((enterprise, operation, request))
        self.deadlines.append(deadline_seconds)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        answer = self.replies.get(operation) or reply(operation=operation)
        if isinstance(answer, DibopError):
            raise answer
        return answer


@dataclass
class FakeCatalogue:
    entries: dict[str, CatalogueEntry] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    async def put(self, entry: CatalogueEntry) -> None:
        if self.failures:
            raise self.failures.pop(0)
        key = f"{entry.owner}.{entry.slug}"
        if key not in self.entries or self.entries[key].generation < entry.generation:
            self.entries[key] = entry


@dataclass
class FakeStore:
    """The store's promises over dictionaries."""

    evidence: list[Evidence] = field(default_factory=list)
    publications: dict[str, Publication] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)

    async def record_test(self, evidence: Sequence[Evidence], event: Event, audit: AuditRecord) -> None:
        self.evidence.extend(evidence)
        self.events.append(event)
        self.audit.append(audit)

    async def latest_evidence(self, owner: str, slug: str, digests: Iterable[str]) -> Mapping[str, Evidence]:
        wanted = set(digests)
        return {
            e.operation_digest: e
            for e in self.evidence
            if (e.owner, e.slug) == (owner, slug) and e.operation_digest in wanted
        }

    async def record_publication(self, publication: Publication) -> bool:
        for other in self.publications.values():
            if (other.owner, other.slug) != (publication.owner, publication.slug):
                continue
            follows = other.state is PublicationState.PUBLISHED and other.base_version == publication.base_version
            if other.is_open or follows:
                return False
        self.publications[publication.id] = publication
        return True

    async def publication(self, identifier: str) -> Publication:
        return self.publications[identifier]

    async def open_publication(self, owner: str, slug: str) -> Publication | None:
        return next((p for p in self.publications.values() if p.is_open and (p.owner, p.slug) == (owner, slug)), None)

    async def open_publications(self) -> Sequence[Publication]:
        return [p for p in self.publications.values() if p.is_open]

    async def note_version_added(self, identifier: str, entry: CatalogueEntry) -> None:
        self._move(identifier, PublicationState.RECORDED, PublicationState.VERSION_ADDED, entry=entry)

    async def finish_publication(self, identifier: str, event: Event, audit: AuditRecord) -> None:
        if self._move(identifier, PublicationState.VERSION_ADDED, PublicationState.PUBLISHED):
            self.events.append(event)
            self.audit.append(audit)

    async def fail_publication(self, identifier: str, refusal: Refusal, audit: AuditRecord) -> None:
        if self._move(identifier, PublicationState.RECORDED, PublicationState.FAILED, refusal=refusal):
            self.audit.append(audit)

    async def waiting_audit(self, limit: int) -> Sequence[AuditRecord]:
        return self.audit[:limit]

    async def audit_taken(self, entry_id: str) -> None:
        self.audit = [record for record in self.audit if record.entry.id != entry_id]

    def told(self, what: str) -> list[Event]:
        return [event for event in self.events if event.what == what]

    def _move(self, identifier: str, before: PublicationState, after: PublicationState, **values: Any) -> bool:
        if self.publications[identifier].state is not before:
            return False
        self.publications[identifier] = replace(self.publications[identifier], state=after, **values)
        return True


@dataclass
class World:
    """All of it together."""

    store: FakeStore = field(default_factory=FakeStore)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    executors: FakeExecutors = field(default_factory=FakeExecutors)
    catalogue: FakeCatalogue = field(default_factory=FakeCatalogue)

    @property
    def ports(self) -> Ports:
        return Ports(self.store, self.registry, self.executors, self.catalogue)

    def all_tested(self, owner: str = PLATFORM, slug: str = "weather", **changed: Any) -> None:
        """Give every operation of the draft as it stands evidence of a pass, or of `changed`."""
        template = check(self.registry.drafts[owner, slug][1]).template
        assert template is not None
        passed: dict[str, Any] = {"outcome": "pass", "reason": None, "status_code": 200, "duration_ms": 1.0}
        for operation, digest in operation_digests(template).items():
            self.store.evidence.append(
                Evidence(
                    run_id="run-1",
                    owner=owner,
                    slug=slug,
                    operation=operation,
                    operation_digest=digest,
                    actor="ada",
                    at=AT,
                    **{**passed, **changed},
                )
            )
