"""The transport: requests are written by ourselves and responses read by aiohttp's parser (llhttp in C).

Nothing else of aiohttp is used. Its session repeats idempotent requests by itself after a disconnect, cannot say
when the first byte goes out, and together with its pool and its streams takes several times the CPU time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, TypeVar

from services.executor.transport.attempt import Attempt, Origin, Watch
from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.connection import Connection
from services.executor.transport.egress import EgressDenied, EgressPolicy
from services.executor.transport.interface import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    TransportError,
)
from services.executor.transport.opening import Opener
from services.executor.transport.pool import Pool
from services.executor.transport.proxy import Proxy
from services.executor.transport.resolver import CheckedResolver, Lookup, system_lookup
from services.executor.transport.tls import TlsContexts
from services.executor.transport.wire import BadRequest, encode_request, split_url
from shared.contracts.template.address import AddressError, parse_fixed_url

_MAX_ORIGINS: Final = 8192
_T = TypeVar("_T")
OriginKey = str | tuple[str, str]
"""Scheme and authority as they are written, and the client certificate's fingerprint where there is one."""


class AiohttpTransport:
    """A `Transport`. Make it inside the running event loop; `aclose` it in the same.

    `max_connections` bounds the requests under way; further ones wait for their turn, first come, first
    served. `keepalive` is how long an unused connection is kept, in seconds. `ca_file` holds PEM certificates
    that are trusted besides the system's. `proxy` is the way to all that `egress` does not name; proxies named in the
    environment are not used.
    """

    def __init__(
        self,
        egress: EgressPolicy | None = None,
        *,
        max_connections: int = 256,
        keepalive: float = 15.0,
        ca_file: Path | None = None,
        proxy: Proxy | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._egress = egress or EgressPolicy()
        self._resolver = CheckedResolver(self._egress, lookup)
        self._tls = TlsContexts(ca_file)
        opener = Opener(self._egress, self._resolver, self._tls, proxy)
        self._pool = Pool(opener, size=max_connections, keepalive=keepalive)
        self._origins: dict[OriginKey, Origin] = {}

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the phase it ran out in is part of the answer
        max_bytes: int,
        before_send: BeforeSend | None = None,
        watch: Watch | None = None,
    ) -> HttpResponse:
        """As `Transport.send`. With `watch` it goes over a new connection, whose opening `watch` hears of."""
        try:
            text, target = split_url(request.url)
            certificate = request.certificate
            key = text if certificate is None else (text, certificate.fingerprint)
            origin = self._origins.get(key) or self._add_origin(text, certificate, key)
            message = encode_request(request, origin.host_header, target)
        except BadRequest as error:
            raise TransportError("request", str(error), sent=False) from None
        except EgressDenied as error:
            raise TransportError("egress", str(error), sent=False) from None
        attempt = Attempt(origin, timeout, self._loop.time(), watch)
        if timeout <= 0:
            raise attempt.timed_out()
        pool = self._pool
        connection = pool.take_kept(origin) if watch is None else None
        if connection is None:
            connection = await _in_time(pool.take(attempt), attempt)
        if before_send is not None:
            await self._ask(before_send, connection, attempt)
        try:
            response = await connection.exchange(message, attempt, max_bytes)
        except BaseException:
            pool.drop(connection)
            raise
        pool.give_back(connection)
        return response

    async def aclose(self) -> None:
        self._pool.close()
        self._resolver.close()
        self._tls.close()

    async def _ask(self, before_send: BeforeSend, connection: Connection, attempt: Attempt) -> None:
        """Call `before_send`; a connection on which nothing was sent serves others."""
        attempt.phase = "connect"
        try:
            waiting = before_send()
            if waiting is not None:
                await _in_time(waiting, attempt)
        except BaseException:
            self._pool.give_back(connection)
            raise

    def _add_origin(self, text: str, certificate: ClientCertificate | None, key: OriginKey) -> Origin:
        try:
            address = parse_fixed_url(text)
        except AddressError as error:
            raise EgressDenied(f"The URL names no address to connect to. {error}") from None
        self._egress.check_literal(address.host, address.port)
        _, _, host_header = str(address).partition("://")
        origin = Origin(address.host, address.port, address.scheme == "https", host_header, certificate)
        if certificate is not None and not origin.encrypted:
            raise TransportError(
                "client_certificate",
                f"A client certificate is presented in TLS, and {origin.name} is asked over plain http. Use https.",
                sent=False,
            )
        while len(self._origins) >= _MAX_ORIGINS:
            del self._origins[next(iter(self._origins))]
        self._origins[key] = origin
        return origin


async def _in_time(work: Awaitable[_T], attempt: Attempt) -> _T:
    """Wait for what comes before the first byte. Raises TransportTimeout at the attempt's deadline."""
    try:
        async with asyncio.timeout_at(attempt.deadline) as limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise attempt.timed_out() from None
