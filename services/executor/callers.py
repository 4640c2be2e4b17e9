"""Callers that show a token. On `exec` the NATS user is the caller; a token that is present must be good too."""

from __future__ import annotations

from time import monotonic
from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.security.principals import Principal, Role, TokenVerifier

_REMEMBERED: Final = 1024
_TRUSTED_SECONDS: Final = 10.0
"""How long a verified token is taken without looking again; shorter than the clock skew that expiry allows for."""


class Callers:
    """Verifies tokens, and remembers for a moment those that were good."""

    def __init__(self, verifier: TokenVerifier | None) -> None:
        self._verifier = verifier
        self._good: dict[str, tuple[Principal, float]] = {}

    def check(self, authorization: str, subject: str) -> None:
        """Refuse with `unauthenticated`, or with `forbidden` where the token is another enterprise's."""
        principal = self.principal(authorization)
        plane, _, enterprise = subject.split(".")[:3]
        if principal.enterprise == enterprise or (plane == "draft" and Role.PUBLISHER in principal.roles):
            return
        if enterprise == PLATFORM and Role.PLATFORM_ADMIN in principal.roles:
            return
        raise DibopError(
            "forbidden",
            f"{principal.subject!r} belongs to enterprise {principal.enterprise!r}, and the request is for "
            f"{enterprise!r}. Send it to your own enterprise's subject.",
        )

    def principal(self, authorization: str) -> Principal:
        """Whose token it is, or `unauthenticated`."""
        known = self._good.get(authorization)
        now = monotonic()
        if known is not None and now < known[1]:
            return known[0]
        if self._verifier is None:
            raise DibopError(
                "unauthenticated",
                "The request carries a token, and this executor has no keys to verify it with. "
                "Have its operator set DIBOP_TOKEN_KEY_FILE, or leave the Authorization header out.",
            )
        principal = self._verifier.verify(authorization)
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good[authorization] = (principal, now + _TRUSTED_SECONDS)
        return principal
