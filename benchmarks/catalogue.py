"""A registry of 10,000 connectors with 20 operations each, on SQLite and PostgreSQL: list, search, get, publish.

What is timed are the registry's use cases over its store, without the bus. Each search on SQLite is held against the
same statement with the same values, on the same file, by the `sqlite3` of the standard library.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import uvloop
from sqlalchemy import event

from benchmarks import goals
from benchmarks.comparison import Plan, Progress
from benchmarks.registries import OPERATIONS, Texts, filled
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stats import figure, percentile
from services.registry.domain.search import words
from services.registry.handlers import connectors, drafts, versions
from services.registry.handlers.ports import Caller, Projections
from services.registry.store import SqlStore
from services.registry.store.search import search_text
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
_ALONE: Final = "search, sqlite3 alone"
_SEARCH: Final = "search"

Times = dict[str, list[float]]
"""Seconds of each call, by what was called."""


def run(directory: Path, plan: Plan, progress: Progress) -> Result:
    """Fill both databases once, then time every use case in each round."""
    count = CONNECTORS if plan.seconds >= 1 else QUICK_CONNECTORS
    calls = max(20, int(60 * plan.seconds))
    sqlite = uvloop.run(_on_sqlite(directory / "registry.db", count, calls, plan.rounds, progress))
    with postgres_server() as url:
        postgres = uvloop.run(_on_postgres(url, count, calls, plan.rounds, progress))
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=False),
        settings={"connectors": count, "operations of each": OPERATIONS, "rounds": plan.rounds, "calls a round": calls},
        rows=[*_rows("SQLite", sqlite), *_rows("PostgreSQL", postgres)],
        goals=goals.catalogue_goals(_medians(sqlite, _SEARCH), _medians(sqlite, _ALONE)),
        remarks=["Times of the registry's use cases over its store, one call at a time, without the bus."],
    )


async def _on_sqlite(file: Path, count: int, calls: int, rounds: int, progress: Progress) -> list[Times]:
    texts = Texts()
    async with filled(f"sqlite+aiosqlite:///{file}", count, texts, progress) as database:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            return await _Bench(database, texts, count, connection).rounds(rounds, calls, progress)


async def _on_postgres(url: str, count: int, calls: int, rounds: int, progress: Progress) -> list[Times]:
    texts, name = Texts(), f"bench_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    address = url.replace("postgresql://", "postgresql+asyncpg://", 1).rpartition("/")[0] + f"/{name}"
    async with filled(address, count, texts, progress) as database:
        return await _Bench(database, texts, count).rounds(rounds, calls, progress)


class _NoProjections:
    """The bus is no part of this."""

    async def put_document(self, _digest: str, _content: bytes) -> None:
        pass


class _Bench:
    """A filled registry, and what is asked of it; with `alone`, each search is repeated there."""

    def __init__(self, database: Database, texts: Texts, count: int, alone: sqlite3.Connection | None = None) -> None:
        self._dialect = database.dialect
        self._store = SqlStore(database)
        self._texts = texts
        self._count = count
        self._alone = alone
        self._viewer = Caller(Principal("vic", "acme", frozenset({Role.VIEWER})), "acme", "r")
        self._author = Caller(Principal("pat", PLATFORM, frozenset({Role.PLATFORM_ADMIN})), PLATFORM, "r")
        self._publisher = Caller(Principal("publisher", PLATFORM, frozenset({Role.PUBLISHER})), PLATFORM, "r")
        self._published = 0
        self._sent: tuple[str, Any] = ("", ())
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)

    async def rounds(self, rounds: int, calls: int, progress: Progress) -> list[Times]:
        taken = []
        await self._round({}, 10)
        for number in range(rounds):
            times: Times = {}
            await self._round(times, calls)
            taken.append(times)
            progress(f"{self._dialect}: round {number + 1} of {rounds}")
        return taken

    async def _round(self, times: Times, calls: int) -> None:
        for _ in range(calls):
            slug, question = self._texts.slug(self._texts.random.randrange(self._count)), self._texts.question()
            await _timed(times, "list", self._page(ListConnectors(limit=PAGE)))
            await _timed(times, "list, further on", self._page(ListConnectors(limit=PAGE, after=slug)))
            await _timed(times, "list by name", self._page(ListConnectors(limit=PAGE, sort="name")))
            await self._search(times, question)
            await _timed(times, "show", connectors.show(self._store, self._viewer, ShowConnector(slug=slug)))
            await _timed(times, "get a version", versions.get(self._store, self._viewer, GetVersion(slug=slug)))
        for _ in range(max(5, calls // 10)):
            await _timed(times, "save and add a version", self._publish())

    async def _page(self, query: ListConnectors) -> None:
        await connectors.page(self._store, self._viewer, query)

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

    async def _search(self, times: Times, question: str) -> None:
        """Here and alone, each first in half of the cases: whoever comes second finds the pages in memory."""
        alone_first = self._texts.random.random() < 0.5
        if alone_first:
            self._search_alone(times, question)
        await _timed(times, _SEARCH, self._page(ListConnectors(limit=PAGE, search=question)))
        if not alone_first:
            self._search_alone(times, question)

    def _search_alone(self, times: Times, question: str) -> None:
        statement, values = self._sent
        if self._alone is not None and statement:
            wanted = search_text("sqlite", words(question))
            asked = [wanted if isinstance(value, str) and value.startswith('"') else value for value in values]
            started = time.perf_counter()
            self._alone.execute(statement, asked).fetchall()
            times.setdefault(_ALONE, []).append(time.perf_counter() - started)

    def _note(self, *said: Any) -> None:
        """Keep what the last search sent."""
        if "MATCH" in said[2]:
            self._sent = said[2], said[3]


async def _timed(times: Times, what: str, asked: Awaitable[object]) -> None:
    started = time.perf_counter()
    await asked
    times.setdefault(what, []).append(time.perf_counter() - started)


def _rows(database: str, rounds: Sequence[Times]) -> list[Row]:
    return [
        Row(
            f"{database}: {what}",
            1,
            {
                "p50 ms": figure([p50 * 1e3 for p50 in _medians(rounds, what)]),
                "p99 ms": figure([percentile(times[what], 0.99) * 1e3 for times in rounds]),
            },
        )
        for what in rounds[0]
    ]


def _medians(rounds: Sequence[Times], what: str) -> list[float]:
    return [percentile(times[what], 0.5) for times in rounds]
