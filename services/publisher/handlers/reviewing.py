"""Reviews: asked for by publishing, talked about, and decided by somebody else than the author."""

from __future__ import annotations

import uuid
from typing import Any, Final

from services.publisher.domain.moves import Move, MoveKind, Release
from services.publisher.domain.reviews import Comment, Decision, Review, no_review, require_decidable
from services.publisher.domain.versioning import highest
from services.publisher.handlers.gating import ask_gate, require_passed
from services.publisher.handlers.moving import ROUNDS, begun, finished, other_underway, overtaken
from services.publisher.handlers.ports import AuditRecord, Caller, Ports
from services.publisher.handlers.releasing import last_version, next_after, published
from services.publisher.handlers.saga import MoveRunner
from shared.contracts import commands as c
from shared.contracts.clock import utc_now
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, authorise

_BUMPS: Final = ("patch", "minor", "major")


async def request(caller: Caller, command: c.PublishConnector, draft: c.Draft, ports: Ports) -> c.Published:
    """Open a review of the draft, unless one of this very document is open."""
    review = Review(
        id=str(uuid.uuid4()),
        owner=draft.owner,
        slug=draft.slug,
        scope=command.scope,
        revision=draft.revision,
        digest=draft.digest,
        document=draft.document,
        bump=command.bump,
        notes=command.notes,
        saved_by=draft.saved_by,
        requested_by=caller.principal.subject,
        requested_at=utc_now(),
    )
    said = {"review": review.id, "revision": review.revision, "digest": review.digest, "scope": review.scope}
    event = _event(review, "review_requested", {**said, "requested_by": review.requested_by, "notes": review.notes})
    opened = await ports.store.open_review(review, event, _audit(caller, review, "review.request", said))
    return c.Published(
        slug=draft.slug,
        owner=draft.owner,
        scope=command.scope,
        version=None,
        digest=draft.digest,
        published_at=None,
        review=opened.id,
        changed=opened.id == review.id,
    )


async def page(caller: Caller, query: c.ListReviews, ports: Ports) -> c.ReviewPage:
    """The newest reviews that the caller's enterprise sees."""
    authorise(caller.principal, Action.FOLLOW_REVIEWS, caller.enterprise)
    found = await ports.store.reviews(_whose(caller), query)
    rows = found[: query.limit]
    next_before = rows[-1].number if len(found) > query.limit else None
    return c.ReviewPage(reviews=[c.ReviewRow(**_fields(row)) for row in rows], next_before=next_before)


async def show(caller: Caller, query: c.ShowReview, ports: Ports) -> c.Review:
    """One review, with its document and its comments."""
    authorise(caller.principal, Action.FOLLOW_REVIEWS, caller.enterprise)
    review = await _seen(caller, query.id, ports)
    comments = await ports.store.comments(review.owner, review.id)
    return c.Review(
        **_fields(review),
        document=dict(review.document),
        comments=[c.ReviewComment(author=each.author, at=each.at, text=each.text) for each in comments],
    )


async def comment(caller: Caller, command: c.CommentReview, ports: Ports) -> c.ReviewCommented:
    """Say something about a review."""
    authorise(caller.principal, Action.FOLLOW_REVIEWS, caller.enterprise)
    review = await _seen(caller, command.id, ports)
    said = Comment(caller.principal.subject, utc_now(), command.text)
    audit = _audit(caller, review, "review.comment", {"review": review.id})
    return c.ReviewCommented(id=review.id, comments=await ports.store.add_comment(review.owner, review.id, said, audit))


async def reject(caller: Caller, command: c.RejectReview, ports: Ports) -> c.ReviewDecided:
    """Turn a draft down. Its author may change it and publish again."""
    authorise(caller.principal, Action.REVIEW, caller.enterprise)
    review = await _seen(caller, command.id, ports)
    require_decidable(review, caller.principal.subject)
    decision = Decision("rejected", caller.principal.subject, utc_now(), command.comment)
    if not await ports.store.decide_review(review, decision, *_told(caller, review, decision), move=None):
        require_decidable(await _seen(caller, command.id, ports), caller.principal.subject)
        raise overtaken(review.slug)
    return c.ReviewDecided(id=review.id, state="rejected", published=None)


