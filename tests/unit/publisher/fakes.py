"""Small honest stand-ins for what the publisher's use cases are given."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.publisher.domain.evidence import Evidence
from services.publisher.domain.moves import Move, MoveState, Refusal, Release
from services.publisher.domain.reviews import Comment, Decision, Review
from services.publisher.domain.runs import Run
from services.publisher.handlers.ports import AuditRecord, Caller, Ending, Ports
from shared.contracts.commands import (
    AddVersion,
    CatalogueVersionModel,
    Connector,
    Deprecation,
    Draft,
    DraftSummary,
    Exchange,
    FetchTestCredentials,
    ListReviews,
    ListTests,
    Probed,
    ProbeDraft,
    ProbeStep,
    ProbeStepName,
    SetVersionState,
    StagedDraft,
    TestCredentials,
    TestStep,
    Version,
    VersionAdded,
    VersionStateSet,
    VersionSummary,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.execution import DraftExecutionReply, DraftExecutionRequest
from shared.contracts.lifecycle import best_state, require_may_become
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry
from shared.contracts.template import check, document_digest, operation_digests
from shared.security.principals import Principal, Role

AT = "2026-01-31T09:05:00.123Z"
ADMIN = Principal("ada", "acme", frozenset({Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK}))
VIEWER = Principal("vic", "acme", frozenset({Role.VIEWER}))


def caller(enterprise: str = PLATFORM, principal: Principal = ADMIN) -> Caller:
    return Caller(principal, enterprise, "request-1")


def reply(**values: Any) -> DraftExecutionReply:
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
    return DraftExecutionReply(**{**passing, **values})


def probed(outcome: Any = "online", **steps: tuple[Any, str | None]) -> Probed:
    """What a probe finds: every step passes, but for those that are given with outcome and reason."""
    names: tuple[ProbeStepName, ...] = ("dns", "tcp", "tls", "http", "auth")
    found = [(name, *steps.get(name, ("pass", None))) for name in names]
    made = [ProbeStep(step=name, outcome=what, reason=why, duration_ms=1.5) for name, what, why in found]
    return Probed(outcome=outcome, steps=made, duration_ms=8.0)


@dataclass
class FakeRegistry:
    """Drafts by (owner, slug), and versions by the same, added as the registry adds them."""

    drafts: dict[tuple[str, str], tuple[int, dict[str, Any]]] = field(default_factory=dict)
    revisions: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)
    versions: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    deprecations: dict[tuple[str, str, str], Deprecation] = field(default_factory=dict)
    done: dict[str, AddVersion | SetVersionState] = field(default_factory=dict)
    """What was commanded, by the id of its move."""
    audit: dict[str, AuditRecord] = field(default_factory=dict)
    kept: dict[tuple[str, str, str, str], TestCredentials] = field(default_factory=dict)
    """Test credentials by enterprise, person, connector and id."""
    failures: list[Exception] = field(default_factory=list)
    """Raised, one for each further `add_version` or `append_audit`."""

    def save(self, document: Mapping[str, Any], owner: str = PLATFORM, slug: str = "weather") -> None:
        revision = self.drafts[owner, slug][0] + 1 if (owner, slug) in self.drafts else 1
        self.drafts[owner, slug] = (revision, copy.deepcopy(dict(document)))
        self.revisions[owner, slug, revision] = self.drafts[owner, slug][1]

    async def test_credentials(
        self, enterprise: str, query: FetchTestCredentials, *, request_id: str
    ) -> TestCredentials:
        kept = self.kept.get((enterprise, query.person, query.connector, query.id))
        if kept is None:
            raise DibopError("not-found", f"{query.person!r} keeps no test credentials {query.id}.")
        return kept

    async def draft(self, enterprise: str, slug: str, *, revision: int | None = None, request_id: str) -> Draft:
        current, document = self._found(enterprise, slug)
        if revision is not None:
            document = self.revisions[enterprise, slug, revision]
        report = check(document)
        return Draft(
            slug=slug,
            owner=enterprise,
            revision=revision or current,
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
                    state=best_state(v.state for v in versions) or "draft",
                    draft=self._draft_summary(owner, slug),
                    versions=[
                        VersionSummary(
                            version=v.version,
                            state=v.state,
                            digest=v.digest,
                            scope=v.scope,
                            published_at=v.published_at,
                            deprecation=self.deprecations.get((owner, slug, v.version)),
                        )
                        for v in versions
                    ],
                    latest_version=versions[-1].version if versions else None,
                )
        raise DibopError("not-found", f"no connector {slug}")

    def _draft_summary(self, owner: str, slug: str) -> DraftSummary | None:
        if (owner, slug) not in self.drafts:
            return None
        revision, document = self.drafts[owner, slug]
        return DraftSummary(revision=revision, digest=document_digest(document), errors=[])

    async def version(self, enterprise: str, slug: str, version: str, *, request_id: str) -> Version:
        return next(v for v in self.versions[enterprise, slug] if v.version == version)

    async def add_version(self, enterprise: str, command: AddVersion, *, request_id: str) -> VersionAdded:
        if self.failures:
            raise self.failures.pop(0)
        versions = self.versions.setdefault((enterprise, command.slug), [])
        if command.publication_id not in self.done:
            if any(v.version == command.version for v in versions):
                raise DibopError("conflict", f"version {command.version} is there")
            self.done[command.publication_id] = command
            versions.append(
                Version(
                    slug=command.slug,
                    owner=enterprise,
                    version=command.version,
                    state="published",
                    digest=command.digest,
                    scope=command.scope,
                    revision=command.revision,
                    document=self.revisions[command.source or enterprise, command.slug, command.revision],
                    published_at=AT,
                    notes=command.notes,
                )
            )
        return VersionAdded(**self._entry(enterprise, command.slug))

    async def set_version_state(self, enterprise: str, command: SetVersionState, *, request_id: str) -> VersionStateSet:
        if self.failures:
            raise self.failures.pop(0)
        key = (enterprise, command.slug)
        if command.move_id not in self.done:
            for version in self.versions[key]:
                if version.version in command.versions:
                    require_may_become(command.slug, version.version, version.state, command.state)
            self.done[command.move_id] = command
            self.versions[key] = [
                v.model_copy(update={"state": command.state}) if v.version in command.versions else v
                for v in self.versions[key]
            ]
            told = Deprecation(successor=command.successor, date=command.date)
            for name in command.versions:
                self.deprecations.pop((*key, name), None)
                if command.state == "deprecated":
                    self.deprecations[*key, name] = told
        states = [v.state for v in self.versions[key]]
        return VersionStateSet(**self._entry(*key), state=best_state(states) or "draft")

    def _entry(self, owner: str, slug: str) -> dict[str, Any]:
        return {
            "key": f"{owner}.{slug}",
            "slug": slug,
            "owner": owner,
            "generation": len(self.done),
            "versions": [
                CatalogueVersionModel(version=v.version, digest=v.digest, state=v.state, published_at=v.published_at)
                for v in self.versions[owner, slug]
            ],
        }

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
    """Answers each operation with what `replies` has for it, else with a passing reply; likewise probes."""

    probed: Probed | DibopError | None = None
    probes: list[ProbeDraft] = field(default_factory=list)

    replies: dict[str, DraftExecutionReply | DibopError] = field(default_factory=dict)
    requests: list[tuple[str, str, DraftExecutionRequest]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    most_at_once: int = 0
    held: asyncio.Event | None = None
    """Where it is there, answers wait for it."""
    at_once: int = 0

    async def probe(self, enterprise: str, command: ProbeDraft, *, request_id: str) -> Probed:
        self.probes.append(command)
        await asyncio.sleep(0)
        if isinstance(self.probed, DibopError):
            raise self.probed
        return self.probed or probed()

    async def execute(
        self,
        enterprise: str,
        slug: str,
        operation: str,
        request: DraftExecutionRequest,
        *,
        deadline_seconds: float,
        request_id: str,
    ) -> DraftExecutionReply:
        self.requests.append((enterprise, operation, request))
        self.deadlines.append(deadline_seconds)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (self.held.wait() if self.held is not None else asyncio.sleep(0))
        finally:
            self.at_once -= 1
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
    moves: dict[str, Move] = field(default_factory=dict)
    kept_reviews: dict[str, Review] = field(default_factory=dict)
    said: dict[str, list[Comment]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)

    async def latest_evidence(self, owner: str, slug: str, digests: Iterable[str]) -> Mapping[str, Evidence]:
        wanted = set(digests)
        return {
            e.operation_digest: e
            for e in self.evidence
            if (e.owner, e.slug) == (owner, slug) and e.operation_digest in wanted
        }

    async def record_move(self, move: Move) -> bool:
        for other in self.moves.values():
            if (other.owner, other.slug) == (move.owner, move.slug) and (other.is_open or _same_base(other, move)):
                return False
        self.moves[move.id] = move
        return True

    async def move(self, identifier: str) -> Move:
        return self.moves[identifier]

    async def open_move(self, owner: str, slug: str) -> Move | None:
        return next((m for m in self.moves.values() if m.is_open and (m.owner, m.slug) == (owner, slug)), None)

    async def open_moves(self) -> Sequence[Move]:
        return [move for move in self.moves.values() if move.is_open]

    async def note_applied(self, identifier: str, entry: CatalogueEntry) -> None:
        self._advance(identifier, MoveState.RECORDED, MoveState.APPLIED, entry=entry)

    async def finish_move(self, identifier: str, events: Sequence[Event], audit: AuditRecord) -> None:
        if self._advance(identifier, MoveState.APPLIED, MoveState.DONE):
            self.events.extend(events)
            self.audit.append(audit)

    async def fail_move(self, identifier: str, refusal: Refusal, audit: AuditRecord) -> None:
        if self._advance(identifier, MoveState.RECORDED, MoveState.FAILED, refusal=refusal):
            self.audit.append(audit)

    async def open_review(self, review: Review, event: Event, audit: AuditRecord) -> Review:
        for other in self.kept_reviews.values():
            if (other.owner, other.slug, other.state) == (review.owner, review.slug, "open"):
                if (other.digest, other.scope) == (review.digest, review.scope):
                    return other
                self.kept_reviews[other.id] = replace(other, state="superseded")
        self.kept_reviews[review.id] = replace(review, number=len(self.kept_reviews) + 1)
        self.events.append(event)
        self.audit.append(audit)
        return review

    async def review(self, identifier: str, owner: str | None) -> Review | None:
        review = self.kept_reviews.get(identifier)
        return review if review is not None and owner in {None, review.owner} else None

    async def reviews(self, owner: str | None, query: ListReviews) -> Sequence[Review]:
        found = [
            review
            for review in reversed(self.kept_reviews.values())
            if owner in {None, review.owner}
            and query.slug in {None, review.slug}
            and query.state in {None, review.state}
            and (query.before is None or review.number < query.before)
        ]
        return found[: query.limit + 1]

    async def comments(self, owner: str, review: str) -> Sequence[Comment]:
        return self.said.get(review, [])

    async def add_comment(self, owner: str, review: str, comment: Comment, audit: AuditRecord) -> int:
        self.said.setdefault(review, []).append(comment)
        self.audit.append(audit)
        return len(self.said[review])

    async def decide_review(
        self, review: Review, decision: Decision, event: Event, audit: AuditRecord, *, move: Move | None
    ) -> bool:
        if self.kept_reviews[review.id].state != "open" or (move is not None and not await self.record_move(move)):
            return False
        self.kept_reviews[review.id] = replace(
            self.kept_reviews[review.id],
            state=decision.state,
            decided_by=decision.by,
            decided_at=decision.at,
            move=move.id if move else None,
        )
        if decision.comment:
            self.said.setdefault(review.id, []).append(Comment(decision.by, decision.at, decision.comment))
        self.events.append(event)
        self.audit.append(audit)
        return True

    async def waiting_audit(self, limit: int) -> Sequence[AuditRecord]:
        return self.audit[:limit]

    async def audit_taken(self, entry_id: str) -> None:
        self.audit = [record for record in self.audit if record.entry.id != entry_id]

    def told(self, what: str) -> list[Event]:
        return [event for event in self.events if event.what == what]

    def _advance(self, identifier: str, before: MoveState, after: MoveState, **values: Any) -> bool:
        if self.moves[identifier].state is not before:
            return False
        self.moves[identifier] = replace(self.moves[identifier], state=after, **values)
        return True


@dataclass
class FakeTestRuns:
    """The promises of test runs, over dictionaries; evidence, events and audit entries go to the store."""

    store: FakeStore
    runs: dict[str, Run] = field(default_factory=dict)
    steps: dict[str, dict[int, TestStep]] = field(default_factory=dict)
    exchanges: dict[tuple[str, int], Exchange] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)

    async def add(self, run: Run, steps: Sequence[TestStep]) -> str | None:
        for other in self.runs.values():
            if (other.owner, other.slug, other.actor, other.state) == (run.owner, run.slug, run.actor, "running"):
                return other.id
        self.runs[run.id] = replace(run, number=len(self.runs) + 1)
        self.steps[run.id] = {step.number: step for step in steps}
        return None

    async def note(
        self, run: Run, step: TestStep, *, exchange: Exchange | None = None, evidence: Evidence | None = None
    ) -> bool:
        if not await self.beat(run):
            return False
        self.steps[run.id][step.number] = step
        if exchange is not None:
            self.exchanges[run.id, step.number] = exchange
        if evidence is not None:
            self.store.evidence.append(evidence)
        return True

    async def beat(self, run: Run) -> bool:
        self.beats[run.id] = self.beats.get(run.id, 0) + 1
        return self.runs[run.id].state == "running"

    async def end(self, owner: str, identifier: str, ending: Callable[[Run, list[TestStep]], Ending]) -> Run | None:
        run = self.runs[identifier]
        if run.owner != owner or run.state != "running":
            return None
        ended = ending(run, list(self.steps[identifier].values()))
        self.runs[identifier] = ended.run
        self.steps[identifier] = {step.number: step for step in ended.steps}
        self.store.events.append(ended.event)
        self.store.audit.append(ended.audit)
        return ended.run

    async def find(self, owner: str, identifier: str) -> tuple[Run, list[TestStep]] | None:
        run = self.runs.get(identifier)
        if run is None or run.owner != owner:
            return None
        return run, list(self.steps[identifier].values())

    async def exchange(self, owner: str, identifier: str, number: int) -> Exchange | None:
        return self.exchanges.get((identifier, number))

    async def page(self, owner: str, query: ListTests) -> list[Run]:
        found = [run for run in reversed(self.runs.values()) if (run.owner, run.slug) == (owner, query.slug)]
        return [run for run in found if query.before is None or run.number < query.before][: query.limit + 1]

    async def under_way(self) -> Sequence[tuple[Run, int]]:
        return [(run, self.beats.get(run.id, 0)) for run in self.runs.values() if run.state == "running"]


@dataclass
class FakeProgress:
    told: list[Event] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.told.append(event)


def _same_base(done: Move, new: Move) -> bool:
    """Whether the version that `new` is to follow has a follower already."""
    if not isinstance(done.content, Release) or not isinstance(new.content, Release):
        return False
    return done.state is MoveState.DONE and done.content.base_version == new.content.base_version


@dataclass
class World:
    """All of it together."""

    store: FakeStore = field(default_factory=FakeStore)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    executors: FakeExecutors = field(default_factory=FakeExecutors)
    catalogue: FakeCatalogue = field(default_factory=FakeCatalogue)
    progress: FakeProgress = field(default_factory=FakeProgress)
    runs: FakeTestRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = FakeTestRuns(self.store)

    @property
    def ports(self) -> Ports:
        return Ports(self.store, self.runs, self.registry, self.executors, self.catalogue, self.progress)

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
