"""A way out through the operator's HTTP proxy: a tunnel that is asked for by CONNECT (RFC 9110, 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from services.executor.transport.attempt import Attempt
from services.executor.transport.dialing import dial
from services.executor.transport.egress import joined
from services.executor.transport.resolver import Lookup, system_lookup
from shared.contracts.template.address import AddressError, parse_fixed_url

_END: Final = b"\r\n\r\n"
_MAX_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?![0-9])")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy listens, and how it is spoken to.

    With `resolves` it is told names, looks them up itself, and alone decides which addresses are connected to;
    without, it is told addresses that the egress policy has let through.
    """

    host: str
    port: int
    authorization: str = field(default="", repr=False)
    resolves: bool = False

    @classmethod
    def parse(cls, url: str, credentials_file: Path | None = None, *, resolves: bool = False) -> Self | None:
        """Read `http://host:port`; None where it is empty. The file holds `user:password`.

        Raises ValueError with a whole sentence.
        """
        if not url:
            return None
        try:
            address = parse_fixed_url(url)
        except AddressError as error:
            raise ValueError(
                f"It is not the address of a proxy. {error.problem} Write it as http://proxy.example:3128; "
                "user and password stand in a file of their own, DIBOP_EGRESS_PROXY_CREDENTIALS_FILE."
            ) from None
        if address.scheme != "http" or address.path.strip("/") or address.rest:
            raise ValueError("It is not the address of a proxy. Write it as http://proxy.example:3128.")
        authorization = "" if credentials_file is None else read_credentials(credentials_file)
        return cls(address.host, address.port, authorization, resolves)

    async def tunnel(self, attempt: Attempt, host: str, lookup: Lookup = system_lookup) -> socket.socket:
        """Open a tunnel to `host`, a name or an address, at the port of the attempt's origin. Raises TransportError."""
        try:
            sock = await dial([ip_address(text) for text in await lookup(self.host)], self.port)
            try:
                status = await self._ask(sock, joined(host, attempt.origin.port))
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise attempt.without_proxy(error) from error
        if 200 <= status < 300:
            return sock
        sock.close()
        raise attempt.not_let_through(status)

    async def _ask(self, sock: socket.socket, authority: str) -> int:
        """Send CONNECT; the status of the answer, 0 where it is none."""
        loop = asyncio.get_running_loop()
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while _END not in answer and len(answer) < _MAX_HEAD:
            data = await loop.sock_recv(sock, 4096)
            if not data:
                raise ConnectionResetError("it closed the connection")
            answer += data
        head, _, rest = answer.partition(_END)
        match = _STATUS.match(head)
        status = int(match[1]) if match else 0
        # In a tunnel nobody speaks before we do: what follows the head would be taken for the external system's words.
        return 0 if rest and 200 <= status < 300 else status


def read_credentials(path: Path) -> str:
    """The Proxy-Authorization of `user:password` in a file. Raises ValueError with a whole sentence."""
    try:
        text = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"The proxy's credentials in {path} cannot be read: {error}.") from None
    if ":" not in text or not text.isprintable():
        raise ValueError(f"{path} does not hold the proxy's credentials. Write user:password into it, in one line.")
    return f"Basic {base64.b64encode(text.encode()).decode()}"
