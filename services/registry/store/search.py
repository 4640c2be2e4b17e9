"""The index of words, as SQLite (FTS5) and PostgreSQL (a GIN index over lexemes) keep it.

Both find beginnings of words. What a person typed comes here as words of letters and digits alone, and is quoted
nevertheless: none of it is ever read as the query language of an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, cast, column, func, insert, select, table, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.store.tables import connector_words

_FTS5: Final = table("connector_search", column("rowid"), column("connector_search"))


async def write_words(connection: AsyncConnection, owner: str, slug: str, words: str, *, draft: bool) -> None:
    """Have the draft, or the latest version, of a connector that is locked be found by these words."""
    place = (
        connector_words.c.owner == owner,
        connector_words.c.slug == slug,
        connector_words.c.draft.is_(draft),
    )
    written = await connection.execute(update(connector_words).where(*place).values(words=words))
    if not written.rowcount:
        await connection.execute(insert(connector_words).values(owner=owner, slug=slug, draft=draft, words=words))


def matches(dialect: str, words: Sequence[str]) -> ColumnElement[bool]:
    """Rows of `connector_words` that have a word with each of these beginnings."""
    if dialect == "sqlite":
        wanted = " AND ".join(f'"{word}"*' for word in words)
        return connector_words.c.id.in_(select(_FTS5.c.rowid).where(_FTS5.c.connector_search.op("MATCH")(wanted)))
    wanted = " & ".join(f"'{word}':*" for word in words)
    lexemes = func.array_to_tsvector(func.string_to_array(connector_words.c.words, " "))
    return lexemes.op("@@")(cast(wanted, postgresql.TSQUERY))
