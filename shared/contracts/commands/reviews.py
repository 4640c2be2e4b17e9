"""Reviews: somebody else than the author looks at a draft before it enters the catalogue."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from shared.contracts.commands.base import Message, Scope, Slug
from shared.contracts.commands.publishing import BumpName, Published

ReviewState = Literal["open", "approved", "rejected", "superseded"]
"""A superseded one is about a document that its author has replaced by another."""
_UUID_CHARACTERS = 36


class ListReviews(Message):
    """`review.list`: the enterprise's own, for `platform` everybody's; the newest first.

    `before` is `next_before` of the page before.
    """

    slug: Slug | None = None
    state: ReviewState | None = None
    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=1)


class ReviewRow(Message):
    """`owner` is whose draft it is; `authors` are who saved it and who asked, and may not decide."""

    id: str
    owner: str
    slug: str
    scope: Scope
    revision: int
    digest: str
    state: ReviewState
    authors: list[str]
    requested_at: str
    notes: str
    decided_by: str | None
    decided_at: str | None


class ReviewPage(Message):
    reviews: list[ReviewRow]
    next_before: int | None


class ShowReview(Message):
    """`review.show`."""

    id: str = Field(max_length=_UUID_CHARACTERS)


class ReviewComment(Message):
    author: str
    at: str
    text: str


class Review(ReviewRow):
    """With the document, as it is to be published, and what was said."""

    document: dict[str, Any]
    comments: list[ReviewComment]


class CommentReview(Message):
    """`review.comment`: by the author's enterprise or a Platform Admin, while it is open and after."""

    id: str = Field(max_length=_UUID_CHARACTERS)
    text: str = Field(min_length=1, max_length=10_000)


class ReviewCommented(Message):
    id: str
    comments: int


class ApproveReview(Message):
    """`review.approve`, by a Platform Admin who is not one of its authors: publishes what was reviewed.

    `bump` asks for at least this bump, where the author has not asked for a larger one.
    """

    id: str = Field(max_length=_UUID_CHARACTERS)
    comment: str = Field("", max_length=10_000)
    bump: BumpName | None = None


class RejectReview(Message):
    """`review.reject`, by a Platform Admin who is not one of its authors; `comment` says what is to change."""

    id: str = Field(max_length=_UUID_CHARACTERS)
    comment: str = Field(min_length=1, max_length=10_000)


class ReviewDecided(Message):
    """`published` is what an approval has made."""

    id: str
    state: ReviewState
    published: Published | None
