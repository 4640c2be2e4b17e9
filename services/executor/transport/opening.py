"""Opening a connection: name, address, TCP or a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import time
from typing import Final

from services.executor.transport.attempt import Attempt
from services.executor.transport.connection import Connection
from services.executor.transport.dialing import dial
from services.executor.transport.egress import Address, EgressDenied, EgressPolicy
from services.executor.transport.interface import TransportError
from services.executor.transport.proxy import Proxy
from services.executor.transport.resolver import CheckedResolver
from services.executor.transport.tls import TlsContexts

# How many addresses of one name a proxy is asked for, one after the other.
_TUNNELS: Final = 4


class Opener:
    """Opens connections to the addresses that the egress policy has let through, whichever answers first.

    With a proxy they go through it, other than to what the policy's list names: that is the operator's own network.
    """

    def __init__(
        self, policy: EgressPolicy, resolver: CheckedResolver, tls: TlsContexts, proxy: Proxy | None = None
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._tls = tls
        self._proxy = proxy

    async def open(self, attempt: Attempt, make: Callable[[], Connection]) -> Connection:
        """Open a connection for `attempt`, whose phase follows. Raises TransportError."""
        origin = attempt.origin
        attempt.phase = "connect"
        attempt.passed("opening")
        context = await self._tls_of(attempt) if origin.encrypted else None
        sock = await self._reach(attempt)
        attempt.passed("connected")
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                make, sock=sock, ssl=context, server_hostname=origin.host if context is not None else None
            )
        except OSError as error:
            raise attempt.unreachable(error) from error
        if context is not None:
            attempt.passed("encrypted")
        attempt.opened = True
        return connection

    async def _reach(self, attempt: Attempt) -> socket.socket:
        """A socket at whose other end the origin is, directly or through the proxy's tunnel."""
        origin, proxy = attempt.origin, self._proxy
        if proxy is not None and proxy.resolves and not self._policy.names(origin.host, origin.port):
            return await proxy.tunnel(attempt, origin.host)
        addresses = await self._addresses(attempt)
        if proxy is not None and not self._policy.names(origin.host, origin.port, addresses):
            return await _tunnel(proxy, attempt, addresses)
        try:
            return await dial(addresses, origin.port)
        except OSError as error:
            raise attempt.unreachable(error) from error

    async def _addresses(self, attempt: Attempt) -> Sequence[Address]:
        attempt.phase = "resolve"
        try:
            addresses = await self._resolver.resolve(attempt.origin.host, attempt.origin.port)
        except EgressDenied as error:
            attempt.passed("resolved")
            raise attempt.error("egress", str(error)) from None
        except OSError as error:
            raise attempt.without_address() from error
        attempt.passed("resolved")
        attempt.phase = "connect"
        return addresses

    async def _tls_of(self, attempt: Attempt) -> ssl.SSLContext:
        certificate = attempt.origin.certificate
        if certificate is not None and certificate.expires <= time():
            raise attempt.unpresentable("it has expired")
        try:
            return await self._tls.of(certificate)
        except OSError as error:
            raise attempt.unpresentable(str(error)) from error


async def _tunnel(proxy: Proxy, attempt: Attempt, addresses: Sequence[Address]) -> socket.socket:
    """A tunnel to the first of `addresses` to which there is one."""
    *others, last = addresses[:_TUNNELS]
    for address in others:
        with suppress(TransportError):
            return await proxy.tunnel(attempt, str(address))
    return await proxy.tunnel(attempt, str(last))
