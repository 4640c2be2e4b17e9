"""The index of words, as SQLite (FTS5) and PostgreSQL (lexemes with a GIN index) keep it.

Both find beginnings of words. What a person typed comes here as words of letters and digits alone, and is quoted
nevertheless: none of it is ever read as the query language of an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, column, insert, literal_column, table, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.store.tables import connector_words

_FTS5: Final = table("connector_search", column("rowid"), column("connector_search"))
_LEXEMES: Final[ColumnElement[Any]] = literal_column("connector_words.connector_search")
"""A column that PostgreSQL makes of the words."""


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


def found_by(query: Select[Any], dialect: str) -> Select[Any]:
    """A query over `connector_words`, for the rows alone that the parameter `words`, a `search_text`, finds."""
    if dialect == "sqlite":
        index = query.join(_FTS5, _FTS5.c.rowid == connector_words.c.id)
        return index.where(_FTS5.c.connector_search.op("MATCH")(bindparam("words")))
    return query.where(_LEXEMES.op("@@")(cast(bindparam("words", type_=Text), postgresql.TSQUERY)))


def search_text(dialect: str, words: Sequence[str]) -> str:
    """What finds rows that have a word with each of these beginnings, in the words of the index."""
    if dialect == "sqlite":
        return " AND ".join(f'"{word}"*' for word in words)
    return " & ".join(f"'{word}':*" for word in words)
