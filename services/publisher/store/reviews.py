"""Reviews in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.publisher.domain.reviews import Comment, Decision, Review
from services.publisher.store.tables import review_comments, reviews
from shared.contracts.commands import ListReviews
from shared.persistence.tenancy import across_tenants


async def find(connection: AsyncConnection, identifier: str, owner: str | None) -> Review | None:
    """The review, if it is `owner`'s; anybody's for None."""
    rows = await connection.execute(_of(sa.select(reviews).where(reviews.c.id == identifier), owner))
    row = rows.mappings().first()
    return _from_row(row) if row else None


async def page(connection: AsyncConnection, owner: str | None, query: ListReviews) -> list[Review]:
    """One more than the query's limit, the newest first; without documents."""
    columns = [column for column in reviews.c if column.name != "document"]
    found = sa.select(*columns).order_by(reviews.c.number.desc()).limit(query.limit + 1)
    if query.slug is not None:
        found = found.where(reviews.c.slug == query.slug)
    if query.state is not None:
        found = found.where(reviews.c.state == query.state)
    if query.before is not None:
        found = found.where(reviews.c.number < query.before)
    return [_from_row(row) for row in (await connection.execute(_of(found, owner))).mappings()]


async def opened(connection: AsyncConnection, owner: str, slug: str) -> Review | None:
    """The one that is open."""
    query = sa.select(reviews).where(reviews.c.owner == owner, reviews.c.slug == slug, reviews.c.state == "open")
    row = (await connection.execute(query)).mappings().first()
    return _from_row(row) if row else None


async def add(connection: AsyncConnection, review: Review) -> None:
    await connection.execute(
        reviews.insert().values(
            id=review.id,
            owner=review.owner,
            slug=review.slug,
            scope=review.scope,
            revision=review.revision,
            digest=review.digest,
            document=msgspec.json.encode(review.document).decode(),
            bump=review.bump,
            notes=review.notes,
            saved_by=review.saved_by,
            requested_by=review.requested_by,
            requested_at=review.requested_at,
            state=review.state,
        )
    )


async def supersede(connection: AsyncConnection, review: Review) -> None:
    await connection.execute(_still_open(review).values(state="superseded"))


async def decide(connection: AsyncConnection, review: Review, decision: Decision, move: str | None) -> bool:
    """False where it is not open any more."""
    values = {"state": decision.state, "decided_by": decision.by, "decided_at": decision.at, "move": move}
    decided = await connection.execute(_still_open(review).values(values))
    if decided.rowcount == 1 and decision.comment:
        await add_comment(connection, review.owner, review.id, Comment(decision.by, decision.at, decision.comment))
    return decided.rowcount == 1


async def comments(connection: AsyncConnection, owner: str, identifier: str) -> Sequence[Comment]:
    query = sa.select(review_comments.c.author, review_comments.c.at, review_comments.c.text)
    query = query.where(review_comments.c.owner == owner, review_comments.c.review == identifier)
    return [Comment(*row) for row in await connection.execute(query.order_by(review_comments.c.id))]


async def add_comment(connection: AsyncConnection, owner: str, identifier: str, comment: Comment) -> None:
    await connection.execute(
        review_comments.insert().values(
            owner=owner, review=identifier, author=comment.author, at=comment.at, text=comment.text
        )
    )


def _still_open(review: Review) -> sa.Update:
    return reviews.update().where(reviews.c.owner == review.owner, reviews.c.id == review.id, reviews.c.state == "open")


def _of(query: sa.Select[Any], owner: str | None) -> sa.Select[Any]:
    """Narrowed to one owner; the platform's own look at all of them says so."""
    return across_tenants(query) if owner is None else query.where(reviews.c.owner == owner)


def _from_row(row: Mapping[Any, Any]) -> Review:
    document = row.get("document")
    return Review(**{**row, "document": msgspec.json.decode(document) if document else {}})
