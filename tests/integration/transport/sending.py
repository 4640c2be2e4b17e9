"""Requests by one line, over whichever transport."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.executor.transport import BeforeSend, HttpRequest, HttpResponse, Transport, TransportError
from services.executor.transport.client_certificate import ClientCertificate
from tests.support.fault_server import FaultServer

MEBIBYTE = 1 << 20
Headers = tuple[tuple[str, str], ...]


async def send(
    transport: Transport,
    url: str,
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | None = None,
    seconds: float = 20,
    max_bytes: int = MEBIBYTE,
    before_send: BeforeSend | None = None,
    certificate: ClientCertificate | None = None,
) -> HttpResponse:
    request = HttpRequest(method, url, headers, body, certificate)
    return await transport.send(request, timeout=seconds, max_bytes=max_bytes, before_send=before_send)


async def failure(transport: Transport, url: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await send(transport, url, **options)
    return caught.value


async def echoed(transport: Transport, url: str, **options: Any) -> dict[str, Any]:
    response = await send(transport, url, **options)
    echo: dict[str, Any] = json.loads(response.body)
    return echo


async def is_intact(transport: Transport, upstream: FaultServer) -> bool:
    """The transport still works, and gives each request its own answer."""
    paths = [f"/echo/{number}" for number in range(20)]
    answers = await asyncio.gather(*(echoed(transport, upstream.url(path)) for path in paths))
    return [answer["path"] for answer in answers] == paths
