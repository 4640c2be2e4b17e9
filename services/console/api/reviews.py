"""Reviews: drafts that wait for somebody else's look before they enter the catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from services.console.api import routing
from services.console.api.dependencies import DeskOf, EnterpriseQuery
from services.console.api.models import View
from shared.contracts import commands as c
from shared.contracts.names import PLATFORM, SLUG_PATTERN

router = routing.router("reviews", "/reviews")

ReviewId = Annotated[str, Path(max_length=36, description="The review's id.")]
Words = Annotated[str, Field(min_length=1, max_length=10_000)]


class Comment(View):
    text: Words


class Approval(View):
    comment: Annotated[str, Field(max_length=10_000)] = ""
    bump: c.BumpName | None = None


class Rejection(View):
    """`comment` says what is to change."""

    comment: Words


@router.get("", summary="Reviews, the newest first")
async def page(
    desk: DeskOf,
    enterprise: EnterpriseQuery = None,
    slug: Annotated[str | None, Query(pattern=SLUG_PATTERN)] = None,
    state: c.ReviewState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="`next_before` of the page before.")] = None,
) -> c.ReviewPage:
    """Everybody's for a Platform Admin, unless an enterprise is named; else those of the own enterprise's drafts."""
    query = c.ListReviews(slug=slug, state=state, limit=limit, before=before)
    return await desk.publisher(enterprise or desk.widest, "review.list", query, c.ReviewPage)


@router.get("/{identifier}", summary="A review, with its document and what was said")
async def show(identifier: ReviewId, desk: DeskOf) -> c.Review:
    return await desk.publisher(desk.widest, "review.show", c.ShowReview(id=identifier), c.Review)


@router.post("/{identifier}/comments", status_code=201, summary="Say something about a review")
async def comment(identifier: ReviewId, body: Comment, desk: DeskOf) -> c.ReviewCommented:
    command = c.CommentReview(id=identifier, text=body.text)
    return await desk.publisher(desk.widest, "review.comment", command, c.ReviewCommented)


@router.post("/{identifier}/approve", summary="Publish what was reviewed")
async def approve(identifier: ReviewId, body: Approval, desk: DeskOf) -> c.ReviewDecided:
    """By a Platform Admin who is none of its authors."""
    command = c.ApproveReview(id=identifier, comment=body.comment, bump=body.bump)
    return await desk.publisher(PLATFORM, "review.approve", command, c.ReviewDecided)


@router.post("/{identifier}/reject", summary="Send a draft back to its author")
async def reject(identifier: ReviewId, body: Rejection, desk: DeskOf) -> c.ReviewDecided:
    """By a Platform Admin who is none of its authors."""
    command = c.RejectReview(id=identifier, comment=body.comment)
    return await desk.publisher(PLATFORM, "review.reject", command, c.ReviewDecided)
