"""Lists of connectors: narrow rows by key, never a document."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.versions import OFFERED
from services.registry.store.tables import connectors
from shared.contracts.commands import ConnectorRow
from shared.contracts.names import PLATFORM


class SqlConnectors:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(
        self, enterprise: str, *, drafts: bool, search: str | None, after: str | None, limit: int
    ) -> list[ConnectorRow]:
        query = _visible(enterprise, drafts=drafts).order_by("slug").limit(limit)
        if after is not None:
            query = query.where(connectors.c.slug > after)
        if search:
            query = query.where(_matches(search, enterprise, drafts=drafts))
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
        connectors.c.published_name,
        connectors.c.published_type,
        connectors.c.state,
        connectors.c.revision,
        connectors.c.latest_version,
        seen.label("as_draft"),
    ).where(or_(mine, offered))


def _shown_as_draft(enterprise: str, *, drafts: bool) -> ColumnElement[bool]:
    return and_(connectors.c.owner == enterprise, literal(drafts))


def _matches(search: str, enterprise: str, *, drafts: bool) -> ColumnElement[bool]:
    """Substring of the slug, or of the name that the caller is shown."""
    wanted = search.casefold()
    return or_(
        connectors.c.slug.contains(wanted, autoescape=True),
        and_(
            _shown_as_draft(enterprise, drafts=drafts),
            connectors.c.name_folded.contains(wanted, autoescape=True),
        ),
        and_(
            ~_shown_as_draft(enterprise, drafts=drafts),
            connectors.c.published_name_folded.contains(wanted, autoescape=True),
        ),
    )


def _row(row: Row[Any]) -> ConnectorRow:
    return ConnectorRow(
        slug=row.slug,
        owner=row.owner,
        name=row.name if row.as_draft else row.published_name,
        type=row.type if row.as_draft else row.published_type,
        state=row.state,
        draft_revision=row.revision if row.as_draft else None,
        latest_version=row.latest_version,
    )
