"""Lists of connectors: narrow rows by key, never a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, case, collate, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.search import Question
from services.registry.domain.versions import OFFERED
from services.registry.store.search import matches
from services.registry.store.tables import connector_words, connectors
from shared.contracts.commands import ConnectorRow, ConnectorSort
from shared.contracts.names import PLATFORM

Draft = ColumnElement[bool]
"""True where the caller is shown the draft."""


class SqlConnectors:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, enterprise: str, *, drafts: bool, question: Question, limit: int) -> list[ConnectorRow]:
        if question.words == ():
            return []  # something was asked for, and there is no word in it
        dialect = self._connection.dialect.name
        as_draft = _shown_as_draft(enterprise, drafts=drafts)
        query = _visible(enterprise, drafts=drafts).limit(limit)
        query = _in_order(query, question, _sorted_by(question.sort, as_draft, dialect))
        if question.words is not None:
            query = _found(query, question.words, as_draft, enterprise, dialect)
        if question.state is not None:
            query = query.where(connectors.c.state == question.state)
        if question.type is not None:
            query = query.where(_SHOWN["type"](as_draft) == question.type)
        return [_row(row) for row in await self._connection.execute(query)]


def _visible(enterprise: str, *, drafts: bool) -> Select[Any]:
    """The enterprise's own rows, and the catalogue's where it has none of the slug. One slug, one row."""
    own = connectors.c.owner == enterprise
    seen = _shown_as_draft(enterprise, drafts=drafts)
    mine = own if drafts else and_(own, connectors.c.state != "draft")
    twin = connectors.alias("own")
    hidden = select(literal(1)).where(twin.c.owner == enterprise, twin.c.slug == connectors.c.slug)
    if not drafts:
        hidden = hidden.where(twin.c.state != "draft")
    offered = and_(connectors.c.owner == PLATFORM, connectors.c.state.in_(sorted(OFFERED)), ~hidden.exists())
    return select(
        connectors.c.slug,
        connectors.c.owner,
        connectors.c.name,
        connectors.c.type,
        connectors.c.saved_at,
        connectors.c.published_name,
        connectors.c.published_type,
        connectors.c.published_at,
        connectors.c.state,
        connectors.c.revision,
        connectors.c.latest_version,
        seen.label("as_draft"),
    ).where(or_(mine, offered))


def _shown_as_draft(enterprise: str, *, drafts: bool) -> Draft:
    return and_(connectors.c.owner == enterprise, literal(drafts))


_SHOWN: Final[Mapping[ConnectorSort, Callable[[Draft], ColumnElement[str]]]] = {
    "slug": lambda _: connectors.c.slug,
    "name": lambda draft: case((draft, connectors.c.name_folded), else_=connectors.c.published_name_folded),
    "type": lambda draft: case((draft, connectors.c.type), else_=connectors.c.published_type),
    "state": lambda _: connectors.c.state,
    "changed": lambda draft: case((draft, connectors.c.saved_at), else_=connectors.c.published_at),
}
"""What lists are sorted by, as the caller is shown it."""


def _sorted_by(sort: ConnectorSort, as_draft: Draft, dialect: str) -> ColumnElement[str]:
    """Sorted by its bytes, on both databases."""
    shown = _SHOWN[sort](as_draft)
    return shown if dialect == "sqlite" else collate(shown, "C")


def _in_order(query: Select[Any], question: Question, value: ColumnElement[str]) -> Select[Any]:
    """Sorted, rows of the same value by slug; after the row that the question names."""
    slug = connectors.c.slug
    alone = question.sort == "slug"
    order = value.desc() if question.descending else value.asc()
    query = query.order_by(order) if alone else query.order_by(order, slug)
    if question.after is None:
        return query
    last, last_slug = question.after
    beyond = value < last if question.descending else value > last
    return query.where(beyond if alone else or_(beyond, and_(value == last, slug > last_slug)))


def _found(query: Select[Any], words: tuple[str, ...], as_draft: Draft, enterprise: str, dialect: str) -> Select[Any]:
    """Those that have all the words in what the caller is shown."""
    own = connector_words.c
    return query.join(
        connector_words,
        and_(
            own.owner == connectors.c.owner,
            own.slug == connectors.c.slug,
            own.draft == as_draft,
        ),
    ).where(own.owner.in_([enterprise, PLATFORM]), matches(dialect, words))


def _row(row: Row[Any]) -> ConnectorRow:
    return ConnectorRow(
        slug=row.slug,
        owner=row.owner,
        name=row.name if row.as_draft else row.published_name,
        type=row.type if row.as_draft else row.published_type,
        state=row.state,
        draft_revision=row.revision if row.as_draft else None,
        latest_version=row.latest_version,
        changed_at=row.saved_at if row.as_draft else row.published_at,
    )
