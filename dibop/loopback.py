"""A redirect URI on this machine's loopback (RFC 8252, 7.3): open for one authorization, closed again after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from types import TracebackType
from typing import Final, Literal, Self

from aiohttp import web

from dibop.errors import LocalStackError
from shared.security.authorization import AuthorizationRefusedError, ForeignCallbackError

Host = Literal["127.0.0.1", "localhost"]

PATH: Final = "/callback"
_LISTEN: Final = "127.0.0.1"
_CLOSE_SECONDS: Final = 2.0
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>DIBOP</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Loopback:
    """Listens from entering to leaving. `host` is how the redirect URI names the loopback, `port` 0 a free one."""

    def __init__(self, *, host: Host = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._accept: Callable[[str], str] | None = None
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_SECONDS)

    @property
    def redirect_uri(self) -> str:
        return f"http://{self._host}:{self._port}{PATH}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, _LISTEN, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise LocalStackError(
                f"Port {self._port} of {_LISTEN} cannot be listened on: {error.strerror}. Choose another one with "
                "--port, and register its address with the external system."
            ) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The person's browser is told how it ended."""
        if not self._ended.done():
            self._ended.set_result(error is None)
        if self._code.done() and not self._code.cancelled():
            self._code.exception()
        await self._runner.cleanup()

    def expect(self, accept: Callable[[str], str]) -> None:
        """Take the one callback whose query `accept` makes a code of.

        A ForeignCallbackError of it turns a request away; an AuthorizationRefusedError ends the wait.
        """
        self._accept = accept

    async def code(self, seconds: float) -> str:
        """What `expect` was given for; TimeoutError where no callback comes within `seconds`."""
        async with asyncio.timeout(seconds):
            return await self._code

    async def _serve(self, request: web.Request) -> web.Response:
        if request.headers.getall("Host", []) != [f"{self._host}:{self._port}"]:
            return _page(421, "Not here", "This address was not asked for by its own name.")
        if request.path != PATH or request.method != "GET" or self._accept is None:
            return _page(404, "Not found", "There is nothing here but the end of an authorization.")
        if self._code.done():
            return _page(410, "Over", "This authorization has come to its end already.")
        try:
            self._code.set_result(self._accept(request.rel_url.raw_query_string))
        except ForeignCallbackError:
            return _page(400, "Not known", "This does not belong to the authorization that is under way.")
        except AuthorizationRefusedError as error:
            self._code.set_exception(error)
        if await asyncio.shield(self._ended):
            return _page(200, "Authorized", "You can close this window.")
        return _page(400, "Not authorized", "The command line says why. You can close this window.")


def _page(status: int, title: str, text: str) -> web.Response:
    body = _PAGE.format(title=escape(title), text=escape(text))
    return web.Response(status=status, text=body, content_type="text/html", headers=_HEADERS)
