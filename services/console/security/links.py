"""Sign-in links: whoever has a token turns it into a session of a browser, once.

The code stands behind `#`, which browsers send to no server: it is in no log, no Referer, and what looks at the address
before the person does (mail scanners, previews) does not use it up.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from services.console.store import Store

_CODE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SignInLink:
    """`expires_at` is in seconds since the epoch."""

    url: str = field(repr=False)
    expires_at: float


class SignInLinks:
    def __init__(self, store: Store, public_url: str, lifetime: int) -> None:
        self._store = store
        self._public_url = public_url
        self._lifetime = lifetime

    async def make(self, token: str) -> SignInLink:
        """A link that signs in whoever follows it first, with `token`."""
        code = secrets.token_urlsafe(_CODE_BYTES)
        await self._store.put("link", code, {"token": token}, self._lifetime)
        return SignInLink(f"{self._public_url}/sign-in#{code}", time.time() + self._lifetime)

    async def redeem(self, code: str) -> str | None:
        """The token that the link was made with, for the first time alone."""
        found = await self._store.take("link", code)
        return None if found is None else str(found["token"])
