"""What the use cases are given: who asks, and the store, the registry, the executors and the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.publisher.domain.evidence import Evidence
from services.publisher.domain.moves import Move, Refusal
from services.publisher.domain.reviews import Comment, Decision, Review
from services.publisher.domain.runs import Run
from shared.contracts.commands import (
    AddVersion,
    AppendAudit,
    Connector,
    Draft,
    Exchange,
    FetchTestCredentials,
    ListReviews,
    ListTests,
    Probed,
    ProbeDraft,
    SetVersionState,
    StagedDraft,
    TestCredentials,
    TestStep,
    Version,
    VersionAdded,
    VersionStateSet,
)
from shared.contracts.events import Event
from shared.contracts.execution import DraftExecutionReply, DraftExecutionRequest
from shared.contracts.projections import CatalogueEntry
from shared.security.principals import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in which enterprise (the subject's), under which request id."""

    principal: Principal
    enterprise: str
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An audit entry of `enterprise` on its way to the registry."""

    enterprise: str
    entry: AppendAudit


class Registry(Protocol):
    """The registry's commands, sent with the publisher's own token.

    Each raises the DibopError that the registry answered, `overloaded` or `deadline-exceeded` where it is away.
    """

    async def draft(self, enterprise: str, slug: str, *, revision: int | None = None, request_id: str) -> Draft: ...

    async def stage(self, enterprise: str, slug: str, *, request_id: str) -> StagedDraft: ...

    async def connector(self, enterprise: str, slug: str, *, request_id: str) -> Connector: ...

    async def version(self, enterprise: str, slug: str, version: str, *, request_id: str) -> Version: ...

    async def add_version(self, enterprise: str, command: AddVersion, *, request_id: str) -> VersionAdded: ...

    async def set_version_state(
        self, enterprise: str, command: SetVersionState, *, request_id: str
    ) -> VersionStateSet: ...

    async def test_credentials(
        self, enterprise: str, query: FetchTestCredentials, *, request_id: str
    ) -> TestCredentials:
        """What a person keeps for tests; `not-found` where it has expired."""
        ...

    async def append_audit(self, record: AuditRecord) -> None:
        """Repeating an entry's id changes nothing."""
        ...


class Executors(Protocol):
    """Probes and runs staged drafts; DibopError where there was no response of the external system."""

    async def probe(self, enterprise: str, command: ProbeDraft, *, request_id: str) -> Probed: ...

    async def execute(
        self,
        enterprise: str,
        slug: str,
        operation: str,
        request: DraftExecutionRequest,
        *,
        deadline_seconds: float,
        request_id: str,
    ) -> DraftExecutionReply: ...


class Progress(Protocol):
    """Tells of a run's steps as they go. Nothing waits for it, and what cannot be told is not."""

    def tell(self, event: Event) -> None: ...


class Catalogue(Protocol):
    """The KV bucket `catalogue`."""

    async def put(self, entry: CatalogueEntry) -> None:
        """Write the entry unless a newer one stands there already."""
        ...


class Store(Protocol):
    """The publisher's own records. Each method is one transaction."""

    async def latest_evidence(self, owner: str, slug: str, digests: Iterable[str]) -> Mapping[str, Evidence]:
        """The last evidence of each operation digest that has any."""
        ...

    async def record_move(self, move: Move) -> bool:
        """Open a move; False where one of the same owner and slug is open, or where the version that follows a
        release's `base_version` is made already."""
        ...

    async def move(self, identifier: str) -> Move: ...

    async def open_move(self, owner: str, slug: str) -> Move | None: ...

    async def open_moves(self) -> Sequence[Move]: ...

    async def note_applied(self, identifier: str, entry: CatalogueEntry) -> None: ...

    async def finish_move(self, identifier: str, events: Sequence[Event], audit: AuditRecord) -> None:
        """Mark it done and let the events and the audit entry go out; nothing where it was marked before."""
        ...

    async def fail_move(self, identifier: str, refusal: Refusal, audit: AuditRecord) -> None:
        """Mark it failed, which lets the next one open; nothing where it is finished."""
        ...

    async def open_review(self, review: Review, event: Event, audit: AuditRecord) -> Review:
        """Open it in place of an open one of another document; where one of this document is open, that one."""
        ...

    async def review(self, identifier: str, owner: str | None) -> Review | None:
        """The review, if it is `owner`'s; anybody's for None."""
        ...

    async def reviews(self, owner: str | None, query: ListReviews) -> Sequence[Review]:
        """One more than the query's limit, the newest first; without documents."""
        ...

    async def comments(self, owner: str, review: str) -> Sequence[Comment]: ...

    async def add_comment(self, owner: str, review: str, comment: Comment, audit: AuditRecord) -> int:
        """How many there are then."""
        ...

    async def decide_review(
        self, review: Review, decision: Decision, event: Event, audit: AuditRecord, *, move: Move | None
    ) -> bool:
        """Decide it and record the move that follows; False, and nothing, where either cannot be any more."""
        ...

    async def waiting_audit(self, limit: int) -> Sequence[AuditRecord]:
        """Audit entries that the registry has not taken yet, oldest first."""
        ...

    async def audit_taken(self, entry_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, and what is told of that. `digests` are those of the draft's operations as they stand."""

    run: Run
    steps: Sequence[TestStep]
    event: Event
    audit: AuditRecord
    digests: Collection[str] = ()


class TestRuns(Protocol):
    """Test runs with their steps, and the evidence that comes of them. Each method is one transaction."""

    async def add(self, run: Run, steps: Sequence[TestStep]) -> str | None:
        """Keep a run that begins; the id of the one that the same person has under way, where there is one."""
        ...

    async def note(
        self, run: Run, step: TestStep, *, exchange: Exchange | None = None, evidence: Evidence | None = None
    ) -> bool:
        """Keep what became of a step; False, and nothing, where the run has ended."""
        ...

    async def beat(self, run: Run) -> bool:
        """Show that somebody is at the run; False where it has ended."""
        ...

    async def end(self, owner: str, identifier: str, ending: Callable[[Run, list[TestStep]], Ending]) -> Run | None:
        """Keep how a run ends, which `ending` makes of how it stands; None, and nothing, where it had ended.

        Runs of long ago go then; those stay that are the last evidence for one of the ending's `digests`.
        """
        ...

    async def find(self, owner: str, identifier: str) -> tuple[Run, list[TestStep]] | None:
        """The run with its steps, without what they sent and got."""
        ...

    async def exchange(self, owner: str, identifier: str, number: int) -> Exchange | None:
        """What a step sent and got."""
        ...

    async def page(self, owner: str, query: ListTests) -> list[Run]:
        """One more than the query's limit, the newest first."""
        ...

    async def under_way(self) -> Sequence[tuple[Run, int]]:
        """Every run that goes on, with its number of beats."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them, as the use cases take them."""

    store: Store
    runs: TestRuns
    registry: Registry
    executors: Executors
    catalogue: Catalogue
    progress: Progress
