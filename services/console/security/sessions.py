"""Sessions: who is signed in. The browser has a random id, and Redis what it stands for, encrypted."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from services.console.store import Store

_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who is signed in until `ends_at` (seconds since the epoch), acting with their own token."""

    id: str = field(repr=False)
    token: str = field(repr=False)
    began_at: float
    ends_at: float


class Sessions:
    """Begun, found and ended; each lives as long as its token, and `lifetime` seconds at most."""

    def __init__(self, store: Store, lifetime: int) -> None:
        self._store = store
        self._lifetime = lifetime

    async def begin(self, token: str, expires_at: float) -> Session:
        now = time.time()
        session = Session(secrets.token_urlsafe(_ID_BYTES), token, now, min(expires_at, now + self._lifetime))
        entry: dict[str, Any] = {name: value for name, value in asdict(session).items() if name != "id"}
        await self._store.put("session", session.id, entry, int(session.ends_at - now))
        return session

    async def find(self, session_id: str) -> Session | None:
        found = await self._store.get("session", session_id)
        if found is None or found["ends_at"] <= time.time():
            return None
        return Session(session_id, **found)

    async def end(self, session_id: str) -> None:
        await self._store.drop("session", session_id)
