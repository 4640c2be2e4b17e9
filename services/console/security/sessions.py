"""Sessions: who is signed in. The browser has a random id, and Redis what it stands for, encrypted."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from services.console.store import Store, hash_of

Renew = Callable[[str], Awaitable[tuple[str, str | None]]]
"""Given a refresh token, the next token and refresh token."""

_ID_BYTES: Final = 32
_RENEWING_SECONDS: Final = 10
_LOOKS: Final = 50


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who is signed in until `ends_at` (seconds since the epoch), acting with their own token.

    With a `refresh_token` the token is renewed at the issuer before it ends.
    """

    id: str = field(repr=False)
    token: str = field(repr=False)
    began_at: float
    ends_at: float
    refresh_token: str | None = field(default=None, repr=False)


class Sessions:
    """Begun, found and ended. Each ends after `lifetime` seconds, or with its token where nothing renews it."""

    def __init__(self, store: Store, lifetime: int) -> None:
        self._store = store
        self._lifetime = lifetime

    async def begin(self, token: str, expires_at: float, refresh_token: str | None = None) -> Session:
        now = time.time()
        latest = now + self._lifetime
        ends_at = latest if refresh_token else min(expires_at, latest)
        session = Session(secrets.token_urlsafe(_ID_BYTES), token, now, ends_at, refresh_token)
        await self._keep(session)
        return session

    async def renew(self, session: Session, renew: Renew) -> Session:
        """The session with a newer token. Of all that ask at once one renews it; the others wait for what comes."""
        if session.refresh_token is None:
            return session
        count, _ = await self._store.count(f"renewing:{hash_of(session.token)}", _RENEWING_SECONDS)
        if count == 1:
            token, refresh_token = await renew(session.refresh_token)
            renewed = replace(session, token=token, refresh_token=refresh_token)
            await self._keep(renewed)
            return renewed
        for _ in range(_LOOKS):
            await asyncio.sleep(_RENEWING_SECONDS / _LOOKS)
            found = await self.find(session.id)
            if found is None or found.token != session.token:
                return found or session
        return session

    async def _keep(self, session: Session) -> None:
        entry: dict[str, Any] = {name: value for name, value in asdict(session).items() if name != "id"}
        await self._store.put("session", session.id, entry, int(session.ends_at - time.time()))

    async def find(self, session_id: str) -> Session | None:
        found = await self._store.get("session", session_id)
        if found is None or found["ends_at"] <= time.time():
            return None
        return Session(session_id, **found)

    async def end(self, session_id: str) -> None:
        await self._store.drop("session", session_id)
