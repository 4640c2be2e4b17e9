"""nats-py's client with two things mended: what a flush waits for, and TLS, which is never done without."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Client
from nats.errors import Error as NatsError


class TlsFilesError(Exception):
    """A certificate or key file cannot be read, or is none."""


class MendedClient(Client):
    """nats-py's client, as every connection of ours uses it."""

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:  # noqa: ASYNC109 - nats-py's own signature
        """Return once the server has what was sent before, within `timeout` seconds each way.

        nats-py writes a flush's PING ahead of what still waits to be written, such as a drain's UNSUB. The second PING
        follows it for certain, so that its answer comes after the last message of a drained subscription.
        """
        await super().flush(timeout)
        await super().flush(timeout)

    def _connect_command(self) -> bytes:
        """What is sent first, once TLS stands: nothing at all where it was asked for and does not.

        nats-py speaks TLS where the server says that it must, and goes on without where it does not.
        """
        if "tls" in self.options and not self._server_info.get("tls_required"):
            raise NatsError("nats: the server offers no TLS, without which nothing is sent to it")
        return super()._connect_command()


def tls_options(url: str, ca: Path | None, certificate: Path | None, key: Path | None) -> dict[str, Any]:
    """What `MendedClient.connect` is told: nothing unless an address (`tls://`) or a file asks for TLS.

    `ca` are the authorities to trust, the system's if None. The server's name is always checked.
    """
    if ca is None and certificate is None and "tls://" not in url:
        return {}
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise TlsFilesError(f"The TLS files for NATS cannot be used: {error}.") from error
    return {"tls": context}
