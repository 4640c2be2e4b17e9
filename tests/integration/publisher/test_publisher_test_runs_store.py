"""Test runs on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from services.publisher.domain import runs
from services.publisher.domain.evidence import Evidence
from services.publisher.domain.runs import Run
from services.publisher.handlers import test_records
from services.publisher.handlers.ports import Ending
from services.publisher.store import SqlStore, SqlTestRuns
from shared.contracts import commands
from shared.contracts.clock import utc_now
from shared.contracts.commands import Exchange, ListTests, RecordedBody, RecordedRequest
from shared.persistence.engine import Database

DIGEST = "sha256:" + "a" * 64
STEPS = [commands.TestStep(number=n, kind="operation", operation=f"get_{n}") for n in (1, 2)]
EXCHANGE = Exchange(
    request=RecordedRequest(
        method="GET",
        url="https://api.example.com/ä",
        headers=[("Accept", "*/*"), ("X", "1")],
        body=RecordedBody(encoding="text", text="x", size=1),
    )
)


@pytest.fixture
def kept(migrated: Database) -> SqlTestRuns:
    return SqlTestRuns(migrated)


def run(identifier: str, **values: Any) -> Run:
    first: dict[str, Any] = {
        "owner": "acme",
        "slug": "weather",
        "revision": 3,
        "digest": DIGEST,
        "actor": "ada",
        "request_id": "r",
        "started_at": utc_now(),
    }
    return Run(identifier, **{**first, **values})


def found(run_id: str, outcome: Any = "pass", digest: str = DIGEST) -> Evidence:
    return Evidence(run_id, "acme", "weather", "get_1", digest, outcome, None, 200, 1.5, "ada", utc_now())


def ending(*digests: str) -> Callable[[Run, list[commands.TestStep]], Ending]:
    def end(run: Run, steps: list[commands.TestStep]) -> Ending:
        ended, left = runs.broken_off(run, steps, state="cancelled", reason="Enough.", at=utc_now())
        return Ending(ended, left, test_records.completed(ended, left), test_records.audit(ended), digests)

    return end


async def test_a_run_comes_back_as_it_was_kept(kept: SqlTestRuns, store: SqlStore) -> None:
    begun = run("r-1")
    assert await kept.add(begun, STEPS) is None
    passed = STEPS[0].model_copy(update={"seq": 2, "outcome": "pass", "schema_errors": [{"path": "/a"}]})
    assert await kept.note(begun, passed, exchange=EXCHANGE, evidence=found("r-1"))

    back = await kept.find("acme", "r-1")

    assert back is not None
    assert back == (replace(begun, number=back[0].number), [passed, STEPS[1]])
    assert await kept.exchange("acme", "r-1", 1) == EXCHANGE
    assert await kept.exchange("acme", "r-1", 2) is None
    assert (await store.latest_evidence("acme", "weather", [DIGEST]))[DIGEST].run_id == "r-1"


async def test_another_owner_finds_nothing_of_it(kept: SqlTestRuns) -> None:
    await kept.add(run("r-1"), STEPS)
    await kept.note(run("r-1"), STEPS[0], exchange=EXCHANGE)

    assert await kept.find("globex", "r-1") is None
    assert await kept.exchange("globex", "r-1", 1) is None
    assert await kept.page("globex", ListTests(slug="weather")) == []
    assert await kept.end("globex", "r-1", ending()) is None
    assert not await kept.beat(run("r-1", owner="globex"))


async def test_of_runs_of_one_person_at_once_one_begins(kept: SqlTestRuns) -> None:
    others = await asyncio.gather(*(kept.add(run(f"r-{n}"), STEPS) for n in range(4)))

    assert others.count(None) == 1
    assert len({other for other in others if other}) == 1
    assert await kept.add(run("r-5", actor="bob"), STEPS) is None
    assert await kept.add(run("r-6", slug="other"), []) is None
    assert len(await kept.under_way()) == 3


async def test_a_run_ends_once_and_nothing_is_kept_after_that(kept: SqlTestRuns, store: SqlStore) -> None:
    begun = run("r-1")
    await kept.add(begun, STEPS)
    await kept.note(begun, STEPS[0].model_copy(update={"seq": 2, "outcome": "pass"}))

    ends = await asyncio.gather(*(kept.end("acme", "r-1", ending()) for _ in range(3)))

    assert sum(end is not None for end in ends) == 1
    assert not await kept.note(begun, STEPS[0], evidence=found("r-1", "fail"))
    back = await kept.find("acme", "r-1")
    assert back is not None
    assert (back[0].state, back[0].passed, back[0].skipped) == ("cancelled", 1, 1)
    assert [step.outcome for step in back[1]] == ["pass", "skip"]
    assert len(await store.waiting_audit(10)) == 1
    assert await store.latest_evidence("acme", "weather", [DIGEST]) == {}
    assert await kept.under_way() == []
    assert await kept.add(run("r-2"), STEPS) is None


async def test_a_run_that_goes_on_beats(kept: SqlTestRuns) -> None:
    begun = run("r-1")
    await kept.add(begun, STEPS)
    [(_, before)] = await kept.under_way()

    assert await kept.beat(begun)

    [(same, after)] = await kept.under_way()
    assert (same.id, after > before) == ("r-1", True)


async def test_what_cannot_be_kept_whole_is_not_kept(kept: SqlTestRuns) -> None:
    begun = run("r-1")
    await kept.add(begun, STEPS)

    with pytest.raises(IntegrityError):
        await kept.note(begun, STEPS[0].model_copy(update={"seq": 9}), evidence=found("r-1", "nope"))

    back = await kept.find("acme", "r-1")
    assert back is not None
    assert back[1] == STEPS


async def test_the_last_runs_stay_and_what_is_evidence(
    kept: SqlTestRuns, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.publisher.store.test_runs.MAX_TEST_RUNS", 3)
    other = "sha256:" + "b" * 64
    for number in range(6):
        begun = run(f"r-{number}")
        await kept.add(begun, STEPS)
        if number in {0, 1}:
            await kept.note(begun, STEPS[0], evidence=found(begun.id, digest=(DIGEST, other)[number]))
        await kept.end("acme", begun.id, ending(DIGEST))

    page = await kept.page("acme", ListTests(slug="weather"))

    assert [each.id for each in page] == ["r-5", "r-4", "r-3", "r-0"]
    assert await kept.find("acme", "r-1") is None
    back = await kept.find("acme", "r-0")
    assert back is not None
    assert len(back[1]) == 2


async def test_runs_are_found_page_by_page(kept: SqlTestRuns) -> None:
    for number in range(4):
        await kept.add(run(f"r-{number}", actor=f"a-{number}"), STEPS)

    first = await kept.page("acme", ListTests(slug="weather", limit=2))
    second = await kept.page("acme", ListTests(slug="weather", limit=2, before=first[1].number))

    assert [each.id for each in first] == ["r-3", "r-2", "r-1"]
    assert [each.id for each in second] == ["r-1", "r-0"]
