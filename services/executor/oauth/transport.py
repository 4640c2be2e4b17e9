"""httpx on top of the executor's own transport, so that an OAuth2 library can use it: one way out, guarded alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.interface import HttpRequest, HttpResponse

Send = Callable[[HttpRequest], Awaitable[HttpResponse]]

_OURS: Final = frozenset({"host", "connection", "content-length", "accept-encoding", "user-agent"})
"""Request headers that the executor's transport sets by itself."""
_UNDONE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Response headers of codings that are undone already."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends what httpx has built with `send`. Its errors reach the caller of httpx as they are."""

    def __init__(self, send: Send, certificate: ClientCertificate | None = None) -> None:
        self._send = send
        self._certificate = certificate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name, value) for name, value in request.headers.multi_items() if name not in _OURS]
        response = await self._send(
            HttpRequest(request.method, str(request.url), headers, await request.aread(), self._certificate)
        )
        kept = [(name, value) for name, value in response.headers.items() if name not in _UNDONE]
        return httpx.Response(response.status, headers=kept, content=response.body, request=request)
