"""Who is asking: by the token of the Authorization header, else by the session of the cookie."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import HTTPConnection, Request

from services.console.security.cookies import SessionCookie
from services.console.security.oidc import OidcSignIn
from services.console.security.origins import Origins
from services.console.security.sessions import Session, Sessions
from shared.contracts.errors import DibopError
from shared.security.principals import Principal, TokenVerifier
from shared.security.principals.tokens import expires_at

_AUTHORIZATION: Final = "authorization"
_RENEWED_BEFORE_SECONDS: Final = 30.0
"""How long before its end a token is renewed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or service with a verified token. `session` is None where the token came with the request itself."""

    principal: Principal
    token: str = field(repr=False)
    expires_at: float
    session: Session | None
    request_id: str


class Callers:
    """Tells callers apart. Whatever the console does, it does with the caller's own token."""

    def __init__(
        self,
        verifier: TokenVerifier,
        sessions: Sessions,
        cookie: SessionCookie,
        origins: Origins,
        oidc: OidcSignIn | None = None,
    ) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._cookie = cookie
        self._origins = origins
        self._oidc = oidc

    async def caller(self, request: Request) -> Caller:
        """Whose request this is; `unauthenticated` for nobody's, `forbidden` for another site's."""
        if _AUTHORIZATION in request.headers:
            return await self.by_token(request.headers[_AUTHORIZATION], request_id_of(request))
        session_id = self._cookie.read(request)
        session = None if session_id is None else await self._sessions.find(session_id)
        if session is None:
            raise DibopError(
                "unauthenticated",
                "The session has ended. Sign in again; nothing was changed."
                if session_id
                else "Nobody is signed in. Sign in, or send a token: 'Authorization: Bearer <token>'.",
            )
        self._origins.check(request.method, request.headers, by_cookie=True)
        try:
            if session.refresh_token is not None and expires_at(session.token) - time.time() < _RENEWED_BEFORE_SECONDS:
                session = await self._sessions.renew(session, self._renew)
            found = await self.by_token(f"Bearer {session.token}", request_id_of(request))
        except DibopError as error:
            if error.code != "unauthenticated":
                raise
            await self._sessions.end(session.id)
            raise DibopError(
                "unauthenticated",
                "The token of this session is not taken any more. Sign in again; nothing was changed.",
            ) from error
        return Caller(found.principal, found.token, session.ends_at, session, found.request_id)

    async def signed_in(self, request: Request) -> Caller | None:
        """For pages: who is signed in, None where nobody is."""
        try:
            return await self.caller(request)
        except DibopError as error:
            if error.code == "unauthenticated":
                return None
            raise

    async def by_token(self, authorization: str, request_id: str) -> Caller:
        """Whoever has this token."""
        principal = await self._verifier.verified(authorization)
        token = authorization.partition(" ")[2].strip()
        return Caller(principal, token, expires_at(token), None, request_id)

    async def _renew(self, refresh_token: str) -> tuple[str, str | None]:
        if self._oidc is None:
            raise DibopError("unauthenticated", "People do not sign in at an issuer here any more. Sign in again.")
        tokens = await self._oidc.renew(refresh_token)
        return tokens.token, tokens.refresh_token

    def seconds_left(self, caller: Caller) -> float:
        return caller.expires_at - time.time()


def request_id_of(request: HTTPConnection) -> str:
    """The request's id, which the middleware has chosen."""
    return str(request.state.request_id)
