"""TLS: whom to trust, and how a connection presents itself."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.executor.transport.client_certificate import ClientCertificate
from shared.tasks import mark_seen

_KEPT: Final = 256
# What OpenSSL calls a server's refusal of the certificate that it was shown (RFC 8446, 6.2).
_REFUSALS: Final = {
    "ACCESS_DENIED": "it gives no access",
    "BAD_CERTIFICATE": "it is broken, or its signature is",
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_REVOKED": "it was revoked",
    "CERTIFICATE_UNKNOWN": "it is not accepted",
    "UNKNOWN_CA": "its authority is not known there",
    "UNSUPPORTED_CERTIFICATE": "its kind is not supported",
}
# What servers say where one is missing; the second before TLS 1.3.
_MISSING: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE")


class TlsContexts:
    """The contexts of all connections: one for those that present nothing, one for each client certificate.

    A context holds the trusted authorities, so making one takes tens of milliseconds and a megabyte: those of the
    `size` certificates that were used last are kept.
    """

    def __init__(self, ca_file: Path | None = None, *, size: int = _KEPT) -> None:
        self._ca_file = ca_file
        self._size = size
        self._anonymous = _context(ca_file)
        self._presenting: OrderedDict[str, asyncio.Task[ssl.SSLContext]] = OrderedDict()

    async def of(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        """The context for `certificate`. Raises OSError where OpenSSL does not take it."""
        if certificate is None:
            return self._anonymous
        made = self._presenting.get(certificate.fingerprint)
        if made is None:
            made = asyncio.create_task(asyncio.to_thread(_presenting, self._ca_file, certificate))
            self._presenting[certificate.fingerprint] = made
            made.add_done_callback(mark_seen)
            if len(self._presenting) > self._size:
                self._presenting.popitem(last=False)
        else:
            self._presenting.move_to_end(certificate.fingerprint)
        try:
            # One caller's timeout must not end the work that others wait for.
            return await asyncio.shield(made)
        except OSError:
            self._presenting.pop(certificate.fingerprint, None)
            raise

    def close(self) -> None:
        for made in self._presenting.values():
            made.cancel()
        self._presenting.clear()


def check_authorities(path: Path) -> None:
    """Raise ValueError, with a whole sentence, unless `path` holds certificates in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:
        reason = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else f"cannot be read: {error}"
        raise ValueError(f"{path} {reason}. Give a file of authorities' certificates, each in PEM.") from None


def refusal_of(error: ssl.SSLError, certificate: ClientCertificate | None) -> str | None:
    """What a server has against the client `certificate`, None where the error is about something else.

    The answer ends the sentence "It refused the client certificate: …"; it is empty where none was presented, and
    one is wanted.
    """
    alert = (error.reason or "").partition("_ALERT_")[2]
    if certificate is None:
        return "" if alert in _MISSING else None
    return _REFUSALS.get(alert)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _presenting(ca_file: Path | None, certificate: ClientCertificate) -> ssl.SSLContext:
    context = _context(ca_file)
    with _in_memory(certificate.chain) as chain, _in_memory(certificate.key) as key:
        context.load_cert_chain(chain, key)
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path under which this process alone can read `content`, while no disk ever holds it.

    The ssl module takes certificates and keys from files and from nothing else.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("client certificates need an executor on Linux, which can hand over a key without a file")
    descriptor = os.memfd_create("client-certificate")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
