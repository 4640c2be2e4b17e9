"""Reviews: what is looked at, and who may decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.commands import BumpName, ReviewState, Scope
from shared.contracts.errors import DibopError


@dataclass(frozen=True, slots=True)
class Review:
    """A revision of `owner`'s draft on its way to `scope`, with the document that it holds.

    `number` counts up and orders lists; `move` is the one that an approval began.
    """

    id: str
    owner: str
    slug: str
    scope: Scope
    revision: int
    digest: str
    document: Mapping[str, Any]
    bump: BumpName | None
    notes: str
    saved_by: str
    requested_by: str
    requested_at: str
    number: int = 0
    state: ReviewState = "open"
    decided_by: str | None = None
    decided_at: str | None = None
    move: str | None = None

    @property
    def authors(self) -> list[str]:
        return sorted({self.saved_by, self.requested_by})


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said of a review."""

    author: str
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How a review ended, by whom."""

    state: ReviewState
    by: str
    at: str
    comment: str


def require_decidable(review: Review, subject: str) -> None:
    """Refuse authors, and reviews that are decided."""
    if review.state != "open":
        by = f" by {review.decided_by!r} at {review.decided_at}" if review.decided_by else ""
        raise DibopError(
            "conflict",
            f"The review {review.id} of {review.slug!r} is {review.state}{by}. Publishing again asks for another.",
        )
    if subject in review.authors:
        raise DibopError(
            "forbidden",
            f"{subject!r} is an author of what the review {review.id} is about. Another Platform Admin decides.",
        )


def no_review(identifier: str, enterprise: str) -> DibopError:
    return DibopError(
        "not-found", f"{enterprise!r} sees no review {identifier[:40]!r}. List the reviews, and take an id from there."
    )
