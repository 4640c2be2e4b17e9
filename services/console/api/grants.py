"""What a person's consent has granted for tests of a draft: sealed, and kept for the session that asked for it."""

from __future__ import annotations

from services.console.api.dependencies import Desk
from shared.contracts import commands as c


async def keep_grant(desk: Desk, owner: str, slug: str, credentials: c.TestCredentials) -> None:
    if desk.caller.session is not None:
        seconds = int(desk.parts.callers.seconds_left(desk.caller))
        await desk.parts.store.put(
            "grant", _name(desk.caller.session.id, owner, slug), credentials.model_dump(), seconds
        )


async def grant_of(desk: Desk, owner: str, slug: str) -> c.TestCredentials | None:
    """What the session has for tests of this draft; None for tokens and where nobody was asked."""
    if desk.caller.session is None:
        return None
    found = await desk.parts.store.get("grant", _name(desk.caller.session.id, owner, slug))
    return None if found is None else c.TestCredentials(**found)


async def forget_grant(desk: Desk, owner: str, slug: str) -> None:
    if desk.caller.session is not None:
        await desk.parts.store.drop("grant", _name(desk.caller.session.id, owner, slug))


def _name(session_id: str, owner: str, slug: str) -> str:
    return f"{session_id}/{owner}/{slug}"