async def approve(
    caller: Caller, command: c.ApproveReview, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> c.ReviewDecided:
    """Let a draft through, and publish it as it was reviewed. The decision and the move are recorded together.

    Raises what publishing raises, and `forbidden` for its authors; nothing is decided then.
    """
    authorise(caller.principal, Action.REVIEW, caller.enterprise)
    for _ in range(ROUNDS):
        review = await _seen(caller, command.id, ports)
        if review.move is not None and review.decided_by == caller.principal.subject:
            move = await finished(await ports.store.move(review.move), runner, wait_seconds)
            return c.ReviewDecided(id=review.id, state="approved", published=published(move, changed=False))
        require_decidable(review, caller.principal.subject)
        items = await ask_gate((review.owner, review.slug), review.document, review.scope, ports)
        require_passed(review.slug, items)
        underway = await ports.store.open_move(PLATFORM, review.slug)
        if underway is not None:
            raise other_underway(underway)
        move = await _move(caller, command, review, ports)
        await _require_adoptable(caller, review, ports)
        decision = Decision("approved", caller.principal.subject, move.created_at, command.comment)
        if await ports.store.decide_review(review, decision, *_told(caller, review, decision), move=move):
            done = await finished(move, runner, wait_seconds)
            return c.ReviewDecided(id=review.id, state="approved", published=published(done, changed=True))
    raise overtaken(command.id)


async def _move(caller: Caller, command: c.ApproveReview, review: Review, ports: Ports) -> Move:
    last = await last_version(caller, PLATFORM, review.slug, ports)
    bump = max((each for each in (review.bump, command.bump) if each), key=_BUMPS.index, default=None)
    release = Release(
        version=await next_after(caller, review, last, ports, owner=PLATFORM, bump=bump),
        digest=review.digest,
        scope=review.scope,
        revision=review.revision,
        base_version=last.version if last else None,
        source=None if review.owner == PLATFORM else review.owner,
        reviewed_by=caller.principal.subject,
    )
    publish, whose = MoveKind.PUBLISH, review.requested_by
    return begun(caller, publish, release, owner=PLATFORM, slug=review.slug, notes=review.notes, actor=whose)


async def _require_adoptable(caller: Caller, review: Review, ports: Ports) -> None:
    """Refuse, before anything is decided, an enterprise's draft that the registry would not let the platform adopt."""
    slug = review.slug
    if review.owner == PLATFORM:
        return
    if not await _is_kept(caller, review, ports):
        raise DibopError(
            "conflict",
            f"{review.owner!r} has deleted the draft {slug!r} that the review {review.id} is about. Reject the review; "
            "publishing again asks for another.",
        )
    try:
        platform = await ports.registry.connector(PLATFORM, slug, request_id=caller.request_id)
    except DibopError as error:
        if error.code == "not-found":
            return
        raise
    last = highest(version.version for version in platform.versions)
    known = {review.digest} | {version.digest for version in platform.versions if version.version == last}
    if platform.draft is not None and platform.draft.digest not in known:
        raise DibopError(
            "conflict",
            f"The platform has a draft {slug!r} of its own, at revision {platform.draft.revision}, with changes that "
            "are not published. Publish or discard them first, then approve.",
        )


async def _is_kept(caller: Caller, review: Review, ports: Ports) -> bool:
    """Whether the owner's draft still has the revision that is reviewed."""
    try:
        draft = await ports.registry.draft(
            review.owner, review.slug, revision=review.revision, request_id=caller.request_id
        )
    except DibopError as error:
        if error.code == "not-found":
            return False
        raise
    return draft.digest == review.digest


def _whose(caller: Caller) -> str | None:
    """Whose reviews the caller sees; None is everybody's, for the platform, where they are decided."""
    return None if caller.enterprise == PLATFORM else caller.enterprise


async def _seen(caller: Caller, identifier: str, ports: Ports) -> Review:
    review = await ports.store.review(identifier, _whose(caller))
    if review is None:
        raise no_review(identifier, caller.enterprise)
    return review


def _told(caller: Caller, review: Review, decision: Decision) -> tuple[Event, AuditRecord]:
    said = {"review": review.id, "revision": review.revision, "digest": review.digest, "decision": decision.state}
    event = _event(review, "review_decided", {**said, "decided_by": decision.by, "comment": decision.comment})
    return event, _audit(caller, review, f"review.{decision.state}", said)


def _event(review: Review, what: str, data: dict[str, Any]) -> Event:
    common = {"slug": review.slug, "owner": review.owner}
    identifier = str(uuid.uuid5(uuid.UUID(review.id), what))
    return Event(review.owner, "connector", review.slug, what, "publisher", {**common, **data}, id=identifier)


def _audit(caller: Caller, review: Review, action: str, details: dict[str, Any]) -> AuditRecord:
    entry = c.AppendAudit(
        id=str(uuid.uuid4()),
        at=utc_now(),
        actor=caller.principal.subject,
        action=action,
        noun="connector",
        identifier=review.slug,
        details=details,
        request_id=caller.request_id,
    )
    return AuditRecord(review.owner, entry)


def _fields(review: Review) -> dict[str, Any]:
    return {
        "id": review.id,
        "owner": review.owner,
        "slug": review.slug,
        "scope": review.scope,
        "revision": review.revision,
        "digest": review.digest,
        "state": review.state,
        "authors": review.authors,
        "requested_at": review.requested_at,
        "notes": review.notes,
        "decided_by": review.decided_by,
        "decided_at": review.decided_at,
    }
