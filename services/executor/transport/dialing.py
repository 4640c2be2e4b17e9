"""TCP connections to addresses that may be connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Final

import aiohappyeyeballs

from services.executor.transport.egress import Address

# How long one address has for itself before the next is tried beside it, in seconds (RFC 8305, 5).
_ADDRESS_DELAY: Final = 0.25


async def dial(addresses: Iterable[Address], port: int) -> socket.socket:
    """Connect to whichever of `addresses` answers first. Raises OSError."""
    return await aiohappyeyeballs.start_connection(
        [_address_info(address, port) for address in addresses], happy_eyeballs_delay=_ADDRESS_DELAY, interleave=1
    )


def _address_info(address: Address, port: int) -> aiohappyeyeballs.AddrInfoType:
    text = str(address)
    if address.version == 6:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (text, port)
