"""Registries with many connectors, for the catalogue's benchmark: what they hold, and how they are filled."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple

from benchmarks.comparison import Progress
from services.registry.app import MIGRATIONS
from services.registry.domain.drafts import Revision
from services.registry.domain.search import words_of
from services.registry.handlers.ports import ConnectorSummary, DraftState, VersionRecord, Work
from services.registry.store import SqlStore
from shared.contracts.clock import utc_now
from shared.contracts.names import PLATFORM
from shared.contracts.template import document_digest
from shared.persistence.engine import Database
from shared.persistence.migrate import upgrade

OPERATIONS: Final = 20
_VOCABULARY: Final = 3_000
_BATCH: Final = 2_000


def slug_of(number: int) -> str:
    return f"connector-{number}"


class Prepared(NamedTuple):
    """A document, and what the use cases make of it."""

    slug: str
    document: dict[str, Any]
    digest: str
    found_by: str


class Texts:
    """Documents of `count` connectors, and questions, of made-up words: the same in every run."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.random = random.Random(20)
        syllables = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in "aeiou"]
        self._words = ["".join(self.random.choices(syllables, k=3)) for _ in range(_VOCABULARY)]

    @cached_property
    def prepared(self) -> list[Prepared]:
        """Every connector, for more databases than one: to make it costs as much as to store it."""
        return [self._prepared(slug_of(number)) for number in range(self.count)]

    def document(self, slug: str) -> dict[str, Any]:
        """A valid template."""
        return {
            "name": self._some(2).title(),
            "slug": slug,
            "type": "General",
            "description": self._some(8),
            "base_url": f"https://{slug}.example.com",
            "auth_type": "none",
            "operations": [self._operation(number) for number in range(OPERATIONS)],
        }

    def question(self) -> str:
        """What a search box holds while somebody types: the beginning of a word, or a word and the next one's."""
        before = f"{self._some(1)} " if self.random.random() < 0.3 else ""
        return before + self._some(1)[: self.random.randint(2, 6)]

    def _prepared(self, slug: str) -> Prepared:
        document = self.document(slug)
        return Prepared(slug, document, document_digest(document), words_of(slug, document))

    def _operation(self, number: int) -> dict[str, Any]:
        name = f"get_{self._some(1)}_{number}"
        return {
            "operation": name,
            "description": self._some(4),
            "method": "GET",
            "path": f"/{name}",
            "parameters": [{"name": "q", "location": "query", "required": True}],
            "response_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        }

    def _some(self, count: int) -> str:
        return " ".join(self.random.choices(self._words, k=count))


@asynccontextmanager
async def filled(url: str, texts: Texts, progress: Progress) -> AsyncIterator[Database]:
    """A database with all connectors of `texts`, published by the platform."""
    database = Database.open(url)
    try:
        await upgrade(database, MIGRATIONS)
        store = SqlStore(database)
        for first in range(0, texts.count, _BATCH):
            async with store.write() as work:
                for prepared in texts.prepared[first : first + _BATCH]:
                    await _publish(work, prepared)
            progress(f"{database.dialect}: {min(first + _BATCH, texts.count):,} connectors")
        await _settle(database)
        yield database
    finally:
        await database.close()


async def _publish(work: Work, prepared: Prepared) -> None:
    """A draft and its version, as the use cases leave them, without what they check."""
    slug, document, digest, found_by = prepared
    at = utc_now()
    name = document["name"]
    await work.drafts.create(
        PLATFORM, slug, DraftState(Revision(1, digest, "pat", at), name, "General", found_by, document)
    )
    record = VersionRecord(
        owner=PLATFORM,
        slug=slug,
        version="1.0.0",
        digest=digest,
        scope="catalogue",
        revision=1,
        publication_id=slug,
        published_by="pat",
        published_at=at,
    )
    await work.versions.add(record, document)
    await work.versions.summarise(PLATFORM, slug, ConnectorSummary(name, "General", found_by, "published", "1.0.0", at))


async def _settle(database: Database) -> None:
    """What a database does by itself after a while: statistics for its planner."""
    async with database.write() as connection:
        await connection.exec_driver_sql("ANALYZE")
