"""What every response carries and every request passes, as plain ASGI: streams go through untouched."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.problems import problem_response
from services.console.security.origins import Origins
from shared.contracts.errors import DibopError
from shared.contracts.execution import REQUEST_ID_HEADER
from shared.messaging.replies import request_id_of

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""A template in JSON fits, and so does a form with an icon."""
_NONCE_BYTES: Final = 16
_QUIET: Final = ("/health/", "/static/")

_log = structlog.get_logger("console")


class RequestContext:
    """Outermost: the request's id, one line in the log, and the headers that a browser guards the person by.

    Sets `request.state.request_id` and `request.state.csp_nonce`, which inline styles of a page may name.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._secure = origins.secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce, began = secrets.token_urlsafe(_NONCE_BYTES), time.monotonic()
        given = {name.title(): value for name, value in Headers(scope=scope).items()}
        request_id = request_id_of(given)
        scope.setdefault("state", {}).update(request_id=request_id, csp_nonce=nonce)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers(nonce, request_id):
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if not scope["path"].startswith(_QUIET):
                route = scope.get("route")
                _log.info(
                    "request",
                    method=scope["method"],
                    route=getattr(route, "path", "unknown"),
                    status=status,
                    duration_ms=round((time.monotonic() - began) * 1000, 1),
                    request_id=request_id,
                )

    def _headers(self, nonce: str, request_id: str) -> Iterable[tuple[str, str]]:
        yield REQUEST_ID_HEADER, request_id
        yield "Content-Security-Policy", _policy(nonce)
        yield "X-Content-Type-Options", "nosniff"
        yield "X-Frame-Options", "DENY"
        yield "Referrer-Policy", "same-origin"
        yield "Cross-Origin-Opener-Policy", "same-origin"
        yield "Cross-Origin-Resource-Policy", "same-origin"
        yield "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        yield "Cache-Control", "no-store"
        if self._secure:
            yield "Strict-Transport-Security", "max-age=31536000; includeSubDomains"


def _policy(nonce: str) -> str:
    return (
        "default-src 'none'; script-src 'self'; "
        f"style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class BodyLimit:
    """Refuses bodies over `limit` bytes, by what they say of their length and by what comes."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if said.isdigit() and int(said) > self._limit:
            await self._refuse(scope, receive, send)
            return
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise HTTPException(413, _too_large(self._limit))
            return message

        await self._app(scope, receiving, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = DibopError("invalid-request", _too_large(self._limit))
        response = problem_response(error, scope["state"]["request_id"], status=413)
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


class SameOrigin:
    """Refuses what another site's page has a browser send, whoever the browser says is asking."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._origins.check(scope["method"], Headers(scope=scope), by_cookie=False)
            except DibopError as error:
                response = problem_response(error, Request(scope).state.request_id)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _too_large(limit: int) -> str:
    return f"The body is over the {limit:,} bytes that are taken here. Send less."
