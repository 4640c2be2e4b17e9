"""A store and projections in memory, as honest as the real ones: a failed transaction leaves nothing behind."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from services.registry.domain.drafts import Revision
from services.registry.domain.enterprises import EnterpriseRecord
from services.registry.domain.lifecycle import PolicyUse
from services.registry.domain.search import Question, sorted_by
from services.registry.handlers.ports import (
    AuditRecord,
    CallRecord,
    ConnectionKey,
    ConnectionRecord,
    ConnectorSummary,
    Document,
    DraftState,
    PastRevision,
    Resealing,
    Retirement,
    StateMove,
    TestCredentialsRecord,
    TokenRecord,
    VersionRecord,
)
from shared.contracts.commands import AuditEntry, ConnectorRow, KeyUse
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM
from shared.contracts.projections import ConnectionEntry, ConnectionHealth, EnterpriseEntry
from shared.contracts.versions import OFFERED, connector_state, latest

Key = tuple[str, str]


@dataclass
class State:
    revisions: dict[Key, list[DraftState]] = field(default_factory=dict)
    versions: list[tuple[VersionRecord, Document]] = field(default_factory=list)
    moves: dict[str, StateMove] = field(default_factory=dict)
    summaries: dict[Key, ConnectorSummary] = field(default_factory=dict)
    generations: dict[Key, int] = field(default_factory=dict)
    connections: dict[ConnectionKey, ConnectionRecord] = field(default_factory=dict)
    connection_generations: dict[ConnectionKey, int] = field(default_factory=dict)
    projected: dict[ConnectionKey, int] = field(default_factory=dict)
    token_generations: dict[str, int] = field(default_factory=dict)
    test_credentials: dict[str, TestCredentialsRecord] = field(default_factory=dict)
    enterprises: dict[str, EnterpriseRecord] = field(default_factory=dict)
    enterprises_projected: dict[str, int] = field(default_factory=dict)
    keys: dict[str, Retirement | None] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class MemoryHealth(dict[str, ConnectionHealth]):
    """What executors have found, by connection id."""

    def of(self, _enterprise: str, connection: str) -> ConnectionHealth | None:
        return self.get(connection)


class MemoryStore:
    def __init__(self) -> None:
        self.state = State()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[MemoryWork]:
        yield MemoryWork(copy.deepcopy(self.state))

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[MemoryWork]:
        state = copy.deepcopy(self.state)
        yield MemoryWork(state)
        self.state = state


class MemoryWork:
    def __init__(self, state: State) -> None:
        self._state = state
        self.drafts = MemoryDrafts(state)
        self.versions = MemoryVersions(state)
        self.connectors = MemoryConnectors(state)
        self.connections = MemoryConnections(state)
        self.calls = MemoryCalls()
        self.test_credentials = MemoryTestCredentials(state)
        self.enterprises = MemoryEnterprises(state)
        self.keys = MemoryKeys(state)
        self.audit = MemoryAudit(state)

    async def emit(self, event: Event) -> None:
        self._state.events.append(event)


class MemoryDrafts:
    def __init__(self, state: State) -> None:
        self._state = state

    async def current(self, owner: str, slug: str, *, lock: bool = False) -> Revision | None:
        revisions = self._state.revisions.get((owner, slug))
        return revisions[-1].revision if revisions else None

    async def document(self, owner: str, slug: str, revision: int) -> Document | None:
        draft = self._draft(owner, slug, revision)
        return draft.document if draft else None

    async def digest(self, owner: str, slug: str, revision: int) -> str | None:
        draft = self._draft(owner, slug, revision)
        return draft.revision.digest if draft else None

    async def create(self, owner: str, slug: str, draft: DraftState) -> bool:
        if (owner, slug) in self._state.revisions:
            return False
        self._state.revisions[owner, slug] = [draft]
        return True

    async def advance(self, owner: str, slug: str, draft: DraftState) -> None:
        self._state.revisions[owner, slug].append(draft)

    async def history(self, owner: str, slug: str, *, before: int | None, limit: int) -> list[PastRevision]:
        return [
            PastRevision(
                each.revision.revision,
                each.revision.digest,
                each.revision.saved_by,
                each.revision.saved_at,
                each.changed,
                each.restored_from,
            )
            for each in reversed(self._state.revisions.get((owner, slug), []))
            if before is None or each.revision.revision < before
        ][:limit]

    async def delete(self, owner: str, slug: str) -> None:
        del self._state.revisions[owner, slug]

    def _draft(self, owner: str, slug: str, revision: int) -> DraftState | None:
        drafts = self._state.revisions.get((owner, slug), [])
        return next((draft for draft in drafts if draft.revision.revision == revision), None)


class MemoryVersions:
    def __init__(self, state: State) -> None:
        self._state = state

    async def of(self, owner: str, slug: str) -> list[VersionRecord]:
        return [record for record, _ in self._state.versions if (record.owner, record.slug) == (owner, slug)]

    async def document(self, owner: str, slug: str, version: str) -> Document:
        return next(
            document
            for record, document in self._state.versions
            if (record.owner, record.slug, record.version) == (owner, slug, version)
        )

    async def published(self, *, after: tuple[str, str] | None, limit: int) -> list[tuple[str, str]]:
        found = sorted({(record.owner, record.slug) for record, _ in self._state.versions})
        return [each for each in found if after is None or each > after][:limit]

    async def by_publication(self, publication_id: str) -> VersionRecord | None:
        return next((r for r, _ in self._state.versions if r.publication_id == publication_id), None)

    async def add(self, record: VersionRecord, document: Document) -> None:
        self._state.versions.append((record, document))

    async def by_move(self, owner: str, move_id: str) -> StateMove | None:
        move = self._state.moves.get(move_id)
        return move if move is not None and move.owner == owner else None

    async def move(self, move: StateMove) -> None:
        self._state.moves[move.id] = move
        self._state.versions = [
            (replace(record, state=move.state, successor=move.successor, date=move.date), document)
            if (record.owner, record.slug) == (move.owner, move.slug) and record.version in move.versions
            else (record, document)
            for record, document in self._state.versions
        ]

    async def generation(self, owner: str, slug: str) -> int:
        return self._state.generations.get((owner, slug), 0)

    async def summarise(self, owner: str, slug: str, summary: ConnectorSummary) -> None:
        self._state.summaries[owner, slug] = summary
        self._state.generations[owner, slug] = await self.generation(owner, slug) + 1


class MemoryConnectors:
    def __init__(self, state: State) -> None:
        self._state = state

    async def page(self, enterprise: str, *, drafts: bool, question: Question, limit: int) -> list[ConnectorRow]:
        own = {row.slug: (row, words) for row, words in self._rows(enterprise, drafts=drafts)}
        offered = {row.slug: (row, words) for row, words in self._rows(PLATFORM, drafts=False) if row.state in OFFERED}
        rows = [row for row, words in (offered | own).values() if self._asked_for(row, words, question)]
        rows.sort(key=lambda row: row.slug)
        rows.sort(key=lambda row: sorted_by(row, question.sort), reverse=question.descending)
        if question.after is not None:
            rows = rows[[(sorted_by(row, question.sort), row.slug) for row in rows].index(question.after) + 1 :]
        return rows[:limit]

    @staticmethod
    def _asked_for(row: ConnectorRow, words: str, question: Question) -> bool:
        found = question.words is None or (
            bool(question.words)
            and all(any(word.startswith(wanted) for word in words.split(" ")) for wanted in question.words)
        )
        return found and question.type in (None, row.type) and question.state in (None, row.state)

    def _rows(self, owner: str, *, drafts: bool) -> list[tuple[ConnectorRow, str]]:
        rows = []
        for (draft_owner, slug), revisions in self._state.revisions.items():
            if draft_owner != owner:
                continue
            summary = self._state.summaries.get((owner, slug))
            versions = [r for r, _ in self._state.versions if (r.owner, r.slug) == (owner, slug)]
            shown = revisions[-1] if drafts else summary
            newest = latest(versions)
            if shown is not None:
                row = ConnectorRow(
                    slug=slug,
                    owner=owner,
                    name=shown.name,
                    type=shown.type,
                    state=connector_state(versions),
                    draft_revision=revisions[-1].revision.revision if drafts else None,
                    latest_version=newest.version if newest else None,
                    changed_at=shown.revision.saved_at if isinstance(shown, DraftState) else shown.published_at,
                )
                rows.append((row, shown.words))
        return rows


class MemoryConnections:
    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, key: ConnectionKey) -> ConnectionRecord | None:
        return self._state.connections.get(key)

    async def create(self, record: ConnectionRecord) -> bool:
        key = _key(record)
        if key in self._state.connections or record.id in {c.id for c in self._state.connections.values()}:
            return False
        self._state.connections[key] = replace(record, generation=self._next(key))
        return True

    async def rotate(self, record: ConnectionRecord) -> bool:
        return self._change(record, replace(record, credentials_generation=record.credentials_generation + 1))

    async def update(self, record: ConnectionRecord) -> bool:
        before = await self.default_of(record.enterprise, record.connector) if record.default else None
        if before is not None and before.id != record.id:
            self._change(before, replace(before, default=False))
        return self._change(record, record)

    async def default_of(self, enterprise: str, connector: str) -> ConnectionRecord | None:
        of = [r for k, r in self._state.connections.items() if (k.enterprise, k.connector) == (enterprise, connector)]
        return next((record for record in of if record.default), None)

    async def consent(self, record: ConnectionRecord) -> bool:
        return self._change(record, record)

    async def store_token(self, record: ConnectionRecord, token: TokenRecord) -> int | None:
        generation = self._state.token_generations.get(record.id, 0) + 1
        if not self._change(record, replace(record, token=replace(token, generation=generation))):
            return None
        self._state.token_generations[record.id] = generation
        return generation

    async def reseal(self, record: ConnectionRecord, resealing: Resealing) -> bool:
        changed = record
        if resealing.credentials is not None:
            changed = replace(changed, kid=resealing.credentials[0], sealed=resealing.credentials[1])
        if resealing.token is not None and changed.token is not None:
            kid, sealed = resealing.token
            changed = replace(changed, token=replace(changed.token, kid=kid, sealed=sealed))
        return self._change(record, changed)

    def _change(self, seen: ConnectionRecord, changed: ConnectionRecord) -> bool:
        key = _key(seen)
        present = self._state.connections.get(key)
        if present is None or (present.id, present.generation) != (seen.id, seen.generation):
            return False
        self._state.connections[key] = replace(changed, generation=self._next(key))
        return True

    async def delete(self, record: ConnectionRecord, *, at: str, by: str) -> bool:
        self._next(_key(record))
        return self._state.connections.pop(_key(record), None) is not None

    async def page(
        self, enterprise: str, *, connector: str | None, after: tuple[str, str] | None, limit: int
    ) -> list[ConnectionRecord]:
        found = [
            record
            for key, record in sorted(self._state.connections.items())
            if key.enterprise == enterprise
            and connector in {None, key.connector}
            and (after is None or (key.connector, key.name) > after)
        ]
        return found[:limit]

    async def generation(self, key: ConnectionKey) -> int:
        return self._state.connection_generations.get(key, 0)

    async def unprojected(self, limit: int) -> list[ConnectionKey]:
        generations = self._state.connection_generations
        return [key for key, g in generations.items() if self._state.projected.get(key, 0) < g][:limit]

    async def policies(self, owner: str, connector: str) -> list[PolicyUse]:
        found: dict[tuple[str, str, str | None], list[str]] = {}
        for record in self._state.connections.values():
            if (record.owner, record.connector) == (owner, connector):
                consent = record.consent
                terms = (consent.digest, consent.version) if consent is not None else ("", None)
                found.setdefault((record.version_policy, *terms), []).append(record.enterprise)
        return [PolicyUse(use[0], len(of), len(set(of)), *use[1:]) for use, of in found.items()]

    async def keys(self, *, after: ConnectionKey | None, limit: int) -> list[ConnectionKey]:
        found = sorted(_key(each) for each in self._state.connections.values())
        return [each for each in found if after is None or each > after][:limit]

    async def mark_projected(self, key: ConnectionKey, generation: int) -> None:
        self._state.projected[key] = max(self._state.projected.get(key, 0), generation)

    def _next(self, key: ConnectionKey) -> int:
        self._state.connection_generations[key] = self._state.connection_generations.get(key, 0) + 1
        return self._state.connection_generations[key]


class MemoryTestCredentials:
    def __init__(self, state: State) -> None:
        self._state = state

    async def save(self, record: TestCredentialsRecord) -> bool:
        kept = self._state.test_credentials
        for other in list(kept.values()):
            if _place(other) == _place(record):
                del kept[other.id]
        if record.id in kept:
            return False
        kept[record.id] = record
        return True

    async def of(self, enterprise: str, person: str, *, connector: str | None, now: str) -> list[TestCredentialsRecord]:
        return [
            record
            for record in reversed(self._state.test_credentials.values())
            if (record.enterprise, record.person) == (enterprise, person)
            and connector in {None, record.connector}
            and record.expires_at > now
        ]

    async def find(self, enterprise: str, person: str, identifier: str, *, now: str) -> TestCredentialsRecord | None:
        own = await self.of(enterprise, person, connector=None, now=now)
        return next((record for record in own if record.id == identifier), None)

    async def delete(self, enterprise: str, person: str, identifier: str, *, now: str) -> bool:
        if await self.find(enterprise, person, identifier, now=now) is None:
            return False
        del self._state.test_credentials[identifier]
        return True

    async def sweep(self, now: str) -> int:
        return self._drop([r.id for r in self._state.test_credentials.values() if r.expires_at <= now])

    async def forget_connector(self, enterprise: str, connector: str) -> None:
        kept = self._state.test_credentials
        for each in list(kept.values()):
            if (each.enterprise, each.connector) == (enterprise, connector):
                del kept[each.id]

    async def forget(self, kid: str) -> int:
        return self._drop([r.id for r in self._state.test_credentials.values() if r.kid == kid])

    def _drop(self, identifiers: list[str]) -> int:
        for identifier in identifiers:
            del self._state.test_credentials[identifier]
        return len(identifiers)


class MemoryEnterprises:
    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, enterprise: str) -> EnterpriseRecord | None:
        return self._state.enterprises.get(enterprise)

    async def hold(self, enterprise: str) -> EnterpriseRecord:
        return self._state.enterprises.get(enterprise) or EnterpriseRecord(enterprise)

    async def write(self, record: EnterpriseRecord, *, anew: bool) -> EnterpriseRecord:
        written = replace(record, generation=record.generation + anew)
        self._state.enterprises[record.id] = written
        return written

    async def page(self, *, suspended: bool | None, after: str | None, limit: int) -> list[EnterpriseRecord]:
        found = [each for _, each in sorted(self._state.enterprises.items())]
        return [each for each in found if suspended in (None, each.suspended) and (after is None or each.id > after)][
            :limit
        ]

    async def unprojected(self, limit: int) -> list[str]:
        done = self._state.enterprises_projected
        return [each.id for each in self._state.enterprises.values() if done.get(each.id, 0) < each.generation][:limit]

    async def mark_projected(self, enterprise: str, generation: int) -> None:
        self._state.enterprises_projected[enterprise] = generation


class MemoryKeys:
    def __init__(self, state: State) -> None:
        self._state = state

    async def use(self, kid: str) -> Retirement | None:
        return self._state.keys.setdefault(kid, None)

    async def hold(self, kid: str) -> Retirement | None:
        return self._state.keys.setdefault(kid, None)

    async def retire(self, kid: str, retirement: Retirement) -> None:
        self._state.keys[kid] = retirement

    async def uses(self) -> list[KeyUse]:
        connections = list(self._state.connections.values())
        sealed = {
            "connections": [record.kid for record in connections],
            "tokens": [record.token.kid for record in connections if record.token],
            "test_credentials": [record.kid for record in self._state.test_credentials.values()],
        }
        kids = {kid for found in sealed.values() for kid in found if kid} | self._state.keys.keys()
        return [self._use(kid, {name: found.count(kid) for name, found in sealed.items()}) for kid in sorted(kids)]

    async def connections(self, kid: str, limit: int) -> list[ConnectionKey]:
        return [
            key
            for key, record in sorted(self._state.connections.items())
            if kid in {record.kid, record.token.kid if record.token else None}
        ][:limit]

    def _use(self, kid: str, counts: dict[str, int]) -> KeyUse:
        retirement = self._state.keys.get(kid)
        return KeyUse(
            kid=kid,
            connections=counts["connections"],
            tokens=counts["tokens"],
            test_credentials=counts["test_credentials"],
            retired_at=retirement.at if retirement else None,
            retired_by=retirement.by if retirement else None,
        )


class MemoryAudit:
    def __init__(self, state: State) -> None:
        self._state = state

    async def append(self, record: AuditRecord) -> bool:
        if any(kept.entry_id == record.entry_id for kept in self._state.audit):
            return False
        self._state.audit.append(record)
        return True

    async def page(
        self, enterprise: str, *, before: int | None, noun: str | None, identifier: str | None, limit: int
    ) -> list[AuditEntry]:
        return [
            AuditEntry(
                id=number,
                at=record.at,
                actor=record.actor,
                enterprise=record.enterprise,
                action=record.action,
                noun=record.noun,
                identifier=record.identifier,
                details=dict(record.details),
                request_id=record.request_id,
            )
            for number, record in reversed(list(enumerate(self._state.audit, 1)))
            if record.enterprise == enterprise
            and (before is None or number < before)
            and noun in {None, record.noun}
            and identifier in {None, record.identifier}
        ][:limit]


class MemoryCalls:
    """The call log, which no use case of the others reads."""

    async def add(self, records: Sequence[CallRecord]) -> None:
        raise NotImplementedError

    async def page(self, enterprise: str, question: object, *, limit: int) -> list[CallRecord]:
        raise NotImplementedError

    async def forget(self, *, before_ms: int, limit: int) -> int:
        raise NotImplementedError


class MemoryProjections:
    """`broken` makes every write fail, as when NATS is away."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.connections: dict[ConnectionKey, ConnectionEntry] = {}
        self.enterprises: dict[str, EnterpriseEntry] = {}
        self.broken = False

    async def put_document(self, digest: str, content: bytes) -> None:
        self._work()
        self.documents[digest] = content

    async def put_enterprise(self, entry: EnterpriseEntry) -> None:
        self._work()
        present = self.enterprises.get(entry.id)
        if present is None or present.generation < entry.generation:
            self.enterprises[entry.id] = entry

    async def sync_connection(
        self, key: ConnectionKey, read: Callable[[], Awaitable[ConnectionEntry | None]]
    ) -> ConnectionEntry | None:
        self._work()
        entry = await read()
        if entry is None:
            self.connections.pop(key, None)
        else:
            self.connections[key] = entry
        return entry

    def _work(self) -> None:
        if self.broken:
            raise ConnectionError("NATS is away")


def _key(record: ConnectionRecord) -> ConnectionKey:
    return ConnectionKey(record.enterprise, record.connector, record.name)


def _place(record: TestCredentialsRecord) -> tuple[str, str, str, str]:
    return record.enterprise, record.person, record.connector, record.origin
