"""A registry of 10,000 connectors with 20 operations each, on SQLite and PostgreSQL: list, search, get, publish.

What is timed are the registry's use cases over its store, without the bus. Each one that reads is held against the
same statements with the same values, on the same database, by the driver alone; and a worker's memory with as many
connectors against its memory with none.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import asyncpg
import uvloop

from benchmarks import goals, mirrors
from benchmarks.alone import Alone, Heard, asyncpg_alone, sqlite_alone
from benchmarks.comparison import Plan, Progress
from benchmarks.registries import OPERATIONS, Texts, filled, slug_of
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stats import figure, percentile, ratio
from services.registry.handlers import connectors, drafts, versions
from services.registry.handlers.ports import Caller, Projections
from services.registry.store import SqlStore
from shared.contracts.commands import AddVersion, GetVersion, ListConnectors, SaveDraft, ShowConnector
from shared.contracts.names import PLATFORM
from shared.persistence.engine import Database
from shared.security.principals import Principal, Role
from tests.support.servers import postgres_server

NAME: Final = "catalogue"
TITLE: Final = "10,000 connectors of 20 operations in the registry"
CONNECTORS: Final = 10_000
QUICK_CONNECTORS: Final = 500
PAGE: Final = 50
_SEARCH: Final = "search"

Times = dict[str, list[float]]
"""Seconds of each call, by what was called."""


class Round(NamedTuple):
    """What the use cases took, and what their statements took alone."""

    ours: Times
    alone: Times


def run(directory: Path, plan: Plan, progress: Progress) -> Result:
    """Fill both databases once, then time every use case in each round."""
    count = CONNECTORS if plan.seconds >= 1 else QUICK_CONNECTORS
    calls = max(20, int(60 * plan.seconds))
    texts = Texts(count)
    sqlite = uvloop.run(_on_sqlite(directory / "registry.db", texts, calls, plan.rounds, progress))
    with postgres_server() as url:
        postgres = uvloop.run(_on_postgres(url, texts, calls, plan.rounds, progress))
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=False),
        settings={"connectors": count, "operations of each": OPERATIONS, "rounds": plan.rounds, "calls a round": calls},
        rows=[
            *_rows("SQLite", sqlite),
            *_rows("PostgreSQL", postgres),
            *mirrors.rows(directory, count, plan.rounds, progress),
        ],
        goals=goals.catalogue_goals(*_medians(sqlite, _SEARCH)),
        remarks=[
            "Times of the registry's use cases over its store, one call at a time, without the bus.",
            "Alone: the same statements with the same values by sqlite3 and by asyncpg, without snapshot and answer.",
        ],
    )


async def _on_sqlite(file: Path, texts: Texts, calls: int, rounds: int, progress: Progress) -> list[Round]:
    async with filled(f"sqlite+aiosqlite:///{file}", texts, progress) as database, sqlite_alone(file) as alone:
        return await _Bench(database, texts, alone).rounds(rounds, calls, progress)


async def _on_postgres(url: str, texts: Texts, calls: int, rounds: int, progress: Progress) -> list[Round]:
    name = f"bench_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    address = f"{url.rpartition('/')[0]}/{name}"
    async with (
        filled(address.replace("postgresql://", "postgresql+asyncpg://", 1), texts, progress) as database,
        asyncpg_alone(address) as alone,
    ):
        return await _Bench(database, texts, alone).rounds(rounds, calls, progress)


class _NoProjections:
    """The bus is no part of this."""

    async def put_document(self, _digest: str, _content: bytes) -> None:
        pass


class _Bench:
    """A filled registry, and what is asked of it."""

    def __init__(self, database: Database, texts: Texts, alone: Alone) -> None:
        self._dialect = database.dialect
        self._store = SqlStore(database)
        self._texts = texts
        self._alone = alone
        self._heard = Heard(database.engine)
        self._viewer = Caller(Principal("vic", "acme", frozenset({Role.VIEWER})), "acme", "r")
        self._author = Caller(Principal("pat", PLATFORM, frozenset({Role.PLATFORM_ADMIN})), PLATFORM, "r")
        self._publisher = Caller(Principal("publisher", PLATFORM, frozenset({Role.PUBLISHER})), PLATFORM, "r")
        self._published = 0

    async def rounds(self, rounds: int, calls: int, progress: Progress) -> list[Round]:
        taken = []
        await self._round(10)
        for number in range(rounds):
            taken.append(await self._round(calls))
            progress(f"{self._dialect}: round {number + 1} of {rounds}")
        return taken

    async def _round(self, calls: int) -> Round:
        taken = Round({}, {})
        for _ in range(calls):
            for what, asked in self._questions().items():
                await self._both(taken, what, asked)
        for _ in range(max(5, calls // 10)):
            await _timed(taken.ours, "save and add a version", self._publish())
        return taken

    def _questions(self) -> dict[str, Callable[[], Awaitable[object]]]:
        store, viewer = self._store, self._viewer
        slug, text = slug_of(self._texts.random.randrange(self._texts.count)), self._texts.question()

        def page(**query: Any) -> Callable[[], Awaitable[object]]:
            return lambda: connectors.page(store, viewer, ListConnectors(limit=PAGE, **query))

        return {
            "list": page(),
            "list, further on": page(after=slug),
            "list by name": page(sort="name"),
            _SEARCH: page(search=text),
            "show": lambda: connectors.show(store, viewer, ShowConnector(slug=slug)),
            "get a version": lambda: versions.get(store, viewer, GetVersion(slug=slug)),
        }

    async def _both(self, taken: Round, what: str, asked: Callable[[], Awaitable[object]]) -> None:
        """Once each, to hear the statements and to have the pages in either's cache; then once more, either first."""
        self._heard.begin()
        await asked()
        statements = self._heard.said()
        await self._alone.repeat(statements)
        alone_first = self._texts.random.random() < 0.5
        if alone_first:
            await _timed(taken.alone, what, self._alone.repeat(statements))
        await _timed(taken.ours, what, asked())
        if not alone_first:
            await _timed(taken.alone, what, self._alone.repeat(statements))

    async def _publish(self) -> None:
        self._published += 1
        slug = f"published-{self._published}"
        document = self._texts.document(slug)
        saved = await drafts.save(self._store, self._author, SaveDraft(slug=slug, document=document))
        command = AddVersion(
            publication_id=slug,
            slug=slug,
            version="1.0.0",
            digest=saved.digest,
            scope="catalogue",
            revision=saved.revision,
            actor="pat",
        )
        await versions.add(self._store, cast("Projections", _NoProjections()), self._publisher, command)


async def _timed(times: Times, what: str, asked: Awaitable[object]) -> None:
    started = time.perf_counter()
    await asked
    times.setdefault(what, []).append(time.perf_counter() - started)


def _rows(database: str, rounds: Sequence[Round]) -> list[Row]:
    rows = []
    for what in rounds[0].ours:
        figures = {
            "p50 ms": figure([percentile(taken.ours[what], 0.5) * 1e3 for taken in rounds]),
            "p99 ms": figure([percentile(taken.ours[what], 0.99) * 1e3 for taken in rounds]),
        }
        if what in rounds[0].alone:
            ours, alone = _medians(rounds, what)
            figures |= {"alone p50 ms": figure([p50 * 1e3 for p50 in alone]), "over alone": ratio(ours, alone)}
        rows.append(Row(f"{database}: {what}", 1, figures))
    return rows


def _medians(rounds: Sequence[Round], what: str) -> tuple[list[float], list[float]]:
    """Ours and alone, of each round."""
    return [percentile(taken.ours[what], 0.5) for taken in rounds], [
        percentile(taken.alone[what], 0.5) for taken in rounds
    ]
