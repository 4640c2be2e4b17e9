"""How far one attempt has come, and the sentence for each way in which it can end early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from services.executor.transport.interface import Phase, TransportError, TransportTimeout

_REPEAT: Final = "It may have acted on the request, so repeat only what is idempotent."
_TIMED_OUT: Final[dict[Phase, str]] = {
    "pool": "All connections of this worker were in use: allow more time, or raise their number.",
    "resolve": "Its name was still being looked up and nothing was sent: check the name and the DNS server.",
    "connect": "No connection was ready and nothing was sent: check the address; repeating is safe.",
    "sending": f"It did not take the whole request. {_REPEAT}",
    "receiving": f"Its answer was not complete. {_REPEAT}",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What all requests to one scheme, host and port share. `key` stands for it in the connection pool."""

    host: str
    name: str
    host_header: str
    key: aiohttp.ClientRequest


class Attempt:
    """One request on its way. `phase` is what it is waiting for."""

    __slots__ = ("origin", "phase", "sent", "status")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.phase: Phase = "pool"
        self.sent = False
        self.status: int | None = None

    def error(self, phase: Phase, detail: str) -> TransportError:
        return TransportError(phase, detail, sent=self.sent, status=self.status)

    def timed_out(self, seconds: float) -> TransportTimeout:
        detail = f"{self.origin.name} was given {seconds:g} s. {_TIMED_OUT[self.phase]}"
        return TransportTimeout(self.phase, detail, sent=self.sent, status=self.status)

    def unreachable(self, error: Exception) -> TransportError:
        """Name the phase in which connecting failed."""
        name = self.origin.name
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return self.error(
                "resolve", f"The name of {name} has no address. Check the host in the connector's base URL."
            )
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", "") or "it does not fit the host"
            return self.error(
                "certificate",
                f"The certificate of {name} is not valid: {reason.rstrip('.')}. "
                "Have it mended, or have an operator trust its authority.",
            )
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            return self.error(
                "tls",
                f"The TLS handshake with {name} failed. "
                "Check that the port speaks TLS and that both sides share a version of it.",
            )
        reason = getattr(error, "strerror", None) or "the connection broke"
        return self.error(
            "connect",
            f"No connection to {name}: {reason}. Check that the external system is up and the port is right.",
        )

    def broken(self, error: Exception) -> TransportError:
        """Tell of a connection that broke, or a response that is malformed, after the request was begun."""
        name = self.origin.name
        if isinstance(error, HttpProcessingError):
            what = f"{name} sent something that is not a valid HTTP response."
        elif self.phase == "sending":
            what = f"The connection to {name} broke while the request was being sent."
        elif self.status is None:
            what = f"{name} closed the connection without an answer."
        else:
            what = f"{name} sent a response with status {self.status} that is malformed or cut short."
        return self.error(self.phase, f"{what} {_REPEAT}")
