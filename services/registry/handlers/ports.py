"""What the use cases need from outside: a store of units of work, and the projections that executors read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from services.registry.domain.calls import Question as CallQuestion
from services.registry.domain.drafts import Revision
from services.registry.domain.enterprises import EnterpriseRecord
from services.registry.domain.lifecycle import PolicyUse
from services.registry.domain.search import Question
from shared.contracts.calls import ExecutedCall
from shared.contracts.commands import AuditEntry, ConnectorRow, ConnectorState, Consumer, KeyUse, Scope
from shared.contracts.events import Event
from shared.contracts.lifecycle import LaterState
from shared.contracts.projections import (
    ConnectionEntry,
    ConnectionHealth,
    EnterpriseEntry,
    VersionState,
)
from shared.contracts.template import Terms, terms_digest
from shared.security.principals import Principal

Document: TypeAlias = dict[str, Any]
"""A template as its author wrote it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who commands, for which enterprise (the subject's), in which request."""

    principal: Principal
    enterprise: str
    request_id: str

    @property
    def subject(self) -> str:
        return self.principal.subject


@dataclass(frozen=True, slots=True)
class DraftState:
    """A draft to be written: its revision, what lists show of it and find it by, and its document."""

    revision: Revision
    name: str
    type: str
    words: str
    document: Document
    changed: Sequence[str] = ()
    restored_from: int | None = None


@dataclass(frozen=True, slots=True)
class PastRevision:
    """A revision in a draft's history: what it changed, in words, and the revision that it restored."""

    revision: int
    digest: str
    saved_by: str
    saved_at: str
    changed: Sequence[str]
    restored_from: int | None


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A published version without its document."""

    owner: str
    slug: str
    version: str
    digest: str
    scope: Scope
    revision: int
    publication_id: str
    published_by: str
    published_at: str
    notes: str = ""
    state: VersionState = "published"
    successor: str | None = None
    date: str | None = None
    """What its deprecation named."""
    sends: Terms | None = None
    """Where and how it sends credentials; None where that was not kept."""

    @property
    def terms(self) -> str:
        """What tells its terms from others."""
        return terms_digest(self.sends or {})


@dataclass(frozen=True, slots=True)
class StateMove:
    """One move of versions to a later state; `successor` and `date` are a deprecation's."""

    id: str
    owner: str
    slug: str
    versions: tuple[str, ...]
    state: LaterState
    successor: str | None
    date: str | None
    notes: str
    moved_by: str
    moved_at: str


@dataclass(frozen=True, slots=True)
class ConnectorSummary:
    """What lists show of a connector's published versions, and find it by."""

    name: str
    type: str
    words: str
    state: ConnectorState
    latest_version: str | None
    published_at: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A refresh token that executors have sealed."""

    generation: int
    kid: str
    sealed: str
    scopes: str
    stored_at: str


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """What a connection's owner has consented to: the terms of a version, None for a draft's."""

    version: str | None
    terms: Terms
    by: str
    at: str

    @property
    def digest(self) -> str:
        """What tells the terms from others."""
        return terms_digest(self.terms)


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """A connection. `sealed` is ciphertext that the registry cannot open, `masked` tails of at most 4 characters.

    `kid` is empty where nothing is sealed. `generation` grows with every change, `credentials_generation` with every
    rotation. `default` is the one that runs where none is named; `consent` is None where it was not kept.
    """

    id: str
    enterprise: str
    connector: str
    owner: str
    name: str
    version_policy: str
    origin: str
    kid: str
    values: Mapping[str, str]
    sealed: Mapping[str, str]
    masked: Mapping[str, str]
    created_by: str
    created_at: str
    generation: int = 0
    credentials_generation: int = 1
    rotated_by: str | None = None
    rotated_at: str | None = None
    token: TokenRecord | None = None
    default: bool = False
    consent: ConsentRecord | None = None


@dataclass(frozen=True, slots=True)
class Resealing:
    """Ciphertexts that take the place of others; None where the old ones stay."""

    credentials: tuple[str, Mapping[str, str]] | None
    token: tuple[str, str] | None
    """Key id and what is sealed to it."""


@dataclass(frozen=True, slots=True)
class TestCredentialsRecord:
    """Credentials that `person` keeps for tests of an owner's draft."""

    __test__ = False

    id: str
    enterprise: str
    person: str
    connector: str
    origin: str
    kid: str
    values: Mapping[str, str]
    sealed: Mapping[str, str]
    masked: Mapping[str, str]
    saved_at: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Retirement:
    """When and by whom a sealing key was retired."""

    at: str
    by: str


@dataclass(frozen=True, slots=True, order=True)
class ConnectionKey:
    """Where a connection stands in the projection."""

    enterprise: str
    connector: str
    name: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """An execution for `enterprise`, told by `worker`."""

    enterprise: str
    worker: str
    call: ExecutedCall


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An audit entry to be written; `entry_id` makes a repeat harmless."""

    entry_id: str
    at: str
    actor: str
    enterprise: str
    action: str
    noun: str
    identifier: str
    details: Mapping[str, Any]
    request_id: str


class Drafts(Protocol):
    async def current(self, owner: str, slug: str, *, lock: bool = False) -> Revision | None:
        """The draft's newest revision; with `lock` nobody else changes the connector until this work ends."""

    async def document(self, owner: str, slug: str, revision: int) -> Document | None:
        """A revision's document as it was saved."""

    async def digest(self, owner: str, slug: str, revision: int) -> str | None: ...

    async def create(self, owner: str, slug: str, draft: DraftState) -> bool:
        """Write the first revision; False where somebody else made the draft meanwhile."""

    async def advance(self, owner: str, slug: str, draft: DraftState) -> None:
        """Write a further revision of a draft that is locked."""

    async def history(self, owner: str, slug: str, *, before: int | None, limit: int) -> list[PastRevision]:
        """Newest first."""

    async def delete(self, owner: str, slug: str) -> None:
        """Erase a draft that is locked, with all its revisions; nothing was ever published from it."""


class Versions(Protocol):
    async def of(self, owner: str, slug: str) -> list[VersionRecord]:
        """All versions, in no certain order."""

    async def document(self, owner: str, slug: str, version: str) -> Document: ...

    async def published(self, *, after: tuple[str, str] | None, limit: int) -> list[tuple[str, str]]:
        """Owner and slug of connectors that have a version, in order, after the given pair."""

    async def by_publication(self, publication_id: str) -> VersionRecord | None: ...

    async def add(self, record: VersionRecord, document: Document) -> None: ...

    async def by_move(self, owner: str, move_id: str) -> StateMove | None: ...

    async def move(self, move: StateMove) -> None:
        """Give the versions their state, and keep the move."""

    async def generation(self, owner: str, slug: str) -> int: ...

    async def summarise(self, owner: str, slug: str, summary: ConnectorSummary) -> None:
        """Write what lists show, under the connector's next generation."""


class Connectors(Protocol):
    async def page(self, enterprise: str, *, drafts: bool, question: Question, limit: int) -> list[ConnectorRow]:
        """The enterprise's own and what the catalogue offers it, in the question's order; own drafts only with
        `drafts`."""


class Connections(Protocol):
    async def find(self, key: ConnectionKey) -> ConnectionRecord | None: ...

    async def create(self, record: ConnectionRecord) -> bool:
        """Write it with the name's next generation; False where its name or id is taken."""

    async def rotate(self, record: ConnectionRecord) -> bool:
        """Write other credentials over those of `record`'s generation, without a token; False where it has changed."""

    async def update(self, record: ConnectionRecord) -> bool:
        """Write version policy, default and consent over those of `record`'s generation; False where it has changed.

        One that becomes the default takes that from the one that was, which is then of its next generation.
        """

    async def default_of(self, enterprise: str, connector: str) -> ConnectionRecord | None:
        """The one that is marked as the default."""

    async def consent(self, record: ConnectionRecord) -> bool:
        """Write what was sealed anew, and what it was consented to; without a token where `record` has none."""

    async def store_token(self, record: ConnectionRecord, token: TokenRecord) -> int | None:
        """Write a token of the connection's next token generation, which is the answer; None where it has changed."""

    async def reseal(self, record: ConnectionRecord, resealing: Resealing) -> bool:
        """Replace ciphertexts of `record`'s generation; False where it has changed."""

    async def delete(self, record: ConnectionRecord, *, at: str, by: str) -> bool:
        """Make it a tombstone without values and ciphertexts; False where somebody else did so meanwhile."""

    async def page(
        self, enterprise: str, *, connector: str | None, after: tuple[str, str] | None, limit: int
    ) -> list[ConnectionRecord]:
        """By connector and name, after the given pair."""

    async def generation(self, key: ConnectionKey) -> int:
        """The newest generation of this name, tombstones included; 0 where there never was one."""

    async def unprojected(self, limit: int) -> list[ConnectionKey]:
        """Names whose newest generation is not known to stand in the projection."""

    async def policies(self, owner: str, connector: str) -> list[PolicyUse]:
        """What the connections of all enterprises to this connector follow."""

    async def keys(self, *, after: ConnectionKey | None, limit: int) -> list[ConnectionKey]:
        """The connections that there are, of all enterprises, in order, after the given one."""

    async def mark_projected(self, key: ConnectionKey, generation: int) -> None: ...


class KeptCredentials(Protocol):
    """Test credentials. What has expired by `now` is not there for anybody."""

    async def save(self, record: TestCredentialsRecord) -> bool:
        """Write it in place of the person's earlier ones for connector and origin; False where its id is taken."""

    async def of(self, enterprise: str, person: str, *, connector: str | None, now: str) -> list[TestCredentialsRecord]:
        """The person's own, newest first."""

    async def find(
        self, enterprise: str, person: str, identifier: str, *, now: str
    ) -> TestCredentialsRecord | None: ...

    async def delete(self, enterprise: str, person: str, identifier: str, *, now: str) -> bool: ...

    async def sweep(self, now: str) -> int:
        """Delete all that has expired by `now`; the answer says how many."""

    async def forget(self, kid: str) -> int:
        """Delete all that is sealed to this key; the answer says how many."""

    async def forget_connector(self, enterprise: str, connector: str) -> None:
        """Delete what anybody of the enterprise keeps for its draft."""


class Enterprises(Protocol):
    async def find(self, enterprise: str) -> EnterpriseRecord | None: ...

    async def hold(self, enterprise: str) -> EnterpriseRecord:
        """The record, a new one where there is none; nobody else changes it until this work ends."""

    async def write(self, record: EnterpriseRecord, *, anew: bool) -> EnterpriseRecord:
        """Write a record that is held; `anew` gives it the next generation, to be projected."""

    async def page(self, *, suspended: bool | None, after: str | None, limit: int) -> list[EnterpriseRecord]:
        """By id."""

    async def unprojected(self, limit: int) -> list[str]:
        """Those whose generation is not known to stand in the projection."""

    async def mark_projected(self, enterprise: str, generation: int) -> None: ...


class Keys(Protocol):
    """Sealing keys, and what is sealed to them."""

    async def use(self, kid: str) -> Retirement | None:
        """Keep the key from being retired until this work ends; its retirement where it is retired already."""

    async def hold(self, kid: str) -> Retirement | None:
        """Wait for all work that uses the key, and keep new work from using it; its retirement, if there is one."""

    async def retire(self, kid: str, retirement: Retirement) -> None:
        """Write the retirement of a key that is held."""

    async def uses(self) -> list[KeyUse]:
        """Every key that something is or was sealed to, by id."""

    async def connections(self, kid: str, limit: int) -> list[ConnectionKey]:
        """Connections that have something sealed to the key."""


class Audit(Protocol):
    async def append(self, record: AuditRecord) -> bool:
        """Write an entry; False where one of this id is there already."""

    async def page(
        self, enterprise: str, *, before: int | None, noun: str | None, identifier: str | None, limit: int
    ) -> list[AuditEntry]:
        """Newest first."""


class Calls(Protocol):
    """The call log."""

    async def add(self, records: Sequence[CallRecord]) -> None:
        """Write executions; one whose id is there already stays as it is."""

    async def page(self, enterprise: str, question: CallQuestion, *, limit: int) -> list[CallRecord]:
        """Newest first."""

    async def forget(self, *, before_ms: int, limit: int) -> int:
        """Delete some that began before; the answer says how many."""


class Work(Protocol):
    """One transaction: everything in it happens, or nothing."""

    @property
    def drafts(self) -> Drafts: ...

    @property
    def versions(self) -> Versions: ...

    @property
    def connectors(self) -> Connectors: ...

    @property
    def connections(self) -> Connections: ...

    @property
    def test_credentials(self) -> KeptCredentials: ...

    @property
    def enterprises(self) -> Enterprises: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def calls(self) -> Calls: ...

    async def emit(self, event: Event) -> None:
        """Send `event` once this transaction is committed."""


class Store(Protocol):
    def read(self) -> AbstractAsyncContextManager[Work]:
        """A snapshot to read from."""

    def write(self) -> AbstractAsyncContextManager[Work]:
        """A transaction, committed at the end of the block and rolled back by an exception."""


class Health(Protocol):
    def of(self, enterprise: str, connection: str) -> ConnectionHealth | None:
        """What the executors last found out about the connection with this id; None where that is nothing yet."""


class Consumers(Protocol):
    async def of(self, enterprise: str) -> list[Consumer]:
        """Every durable consumer of the enterprise."""

    async def make(self, enterprise: str, name: str, heard: list[str]) -> Consumer:
        """Make one that keeps what comes on the subjects `heard` from now on."""

    async def forget(self, enterprise: str, name: str) -> None:
        """Delete it, if it is there."""


class Projections(Protocol):
    async def put_document(self, digest: str, content: bytes) -> None:
        """Have the document stand in the object store under its digest."""

    async def put_enterprise(self, entry: EnterpriseEntry) -> None:
        """Have the projection hold this entry, unless it holds a newer one."""

    async def sync_connection(
        self, key: ConnectionKey, read: Callable[[], Awaitable[ConnectionEntry | None]]
    ) -> ConnectionEntry | None:
        """Have the projection hold what `read` gives (None: nothing), and answer that.

        `read` is called again where another writer came between, so that the last writer has read last.
        """


Bucket: TypeAlias = Literal["catalogue", "connections", "enterprises"]
DocumentState: TypeAlias = Literal["there", "missing", "damaged"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key holds: None where nothing does. `revision` is the key's last one, 0 where it never had one."""

    revision: int
    value: bytes | None


class Buckets(Protocol):
    """The projections as they stand, right or wrong."""

    async def keys(self, bucket: Bucket, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Keys with their revisions, in their order, after `after`; deleted ones may be among them."""

    async def look(self, bucket: Bucket, key: str) -> Stored: ...

    async def write(self, bucket: Bucket, key: str, seen: Stored, value: bytes | None) -> bool:
        """Put the value, or delete the key; False, and nothing done, where another wrote since it was seen."""

    async def document(self, digest: str) -> DocumentState: ...

    async def restore_document(self, content: bytes) -> None:
        """Store a document under its digest, whatever stands there."""
