"""A person's consent (OAuth2 authorization_code): asked for in their browser, received here, exchanged by an executor.

`state` is good for one callback, within ten minutes, in the session that it was made in, for the same person and
connection. Code and verifier are sealed for an executor as they come in.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import RedirectResponse

from services.console.api import routing, sealing
from services.console.api.connections import show
from services.console.api.dependencies import Desk, DeskOf, NamePath, OwnerQuery, SlugPath
from services.console.api.grants import keep_grant
from services.console.api.models import View
from shared.contracts import commands as c
from shared.contracts.clock import spelled
from shared.contracts.errors import DibopError
from shared.security import credentials as giving
from shared.security.authorization import (
    LIFETIME_SECONDS,
    AuthorizationRefusedError,
    ForeignCallbackError,
    PendingAuthorization,
    Purpose,
    begin,
    check_callback,
    read_callback,
    seal_code,
)

router = routing.router("authorizations")
callback_router = APIRouter(include_in_schema=False)

CALLBACK: Final = "/oauth/callback"
_EXCHANGE_SECONDS: Final = 60.0
_OWN_PATH: Final = r"^/([\x21-\x2e\x30-\x5b\x5d-\x7e][\x21-\x7e]*)?$"
"""Neither `//host` nor `/\\host`, which lead elsewhere."""
ReturnTo = Annotated[str, Field(pattern=_OWN_PATH, max_length=500, examples=["/connections"])]


class Authorize(View):
    """`return_to` is the page of the console that the person comes back to."""

    return_to: ReturnTo = "/"


class AuthorizeTest(Authorize):
    credentials: sealing.Credentials


class Authorization(View):
    """The address to send the person to, in the same browser, before `expires_at`.

    `redirect_uri` is what has to be registered with the external system.
    """

    url: str
    redirect_uri: str
    expires_at: str


@router.post("/connections/{slug}/{name}/authorize", summary="Begin a person's consent for a connection")
async def authorize(slug: SlugPath, name: NamePath, body: Authorize, desk: DeskOf) -> Authorization:
    """For connectors with OAuth2's authorization_code grant. What is granted takes the place of what was before."""
    sealing.sealing_key(desk)
    connection = await show(slug, name, desk)
    template = await sealing.template_of(desk, connection)
    purpose = _purpose(desk, connection.enterprise, connection.owner, slug, connection.id)
    kept = {"connection": name, "origin": connection.origin, "return_to": body.return_to}
    return await _begin(desk, purpose, template, connection.fields, kept)


@router.post("/connectors/{slug}/test-credentials/authorize", summary="Begin a person's consent for tests of a draft")
async def authorize_test(slug: SlugPath, body: AuthorizeTest, desk: DeskOf, owner: OwnerQuery = None) -> Authorization:
    """What is granted is used by the tests that this session runs of the draft, for as long as the session lasts."""
    key = sealing.sealing_key(desk)
    owner = await desk.owner(slug, owner)
    template = await sealing.draft_template(desk, slug, owner)
    values = giving.complete(template, sealing.revealed(body.credentials))
    sealed = giving.sealed_for_test(template, values, key, owner=owner)
    purpose = _purpose(desk, owner, owner, slug, sealed.id)
    kept = {"test": sealed.model_dump(), "origin": sealed.origin, "return_to": body.return_to}
    return await _begin(desk, purpose, template, sealed.values, kept)


@callback_router.get(CALLBACK)
async def callback(request: Request, desk: DeskOf) -> RedirectResponse:
    """Where an external system sends the person back to."""
    try:
        came = read_callback(request.url.query)
        kept = await desk.parts.store.take("authorization", came.state)
        if kept is None or kept["session"] != _session(desk):
            raise ForeignCallbackError(
                "The callback is of no authorization that is under way in this session: it was used already, took "
                "longer than ten minutes, or was begun in another browser. Begin again."
            )
        purpose = Purpose(**kept["purpose"])
        pending = PendingAuthorization(purpose, **kept["pending"])
        here = _purpose(desk, purpose.enterprise, purpose.owner, purpose.connector, purpose.connection)
        code = check_callback(pending, came, purpose=here, redirect_uri=_redirect_uri(desk), now=time.time())
    except AuthorizationRefusedError as error:
        raise DibopError("invalid-request", str(error)) from None
    await _exchange(desk, pending, code, kept)
    return RedirectResponse(kept["return_to"], status_code=303)


async def _begin(
    desk: Desk, purpose: Purpose, template: Any, values: dict[str, str], kept: dict[str, Any]
) -> Authorization:
    session = _session(desk)
    uri = _redirect_uri(desk)
    try:
        url, pending = begin(template, values, purpose, uri, now=time.time())
    except AuthorizationRefusedError as error:
        raise DibopError("conflict", str(error)) from None
    entry = {
        **kept,
        "session": session,
        "purpose": {name: getattr(purpose, name) for name in Purpose.__slots__},
        "pending": {name: getattr(pending, name) for name in PendingAuthorization.__slots__ if name != "purpose"},
    }
    await desk.parts.store.put("authorization", pending.state, entry, int(LIFETIME_SECONDS))
    return Authorization(url=url, redirect_uri=uri, expires_at=spelled(datetime.fromtimestamp(pending.expires_at, UTC)))


async def _exchange(desk: Desk, pending: PendingAuthorization, code: str, kept: dict[str, Any]) -> None:
    key, purpose = sealing.sealing_key(desk), pending.purpose
    sealed = seal_code(pending, code, key, kept["origin"])
    if "test" in kept:
        test = c.ExchangeTestCode(
            connector=purpose.connector,
            credentials=c.TestCredentials(**kept["test"]),
            redirect_uri=pending.redirect_uri,
            kid=key.kid,
            sealed=sealed,
        )
        granted = await desk.executor(
            purpose.owner, "oauth.exchange-test", test, c.TestCodeExchanged, seconds=_EXCHANGE_SECONDS
        )
        await keep_grant(desk, purpose.owner, purpose.connector, granted.credentials)
        return
    exchange = c.ExchangeCode(
        connector=purpose.connector,
        connection=kept["connection"],
        id=purpose.connection,
        redirect_uri=pending.redirect_uri,
        kid=key.kid,
        sealed=sealed,
    )
    await desk.executor(purpose.enterprise, "oauth.exchange", exchange, c.CodeExchanged, seconds=_EXCHANGE_SECONDS)


def _purpose(desk: Desk, enterprise: str, owner: str, connector: str, connection: str) -> Purpose:
    return Purpose(desk.caller.principal.subject, enterprise, owner, connector, connection)


def _redirect_uri(desk: Desk) -> str:
    return f"{desk.parts.origins.public_url}{CALLBACK}"


def _session(desk: Desk) -> str:
    """The session, as it may be kept: consent comes back to a browser, so there has to be one."""
    if desk.caller.session is None:
        raise DibopError(
            "forbidden",
            "A person gives consent in a browser that is signed in to the console. From the command line it is "
            "'dibop connection authorize'.",
        )
    return hashlib.sha256(desk.caller.session.id.encode()).hexdigest()
