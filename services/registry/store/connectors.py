"""Lists of connectors: narrow rows by key, never a document.

There are as many statements as shapes of questions. Each is built once; a question brings the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    collate,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.search import Question
from services.registry.store.search import found_by, search_text
from services.registry.store.tables import connector_words, connectors
from shared.contracts.commands import ConnectorRow, ConnectorSort
from shared.contracts.names import PLATFORM
from shared.contracts.versions import OFFERED

Condition = ColumnElement[bool]
Text = ColumnElement[str]

_ENTERPRISE: Final[Any] = bindparam("enterprise")


class SqlConnectors:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, enterprise: str, *, drafts: bool, question: Question, limit: int) -> list[ConnectorRow]:
        if question.words == ():
            return []  # something was asked for, and there is no word in it
        shape = _Shape(
            dialect=self._connection.dialect.name,
            platform=enterprise == PLATFORM,
            drafts=drafts,
            sort=question.sort,
            descending=question.descending,
            after=question.after is not None,
            words=question.words is not None,
            type=question.type is not None,
            state=question.state is not None,
        )
        last, last_slug = question.after or ("", "")
        values = {
            "enterprise": enterprise,
            "last": last,
            "last_slug": last_slug,
            "words": search_text(shape.dialect, question.words or ()),
            "type": question.type,
            "state": question.state,
            "limit": limit,
        }
        rows = await self._connection.execute(_statement(shape), values)
        return [_row(row) for row in rows.all()]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement depends on."""

    dialect: str
    platform: bool
    drafts: bool
    sort: ConnectorSort
    descending: bool
    after: bool
    words: bool
    type: bool
    state: bool


@lru_cache(maxsize=512)
def _statement(shape: _Shape) -> Select[Any]:
    """One walk over each owner's rows in their order, or over those alone that have the words."""
    visible = _visible(shape)
    if shape.words:
        visible = [or_(*visible)]
    parts = [_part(shape, condition).limit(bindparam("limit")) for condition in visible]
    if len(parts) == 1:
        return parts[0]
    both = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return _in_order(shape, select(both), both.c.position, both.c.slug).limit(bindparam("limit"))


def _visible(shape: _Shape) -> Sequence[Condition]:
    """The enterprise's own rows, and the catalogue's where it has none of the slug. One slug, one row."""
    own = connectors.c.owner == _ENTERPRISE
    mine = own if shape.drafts else and_(own, connectors.c.state != "draft")
    if shape.platform:
        return [mine]
    twin = connectors.alias("own")
    hidden = select(literal(1)).where(twin.c.owner == _ENTERPRISE, twin.c.slug == connectors.c.slug)
    if not shape.drafts:
        hidden = hidden.where(twin.c.state != "draft")
    states = [literal(state) for state in sorted(OFFERED)]  # of a list of plain values the statement is written anew
    offered = and_(connectors.c.owner == PLATFORM, connectors.c.state.in_(states), ~hidden.exists())
    return [mine, offered]


_COLUMNS: Final = (
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
)


def _part(shape: _Shape, condition: Condition) -> Select[Any]:
    """Rows that fulfil the condition, and the question's, in its order."""
    as_draft = connectors.c.owner == _ENTERPRISE if shape.drafts else literal(False)
    shown = _shown(shape, shape.sort)
    position = shown if shape.dialect == "sqlite" else collate(shown, "C")  # by its bytes, on both
    query = select(*_COLUMNS, as_draft.label("as_draft"), position.label("position")).where(condition)
    if shape.state:
        query = query.where(connectors.c.state == bindparam("state"))
    if shape.type:
        query = query.where(_shown(shape, "type") == bindparam("type"))
    if shape.words:
        query = found_by(_with_words(query, as_draft), shape.dialect)
    if shape.after:
        query = query.where(_beyond(shape, position))
    return _in_order(shape, query, position, connectors.c.slug)


def _shown(shape: _Shape, what: ConnectorSort) -> Text:
    """What the caller is shown: the draft's where it sees drafts and the connector is its own."""

    def either(draft: Text, published: Text) -> Text:
        return case((connectors.c.owner == _ENTERPRISE, draft), else_=published) if shape.drafts else published

    match what:
        case "slug":
            return connectors.c.slug
        case "name":
            return either(connectors.c.name_folded, connectors.c.published_name_folded)
        case "type":
            return either(connectors.c.type, connectors.c.published_type)
        case "state":
            return connectors.c.state
        case "changed":
            return either(connectors.c.saved_at, connectors.c.published_at)


def _in_order(shape: _Shape, query: Select[Any], position: Text, slug: Text) -> Select[Any]:
    """Sorted; rows of the same position by slug."""
    order = position.desc() if shape.descending else position.asc()
    return query.order_by(order) if shape.sort == "slug" else query.order_by(order, slug)


def _beyond(shape: _Shape, position: Text) -> Condition:
    """After the row that the question names."""
    last: Any = bindparam("last")
    beyond: Condition = position < last if shape.descending else position > last
    if shape.sort == "slug":
        return beyond
    return or_(beyond, and_(position == last, connectors.c.slug > bindparam("last_slug")))


def _with_words(query: Select[Any], as_draft: Condition) -> Select[Any]:
    """Joined to the words of what the caller is shown."""
    own = connector_words.c
    same = and_(own.owner == connectors.c.owner, own.slug == connectors.c.slug, own.draft == as_draft)
    return query.join(connector_words, same).where(or_(own.owner == _ENTERPRISE, own.owner == PLATFORM))


def _row(row: Row[Any]) -> ConnectorRow:
    """From the columns in their order, which costs less than asking each by its name."""
    values: tuple[Any, ...] = tuple(row)
    slug, owner, *both, state, revision, latest_version, as_draft, _position = values
    name, kind, changed_at = both[:3] if as_draft else both[3:]
    return ConnectorRow(
        slug=slug,
        owner=owner,
        name=name,
        type=kind,
        state=state,
        draft_revision=revision if as_draft else None,
        latest_version=latest_version,
        changed_at=changed_at,
    )
