"""ETag, If-Match and If-None-Match (RFC 9110, 13) over the revisions of drafts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import Header

from services.console.api.dependencies import Desk
from services.console.api.models import etag_of
from services.console.problems import HttpError
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.limits import MAX_REVISION

_TAG: Final = re.compile(r'\s*"(\d{1,10})"\s*\Z')

IfMatch = Annotated[
    str | None,
    Header(description="The `etag` of the revision that the change started from.", examples=['"7"'], max_length=64),
]
IfNoneMatch = Annotated[
    str | None, Header(description="`*`: only where there is no draft yet.", examples=["*"], max_length=64)
]


def required_revision(if_match: str | None) -> int:
    """The revision that a change starts from; 428 where none is named."""
    if if_match is None:
        raise HttpError(
            428, "invalid-request", "This changes a draft: send If-Match with the etag of the revision it started from."
        )
    match = _TAG.match(if_match)
    if match is None or not 0 < int(match[1]) < MAX_REVISION:
        raise DibopError("invalid-request", f"If-Match {if_match[:80]!r} is no etag of a draft, which is as '\"7\"'.")
    return int(match[1])


@asynccontextmanager
async def precondition(desk: Desk, owner: str, slug: str, base: int | None) -> AsyncIterator[None]:
    """A `conflict` with a draft that is not at revision `base` is what HTTP calls a failed precondition.

    The refusal names the present etag.
    """
    try:
        yield
    except DibopError as error:
        if error.code != "conflict":
            raise
        draft = await desk.registry(owner, "draft.get", c.GetDraft(slug=slug), c.Draft)
        if draft.revision == base:
            raise
        headers = {"ETag": etag_of(draft.revision)}
        raise HttpError(412, "conflict", error.detail, errors=error.errors, headers=headers) from error
