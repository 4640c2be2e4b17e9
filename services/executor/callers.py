"""Who sends a request, by the plane of its subject.

On `exec` the NATS user is the caller, and a token that is present must be good too. On `execas` the NATS user speaks
for people of many enterprises: the person's own token says who is asking, and the executor itself checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.contracts.subjects import DRAFT_PLANE, EXECAS_PLANE, parse
from shared.security.principals import GOOD, Action, Principal, Role, Standing, TokenVerifier, authorise

_REMEMBERED: Final = 1024
_TRUSTED_SECONDS: Final = 10.0
"""How long a verified token is taken without looking again; shorter than the clock skew that expiry allows for."""


class Callers:
    """Verifies tokens, and remembers for a moment those that were good."""

    def __init__(self, verifier: TokenVerifier | None, standing_of: Callable[[str], Standing] = lambda _: GOOD) -> None:
        self._verifier = verifier
        self._standing_of = standing_of
        self._good: dict[str, tuple[Principal, float]] = {}

    async def start(self) -> None:
        """Have the keys at hand that verify tokens."""
        if self._verifier is not None:
            await self._verifier.keys.start()

    async def stop(self) -> None:
        if self._verifier is not None:
            await self._verifier.keys.stop()

    async def admit(self, authorization: str | None, subject: str) -> str:
        """Who is asking; `unauthenticated`, or `forbidden` where the person may not ask for this."""
        principal = await self.principal(authorization)
        address = parse(subject)
        if address.plane == EXECAS_PLANE:
            authorise(principal, Action.EXECUTE, address.enterprise)
        elif not _belongs(principal, address.plane, address.enterprise):
            raise DibopError(
                "forbidden",
                f"{principal.subject!r} belongs to enterprise {principal.enterprise!r}, and the request is for "
                f"{address.enterprise!r}. Send it to your own enterprise's subject.",
            )
        return principal.subject

    async def principal(self, authorization: str | None) -> Principal:
        """Whose token it is, with the standing of its enterprise now, or `unauthenticated`."""
        principal = await self._verified(authorization)
        standing = self._standing_of(principal.enterprise)
        return principal if standing is GOOD else replace(principal, standing=standing)

    async def _verified(self, authorization: str | None) -> Principal:
        known = self._good.get(authorization or "")
        now = monotonic()
        if known is not None and now < known[1]:
            return known[0]
        if self._verifier is None:
            raise DibopError(
                "unauthenticated",
                "This executor has no keys to verify tokens with. Have its operator set DIBOP_TOKEN_KEY_FILE, "
                "DIBOP_TOKEN_KEY_URL or DIBOP_TOKEN_ISSUER; on exec, the Authorization header can be left out.",
            )
        principal = await self._verifier.verified(authorization)
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good[authorization or ""] = (principal, now + _TRUSTED_SECONDS)
        return principal


def _belongs(principal: Principal, plane: str, enterprise: str) -> bool:
    if principal.enterprise == enterprise or (enterprise == PLATFORM and Role.PLATFORM_ADMIN in principal.roles):
        return True
    return plane == DRAFT_PLANE and principal.enterprise == PLATFORM and Role.PUBLISHER in principal.roles
