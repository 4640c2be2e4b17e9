"""Signing in and out, and who is here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Request, Response
from pydantic import Field, model_validator

from services.console.api import routing
from services.console.api.dependencies import CallerOf, PartsOf
from services.console.api.models import View
from services.console.parts import Parts
from services.console.security.callers import Caller, request_id_of
from shared.contracts.clock import spelled
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.security.principals import Action, Role
from shared.security.principals.tokens import MAX_TOKEN_CHARACTERS

router = routing.router("session")

_A_MINUTE: Final = 60
_PEOPLE: Final = frozenset({Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK, Role.ENTERPRISE_ADMIN, Role.VIEWER})


class SignIn(View):
    """Either the code of a sign-in link (what stands behind its `#`), or a token."""

    code: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    token: Annotated[str | None, Field(min_length=1, max_length=MAX_TOKEN_CHARACTERS)] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> SignIn:
        if (self.code is None) == (self.token is None):
            raise ValueError("give either code or token")
        return self


class Me(View):
    """Who is asking. `may` and `may_on_platform` are what their roles allow in their enterprise and on the platform.

    How the enterprise stands (suspended, without SDK access) is not in it: the services say so when it matters.
    """

    subject: str = Field(examples=["ann"])
    enterprise: str = Field(examples=["acme"])
    roles: list[Role]
    may: list[Action]
    may_on_platform: list[Action]
    owners: list[str] = Field(description="Whose drafts the caller may edit: what `owner` takes.")
    signed_in: bool = Field(description="True for a session of a browser, false for a token.")
    ends_at: str


class SignInLinkView(View):
    """For one use, before `expires_at`. Whoever has the address signs in as the caller: treat it as a password."""

    url: str
    expires_at: str


@router.get("/me", summary="Who is asking, and what they may do")
async def me(caller: CallerOf) -> Me:
    return _me(caller)


@router.post("/session", status_code=201, summary="Sign in, with the code of a link or with a token")
async def sign_in(request: Request, response: Response, body: SignIn, parts: PartsOf) -> Me:
    """Sets the session's cookie. Attempts of one address are limited."""
    await limit_sign_ins(parts, request)
    token = body.token or await parts.links.redeem(body.code or "")
    if token is None:
        raise DibopError(
            "unauthenticated",
            "This sign-in link was used already, or its time is over. Get a new one with 'dibop console'.",
        )
    return _me(await start_session(parts, request, response, token))


@router.delete("/session", status_code=204, summary="Sign out")
async def sign_out(request: Request, response: Response, parts: PartsOf) -> None:
    """Ends the session for good, wherever its cookie is. Nobody has to be signed in."""
    session_id = parts.cookie.read(request)
    if session_id is not None:
        parts.origins.check(request.method, request.headers, by_cookie=True)
        await parts.sessions.end(session_id)
    parts.cookie.clear(response)


@router.post("/sign-in-links", status_code=201, summary="Make a link that signs the caller in, once")
async def make_link(caller: CallerOf, parts: PartsOf) -> SignInLinkView:
    """For programs: with a token, not with a session."""
    if caller.session is not None:
        raise DibopError("forbidden", "A session makes no sign-in links. Send a token in the Authorization header.")
    link = await parts.links.make(caller.token)
    return SignInLinkView(url=link.url, expires_at=_instant(link.expires_at))


async def start_session(
    parts: Parts, request: Request, response: Response, token: str, *, refresh_token: str | None = None
) -> Caller:
    """Sign the person of a token in, in place of whoever this browser was signed in as."""
    found = await parts.callers.by_token(f"Bearer {token}", request_id_of(request))
    if not found.principal.roles & _PEOPLE:
        raise DibopError("forbidden", "This token has no role of a person. Ask an administrator for one.")
    earlier = parts.cookie.read(request)
    if earlier is not None:
        await parts.sessions.end(earlier)
    session = await parts.sessions.begin(found.token, found.expires_at, refresh_token)
    parts.cookie.set(response, session.id, int(session.ends_at - session.began_at))
    return Caller(found.principal, found.token, session.ends_at, session, found.request_id)


async def limit_sign_ins(parts: Parts, request: Request) -> None:
    """Refuse an address that has tried too often within a minute."""
    address = request.client.host if request.client else "unknown"
    count, rest_ms = await parts.store.count(f"sign-in:{address}", _A_MINUTE)
    if count > parts.settings.sign_ins_per_minute:
        raise DibopError(
            "rate-limited",
            f"There were {parts.settings.sign_ins_per_minute} attempts to sign in from this address within a minute. "
            f"Try again in {rest_ms / 1000:.0f} s.",
            retry_after_ms=rest_ms,
        )


def _me(caller: Caller) -> Me:
    principal = caller.principal
    platform = [action for action in Action if principal.may(action, PLATFORM)]
    own = [action for action in Action if principal.may(action, principal.enterprise)]
    editable = [
        enterprise
        for enterprise, actions in ((principal.enterprise, own), (PLATFORM, platform))
        if Action.EDIT_DRAFT in actions
    ]
    return Me(
        subject=principal.subject,
        enterprise=principal.enterprise,
        roles=sorted(principal.roles),
        may=own,
        may_on_platform=platform,
        owners=list(dict.fromkeys(editable)),
        signed_in=caller.session is not None,
        ends_at=_instant(caller.expires_at),
    )


def _instant(seconds: float) -> str:
    return spelled(datetime.fromtimestamp(seconds, UTC))
