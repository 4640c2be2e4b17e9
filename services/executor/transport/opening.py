"""Opening a connection: name, address, TCP, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohappyeyeballs

from services.executor.transport.attempt import Attempt
from services.executor.transport.connection import Connection
from services.executor.transport.egress import Address, EgressDenied
from services.executor.transport.resolver import CheckedResolver

# How long one address has for itself before the next is tried beside it, in seconds (RFC 8305, 5).
_ADDRESS_DELAY: Final = 0.25


class Opener:
    """Opens connections to the addresses that the egress policy has let through, whichever answers first."""

    def __init__(self, resolver: CheckedResolver, tls: ssl.SSLContext) -> None:
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
        try:
            attempt.phase = "connect"
            sock = await aiohappyeyeballs.start_connection(
                [_address_info(address, origin.port) for address in addresses],
                happy_eyeballs_delay=_ADDRESS_DELAY,
                interleave=1,
            )
            _, connection = await asyncio.get_running_loop().create_connection(
                make,
                sock=sock,
                ssl=self._tls if origin.encrypted else None,
                server_hostname=origin.host.rstrip(".") if origin.encrypted else None,
            )
        except OSError as error:
            raise attempt.unreachable(error) from error
        return connection


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the system's authorities, and those in `ca_file` (PEM) besides."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _address_info(address: Address, port: int) -> aiohappyeyeballs.AddrInfoType:
    text = str(address)
    if address.version == 6:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port)
