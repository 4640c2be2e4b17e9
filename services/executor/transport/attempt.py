"""How far one attempt has come, and the sentence for each way in which it can end early."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp.http_exceptions import HttpProcessingError

from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.egress import joined
from services.executor.transport.interface import Phase, TransportError, TransportTimeout
from services.executor.transport.tls import refusal_of

_REPEAT: Final = "It may have acted on the request, so repeat only what is idempotent."
_TIMED_OUT: Final[dict[Phase, str]] = {
    "pool": "All connections of this worker were in use: allow more time, or raise their number.",
    "resolve": "Its name was still being looked up and nothing was sent: check the name and the DNS server.",
    "connect": "No connection was ready and nothing was sent: check the address; repeating is safe.",
    "sending": f"It did not take the whole request. {_REPEAT}",
    "receiving": f"Its answer was not complete. {_REPEAT}",
}


Milestone = Literal["opening", "resolved", "connected", "encrypted"]
"""How far the opening of a connection has come."""
Watch = Callable[[Milestone], None]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What all requests to one scheme, host and port share that present the same client certificate.

    `host` is in the one form that `parse_address` gives it: lower case, in ASCII, IPv6 without brackets.
    """

    host: str
    port: int
    encrypted: bool
    host_header: str
    certificate: ClientCertificate | None = None

    @property
    def name(self) -> str:
        """How the origin is called in sentences."""
        return joined(self.host, self.port)


class Attempt:
    """One request on its way. `phase` is what it is waiting for.

    It is given `seconds`, which are over at `deadline` of the event loop's clock. `opened` says that its connection
    was opened for it, which `watch` hears of as it goes on.
    """

    __slots__ = ("deadline", "opened", "origin", "phase", "seconds", "sent", "status", "watch")

    def __init__(self, origin: Origin, seconds: float, now: float, watch: Watch | None = None) -> None:
        self.origin = origin
        self.seconds = seconds
        self.deadline = now + seconds
        self.phase: Phase = "pool"
        self.opened = False
        self.sent = False
        self.status: int | None = None
        self.watch = watch

    def passed(self, milestone: Milestone) -> None:
        if self.watch is not None:
            self.watch(milestone)

    def error(self, phase: Phase, detail: str) -> TransportError:
        return TransportError(phase, detail, sent=self.sent, status=self.status)

    def timed_out(self) -> TransportTimeout:
        detail = f"{self.origin.name} was given {self.seconds:g} s. {_TIMED_OUT[self.phase]}"
        return TransportTimeout(self.phase, detail, sent=self.sent, status=self.status)

    def without_address(self) -> TransportError:
        return self.error(
            "resolve", f"The name of {self.origin.name} has no address. Check the host in the connector's base URL."
        )

    def unreachable(self, error: OSError) -> TransportError:
        """Name the phase in which connecting failed."""
        name = self.origin.name
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = error.verify_message or "it does not fit the host"
            return self.error(
                "certificate",
                f"The certificate of {name} is not valid: {reason.rstrip('.')}. "
                "Have it mended, or have an operator trust its authority.",
            )
        if isinstance(error, ssl.SSLError):
            return self._refused(error) or self.error(
                "tls",
                f"The TLS handshake with {name} failed. Check that the port speaks TLS, that both sides share a "
                "version of it, and whether it asks for a client certificate.",
            )
        reason = error.strerror or "the connection broke"
        return self.error(
            "connect",
            f"No connection to {name}: {reason}. Check that the external system is up and the port is right.",
        )

    def without_proxy(self, error: OSError) -> TransportError:
        """Tell of a proxy that is away."""
        return self.error(
            "connect",
            f"The proxy on the way to {self.origin.name} cannot be reached: {error.strerror or error}. "
            "Have an operator look at it.",
        )

    def not_let_through(self, status: int) -> TransportError:
        """Tell of a proxy that has answered CONNECT with `status`, 0 for something that is no answer."""
        name = self.origin.name
        if status == 403:
            return self.error(
                "egress", f"The proxy does not let connections to {name} through. Have an operator allow it there."
            )
        if status == 407:
            return self.error(
                "connect", f"The proxy on the way to {name} refuses its credentials. Have an operator mend them."
            )
        said = f"answered with status {status}" if status else "said what is no answer to CONNECT"
        return self.error(
            "connect",
            f"No connection to {name}: the proxy on the way {said}. "
            "Check that the external system is up, else have an operator look at the proxy.",
        )

    def unpresentable(self, why: str) -> TransportError:
        """Tell of a client certificate that cannot be presented."""
        return self.error(
            "client_certificate",
            f"The connection's client certificate cannot be presented to {self.origin.name}: {why}. "
            "Rotate the connection's credentials with one that can.",
        )

    def _refused(self, error: ssl.SSLError) -> TransportError | None:
        """Tell of a server that does not accept the client certificate; None where `error` is another.

        In TLS 1.3 the news comes after the request has been written, but nothing of that is ever read: the server
        has not finished its handshake.
        """
        refusal = refusal_of(error, self.origin.certificate)
        if refusal is None:
            return None
        if refusal:
            detail = (
                f"{self.origin.name} refused the connection's client certificate: {refusal}. "
                "Rotate the connection's credentials with one that it accepts."
            )
        else:
            detail = (
                f"{self.origin.name} wants a client certificate, and the connection has none. Add the credential "
                "fields client_certificate and client_key to the connector, and give them to the connection."
            )
        return TransportError("client_certificate", detail, sent=False)

    def closed_early(self) -> TransportError:
        return self.error(
            "connect", f"{self.origin.name} closed the connection before anything was sent. Repeat the request."
        )

    def broken(self, error: Exception) -> TransportError:
        """Tell of a connection that broke, or a response that is malformed, after the request was begun."""
        name = self.origin.name
        if self.opened and self.status is None and isinstance(error, ssl.SSLError):
            refused = self._refused(error)
            if refused is not None:
                return refused
        if self.status is not None:
            what = f"{name} sent a response with status {self.status} that is malformed or cut short."
        elif isinstance(error, HttpProcessingError):
            what = f"{name} sent something that is not a valid HTTP response."
        elif self.phase == "sending":
            what = f"The connection to {name} broke while the request was being sent."
        else:
            what = f"{name} closed the connection without an answer."
        return self.error(self.phase, f"{what} {_REPEAT}")
