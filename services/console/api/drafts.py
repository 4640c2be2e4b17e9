"""Drafts: read, saved with If-Match, patched, restored, discarded, and their history."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Body, Query, Response

from services.console.api import routing
from services.console.api.dependencies import DeskOf, OwnerQuery, SlugPath
from services.console.api.models import DraftSavedView, DraftView, ProblemView
from services.console.api.preconditions import IfMatch, IfNoneMatch, precondition, required_revision
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.limits import MAX_REVISION

router = routing.router("drafts", "/connectors/{slug}/draft")

_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemView, "description": "Others saved since; `errors` says what changed."},
    428: {"model": ProblemView, "description": "If-Match is missing."},
}
_SAVED: Final = {**_STALE, 201: {"model": DraftSavedView, "description": "A new draft."}}
Document = Annotated[
    dict[str, Any], Body(description="The template document.", examples=[{"name": "Weather", "slug": "weather"}])
]
Merge = Annotated[bool, Query(description="Keep what others changed since, where this change does not touch it.")]
RevisionQuery = Annotated[int | None, Query(ge=1, lt=MAX_REVISION, description="As it was then; now by default.")]


@router.get("", summary="A draft as it stands, or as it was at a revision")
async def read(
    slug: SlugPath, desk: DeskOf, response: Response, owner: OwnerQuery = None, revision: RevisionQuery = None
) -> DraftView:
    owner = await desk.owner(slug, owner)
    draft = await desk.registry(owner, "draft.get", c.GetDraft(slug=slug, revision=revision), c.Draft)
    view = DraftView.of(draft)
    response.headers["ETag"] = view.etag
    return view


@router.put(
    "",
    responses={**_STALE, 201: {"model": DraftSavedView, "description": "A new draft."}},
    summary="Save a draft, valid or not",
)
async def save(
    slug: SlugPath,
    document: Document,
    desk: DeskOf,
    response: Response,
    owner: OwnerQuery = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    merge: Merge = False,
) -> DraftSavedView:
    """A new draft needs no If-Match; `If-None-Match: *` makes sure that it is new.

    What is wrong with the document stands in `errors` and stops nobody from saving it.
    """
    if if_none_match not in {None, "*"} or (if_none_match and if_match):
        raise DibopError("invalid-request", "If-None-Match is taken as '*' alone, and without If-Match.")
    base = required_revision(if_match) if if_match is not None else None
    owner = await desk.owner(slug, owner)
    body = c.SaveDraft(slug=slug, document=document, base_revision=base, merge=merge)
    async with precondition(desk, owner, slug, base):
        return _told(response, await desk.registry(owner, "draft.save", body, c.DraftSaved), new=base is None)


@router.patch("", responses=_STALE, summary="Change some fields (JSON Merge Patch)")
async def patch(
    slug: SlugPath,
    patch: Annotated[
        dict[str, Any],
        Body(
            media_type="application/merge-patch+json", description="RFC 7396: null removes.", examples=[{"name": "X"}]
        ),
    ],
    desk: DeskOf,
    response: Response,
    owner: OwnerQuery = None,
    if_match: IfMatch = None,
) -> DraftSavedView:
    """What others changed since stays; refused where both changed the same."""
    base = required_revision(if_match)
    owner = await desk.owner(slug, owner)
    body = c.PatchDraft(slug=slug, patch=patch, base_revision=base)
    async with precondition(desk, owner, slug, base):
        return _told(response, await desk.registry(owner, "draft.patch", body, c.DraftSaved))


@router.get("/history", summary="Who saved which revision, newest first")
async def history(
    slug: SlugPath,
    desk: DeskOf,
    owner: OwnerQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, le=MAX_REVISION, description="`next_before` of the page before.")] = None,
) -> c.DraftHistory:
    owner = await desk.owner(slug, owner)
    return await desk.registry(
        owner, "draft.history", c.ListRevisions(slug=slug, limit=limit, before=before), c.DraftHistory
    )


@router.post("/restore", responses=_STALE, summary="Make the document of an earlier revision the next one")
async def restore(
    slug: SlugPath,
    revision: Annotated[int, Query(ge=1, lt=MAX_REVISION, description="Whose document it is to be.")],
    desk: DeskOf,
    response: Response,
    owner: OwnerQuery = None,
    if_match: IfMatch = None,
) -> DraftSavedView:
    base = required_revision(if_match)
    owner = await desk.owner(slug, owner)
    body = c.RestoreDraft(slug=slug, revision=revision, base_revision=base)
    async with precondition(desk, owner, slug, base):
        return _told(response, await desk.registry(owner, "draft.restore", body, c.DraftSaved))


@router.post("/discard", responses=_STALE, summary="Go back to the document of the latest version")
async def discard(
    slug: SlugPath, desk: DeskOf, response: Response, owner: OwnerQuery = None, if_match: IfMatch = None
) -> DraftSavedView:
    base = required_revision(if_match)
    owner = await desk.owner(slug, owner)
    async with precondition(desk, owner, slug, base):
        discarded = await desk.registry(
            owner, "draft.discard", c.DiscardDraft(slug=slug, base_revision=base), c.DraftSaved
        )
    return _told(response, discarded)


def _told(response: Response, saved: c.DraftSaved, *, new: bool = False) -> DraftSavedView:
    view = DraftSavedView.of(saved)
    response.headers["ETag"] = view.etag
    if new and saved.revision == 1:
        response.status_code = 201
    return view
