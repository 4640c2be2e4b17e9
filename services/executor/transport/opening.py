"""Opening a connection: name, address, TCP, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from time import time
from typing import Final

import aiohappyeyeballs

from services.executor.transport.attempt import Attempt
from services.executor.transport.connection import Connection
from services.executor.transport.egress import Address, EgressDenied
from services.executor.transport.resolver import CheckedResolver
from services.executor.transport.tls import TlsContexts

# How long one address has for itself before the next is tried beside it, in seconds (RFC 8305, 5).
_ADDRESS_DELAY: Final = 0.25


class Opener:
    """Opens connections to the addresses that the egress policy has let through, whichever answers first."""

    def __init__(self, resolver: CheckedResolver, tls: TlsContexts) -> None:
        self._resolver = resolver
        self._tls = tls

    async def open(self, attempt: Attempt, make: Callable[[], Connection]) -> Connection:
        """Open a connection for `attempt`, whose phase follows. Raises TransportError."""
        origin = attempt.origin
        try:
            attempt.phase = "resolve"
            addresses = await self._resolver.resolve(origin.host, origin.port)
        except EgressDenied as error:
            raise attempt.error("egress", str(error)) from None
        except OSError as error:
            raise attempt.without_address() from error
        attempt.phase = "connect"
        context = await self._tls_of(attempt) if origin.encrypted else None
        try:
            sock = await aiohappyeyeballs.start_connection(
                [_address_info(address, origin.port) for address in addresses],
                happy_eyeballs_delay=_ADDRESS_DELAY,
                interleave=1,
            )
            _, connection = await asyncio.get_running_loop().create_connection(
                make, sock=sock, ssl=context, server_hostname=origin.host if context is not None else None
            )
        except OSError as error:
            raise attempt.unreachable(error) from error
        attempt.opened = True
        return connection

    async def _tls_of(self, attempt: Attempt) -> ssl.SSLContext:
        certificate = attempt.origin.certificate
        if certificate is not None and certificate.expires <= time():
            raise attempt.unpresentable("it has expired")
        try:
            return await self._tls.of(certificate)
        except OSError as error:
            raise attempt.unpresentable(str(error)) from error


def _address_info(address: Address, port: int) -> aiohappyeyeballs.AddrInfoType:
    text = str(address)
    if address.version == 6:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port)
