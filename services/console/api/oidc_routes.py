"""Where people are sent to sign in at the OIDC issuer, and where they come back."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse

from services.console.api.dependencies import PartsOf
from services.console.api.session import limit_sign_ins, start_session
from services.console.parts import Parts
from services.console.security.oidc import CALLBACK, LIFETIME_SECONDS, OidcSignIn
from shared.contracts.errors import DibopError

router = APIRouter(include_in_schema=False)

_OWN_PATH: Final = re.compile(r"/([\x21-\x2e\x30-\x5b\x5d-\x7e][\x21-\x7e]*)?\Z")


@router.get("/sign-in/oidc")
async def begin(
    request: Request, parts: PartsOf, return_to: Annotated[str, Query(alias="next", max_length=500)] = "/"
) -> RedirectResponse:
    """Send the person to the issuer."""
    oidc = _required(parts)
    await limit_sign_ins(parts, request)
    begun = await oidc.begin(return_to if _OWN_PATH.match(return_to) else "/")
    response = RedirectResponse(begun.url, status_code=303)
    parts.cookie.set_sign_in(response, begun.browser, LIFETIME_SECONDS)
    return response


@router.get(CALLBACK)
async def callback(request: Request, parts: PartsOf) -> RedirectResponse:
    """Where the issuer sends the person back to, who is signed in from here on."""
    oidc = _required(parts)
    await limit_sign_ins(parts, request)
    tokens, return_to = await oidc.finish(dict(request.query_params), parts.cookie.read_sign_in(request))
    response = RedirectResponse(return_to, status_code=303)
    await start_session(parts, request, response, tokens.token, refresh_token=tokens.refresh_token)
    parts.cookie.clear_sign_in(response)
    return response


def _required(parts: Parts) -> OidcSignIn:
    if parts.oidc is None:
        raise DibopError("not-found", "People sign in here by a link or a token: no OIDC client is set up.")
    return parts.oidc
