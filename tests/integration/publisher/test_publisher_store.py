"""The publisher's store on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, select

from services.publisher.app import MIGRATIONS
from services.publisher.domain.evidence import Evidence
from services.publisher.domain.moves import Move, MoveKind, MoveState, Refusal, Release, Withdrawal
from services.publisher.domain.reviews import Decision, Review
from services.publisher.handlers.ports import AuditRecord
from services.publisher.store import SqlStore, tables
from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit, ListReviews
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.persistence import outbox
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
ENTRY = CatalogueEntry("weather", "platform", 1, [CatalogueVersion("1.0.0", DIGEST, "published", utc_now())])


def move(identifier: str, *, owner: str = "platform", slug: str = "weather", **content: Any) -> Move:
    release = {"version": "1.0.0", "digest": DIGEST, "scope": "catalogue", "revision": 1, "base_version": None}
    made = Release(**{**release, **content})
    return Move(identifier, MoveKind.PUBLISH, owner, slug, made, "ada", "Wörds", "r", utc_now())


def withdrawal(identifier: str) -> Move:
    made = Withdrawal(("1.0.0", "1.1.0"), "deprecated", "2.0.0", "2030-01-31")
    return Move(identifier, MoveKind.DEPRECATE, "platform", "weather", made, "ada", "", "r", utc_now())


def evidence(outcome: str, digest: str = DIGEST, **values: Any) -> Evidence:
    return Evidence(
        **{
            "run_id": "run",
            "owner": "platform",
            "slug": "weather",
            "operation": "now",
            "operation_digest": digest,
            "outcome": outcome,
            "reason": None,
            "status_code": 200,
            "duration_ms": 1.5,
            "actor": "ada",
            "at": utc_now(),
            **values,
        }
    )


def event(identifier: str = "e-1", what: str = "version_published") -> Event:
    return Event("platform", "connector", "weather", what, "publisher", {}, id=identifier)


def audit(identifier: str = "a-1") -> AuditRecord:
    entry = AppendAudit(id=identifier, at=utc_now(), actor="ada", action="x", noun="connector", identifier="weather")
    return AuditRecord("platform", entry)


async def waiting_events(database: Database) -> list[str]:
    async with database.read() as connection:
        return [row.subject for row in await connection.execute(select(outbox.outbox).order_by(outbox.outbox.c.id))]


async def keep(database: Database, *found: Evidence) -> None:
    async with database.write() as connection:
        await connection.execute(tables.evidence.insert(), [asdict(each) for each in found])


async def test_the_last_evidence_of_each_digest_counts(store: SqlStore, migrated: Database) -> None:
    await keep(migrated, evidence("pass"), evidence("pass", OTHER_DIGEST))
    await keep(migrated, evidence("fail", reason="500"))
    await keep(migrated, evidence("fail", OTHER_DIGEST, owner="acme"))

    found = await store.latest_evidence("platform", "weather", [DIGEST, OTHER_DIGEST, "sha256:" + "c" * 64])

    assert {digest: (e.outcome, e.reason) for digest, e in found.items()} == {
        DIGEST: ("fail", "500"),
        OTHER_DIGEST: ("pass", None),
    }


async def test_evidence_of_thousands_of_operations_is_found(store: SqlStore, migrated: Database) -> None:
    digests = [f"sha256:{number:064x}" for number in range(3000)]
    await keep(migrated, *(evidence("pass", digest) for digest in digests))

    assert len(await store.latest_evidence("platform", "weather", digests)) == 3000


async def test_of_moves_at_once_exactly_one_is_recorded(store: SqlStore) -> None:
    wanted = [*(move(f"m-{n}") for n in range(4)), *(withdrawal(f"w-{n}") for n in range(4))]

    outcomes = await asyncio.gather(*(store.record_move(each) for each in wanted))

    assert outcomes.count(True) == 1
    assert len(await store.open_moves()) == 1


async def test_moves_of_different_connectors_do_not_meet(store: SqlStore) -> None:
    assert await store.record_move(move("m-1"))
    assert await store.record_move(move("m-2", slug="other"))
    assert await store.record_move(move("m-3", owner="acme"))


@pytest.mark.parametrize(
    "recorded", [move("m-1", base_version="1.0.0", version="1.1.0", content_of="0.9.0"), withdrawal("m-1")]
)
async def test_a_move_comes_back_as_it_was_recorded(store: SqlStore, recorded: Move) -> None:
    await store.record_move(recorded)

    assert await store.move("m-1") == recorded
    assert await store.open_move("platform", "weather") == recorded
    assert await store.open_move("platform", "other") is None


async def test_each_step_happens_once(store: SqlStore, migrated: Database) -> None:
    recorded = move("m-1")
    await store.record_move(recorded)

    for _ in range(2):
        await store.note_applied("m-1", ENTRY)
    for number in range(2):
        await store.finish_move("m-1", [event("m-1"), event("m-2")], audit(f"a-{number}"))
    await store.fail_move("m-1", Refusal("conflict", "No."), audit("a-3"))

    assert await store.move("m-1") == replace(recorded, state=MoveState.DONE, entry=ENTRY)
    assert await waiting_events(migrated) == ["evt.v1.platform.connector.weather.version_published"] * 2
    assert [record.entry.id for record in await store.waiting_audit(10)] == ["a-0"]
    assert await store.open_moves() == []


async def test_a_failed_move_frees_the_slug_and_keeps_its_reason(store: SqlStore) -> None:
    await store.record_move(move("m-1"))
    await store.fail_move("m-1", Refusal("conflict", "No."), audit())

    assert (await store.move("m-1")).refusal == Refusal("conflict", "No.")
    assert await store.record_move(move("m-2"))


async def test_a_release_computed_before_another_was_finished_is_not_recorded(store: SqlStore) -> None:
    await _done(store, move("m-1"))

    assert not await store.record_move(move("m-2"))
    assert await store.record_move(move("m-3", base_version="1.0.0", version="1.0.1"))


async def test_withdrawals_follow_one_another(store: SqlStore) -> None:
    await _done(store, withdrawal("m-1"))

    assert await store.record_move(withdrawal("m-2"))


async def _done(store: SqlStore, made: Move) -> None:
    assert await store.record_move(made)
    await store.note_applied(made.id, ENTRY)
    await store.finish_move(made.id, [event()], audit(made.id))


def review(identifier: str, **values: Any) -> Review:
    first: dict[str, Any] = {
        "owner": "acme",
        "slug": "weather",
        "scope": "catalogue",
        "revision": 1,
        "digest": DIGEST,
        "document": {"name": "Wörds"},
        "bump": None,
        "notes": "",
        "saved_by": "ada",
        "requested_by": "max",
        "requested_at": utc_now(),
    }
    return Review(identifier, **{**first, **values})


def decision(state: Any = "approved") -> Decision:
    return Decision(state, "pat", utc_now(), "Good.")


async def test_of_reviews_at_once_one_is_opened(store: SqlStore, migrated: Database) -> None:
    wanted = [review(f"r-{n}") for n in range(6)]

    opened = await asyncio.gather(*(store.open_review(each, event(each.id), audit(each.id)) for each in wanted))

    assert len({each.id for each in opened}) == 1
    assert len(await waiting_events(migrated)) == 1
    (kept,) = await store.reviews(None, ListReviews())
    assert await store.review(kept.id, "acme") == replace(review(kept.id), number=kept.number,
                                                          requested_at=kept.requested_at)  # fmt: skip
    assert await store.review(kept.id, "globex") is None


async def test_a_review_of_another_document_supersedes_the_open_one(store: SqlStore) -> None:
    await store.open_review(review("r-1"), event("1"), audit("1"))
    await store.open_review(review("r-2", digest=OTHER_DIGEST), event("2"), audit("2"))

    assert [(each.id, each.state) for each in await store.reviews("acme", ListReviews())] == [
        ("r-2", "open"),
        ("r-1", "superseded"),
    ]
    assert await store.reviews("globex", ListReviews()) == []
    assert not await store.decide_review(review("r-1"), decision(), event("3"), audit("3"), move=None)


async def test_of_decisions_at_once_one_counts(store: SqlStore, migrated: Database) -> None:
    await store.open_review(review("r-1"), event("1"), audit("1"))

    outcomes = await asyncio.gather(
        *(
            store.decide_review(review("r-1"), decision(), event(f"d-{n}"), audit(f"d-{n}"), move=move(f"m-{n}"))
            for n in range(6)
        )
    )

    assert outcomes.count(True) == 1
    (begun,) = await store.open_moves()
    kept = await store.review("r-1", None)
    assert kept is not None
    assert (kept.state, kept.decided_by, kept.move) == ("approved", "pat", begun.id)
    assert [said.text for said in await store.comments("acme", "r-1")] == ["Good."]
    assert len(await waiting_events(migrated)) == 2


async def test_a_review_stays_open_where_its_move_cannot_begin(store: SqlStore) -> None:
    await store.open_review(review("r-1"), event("1"), audit("1"))
    await store.record_move(move("m-1"))

    assert not await store.decide_review(review("r-1"), decision(), event("d"), audit("d"), move=move("m-2"))

    kept = await store.review("r-1", None)
    assert kept is not None
    assert kept.state == "open"
    assert await store.comments("acme", "r-1") == []


async def test_publications_of_the_first_version_come_over_as_moves(database: Database) -> None:
    await upgrade(database, MIGRATIONS, "0001")
    row = {**asdict(move("m").release), "owner": "acme", "slug": "weather", "actor": "", "notes": "", "request_id": ""}
    for later in ("content_of", "source", "reviewed_by"):
        del row[later]
    table = sa.table("publications", *map(sa.column, [*row, "id", "created_at", "state", "entry"]))
    entry = msgspec.json.encode(ENTRY).decode()
    async with database.write() as connection:
        for number, state in enumerate(("published", "version_added", "failed")):
            more = {"id": f"m-{number}", "created_at": utc_now(), "state": state, "entry": entry}
            await connection.execute(sa.insert(table).values({**row, **more}))

    await upgrade(database, MIGRATIONS)

    store = SqlStore(database)
    (left,) = await store.open_moves()
    assert (left.id, left.kind, left.state, left.entry) == ("m-1", MoveKind.PUBLISH, MoveState.APPLIED, ENTRY)
    assert left.release == move("m").release
    assert (await store.move("m-0")).state is MoveState.DONE


async def test_audit_entries_wait_in_order_until_they_are_taken(store: SqlStore) -> None:
    for number in range(3):
        await store.open_review(review(f"r-{number}", slug=f"s-{number}"), event(f"e-{number}"), audit(f"a-{number}"))

    await store.audit_taken("a-0")

    assert [record.entry.id for record in await store.waiting_audit(10)] == ["a-1", "a-2"]
    assert [record.entry.id for record in await store.waiting_audit(1)] == ["a-1"]


async def test_the_migrations_make_the_tables_that_the_code_uses(migrated: Database) -> None:
    expected = MetaData()
    for metadata in (tables.metadata, outbox.metadata):
        for table in metadata.tables.values():
            table.to_metadata(expected)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), expected))

    async with migrated.read() as connection:
        assert await connection.run_sync(differences) == []
