"""What the executor asks of an HTTP client: one method that sends one request once.

A transport never repeats, never follows a redirect and never decides what an outcome means. It reports
what came back, or where the attempt ended and whether anything may have gone out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from services.executor.transport.client_certificate import ClientCertificate

Phase = Literal[
    "request",  # the request itself cannot be sent as it is: header injection, malformed URL
    "egress",  # the address is not allowed
    "pool",  # no connection slot became free
    "resolve",  # the host's name has no address
    "connect",  # no TCP connection
    "tls",  # the handshake failed
    "certificate",  # the handshake failed because the certificate is not valid for the host
    "client_certificate",  # the connection's own certificate is missing, cannot be used, or was refused
    "sending",  # the connection broke while the request was being written
    "receiving",  # no answer, a malformed one, or one that was cut short
    "too_large",  # the body is over the cap
    "decode",  # the body's content coding is broken or unknown
]

BeforeSend = Callable[[], Awaitable[None] | None]


class HttpRequest(msgspec.Struct, frozen=True):
    """One request, ready to be written.

    `url` is absolute and already percent-encoded; it is sent as it is, without its fragment. Names and values
    of `headers` go out in their order. The transport adds Host and Content-Length, and Accept,
    Accept-Encoding and User-Agent where they are missing. `certificate` is presented to the server in TLS, on
    connections that no request with another certificate uses.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    certificate: ClientCertificate | None = None

    def __repr__(self) -> str:
        """Tell nothing that may be a secret: any part of URL, headers and body may hold one."""
        return f"HttpRequest({self.method})"


class HttpResponse(msgspec.Struct, frozen=True):
    """A complete response of any status.

    Names in `headers` are in lower case. Values of a repeated header are joined with ", ", those of
    `set-cookie` with a line feed, since a comma may stand inside a cookie. `body` is free of content codings;
    `content-encoding` and `content-length` stay as the server sent them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """An attempt that ended without a complete response.

    `sent` is False only when certainly no byte of the request went out. `status` is the response's where its
    headers came before the failure. `detail` is a whole sentence for the caller and names at most host and
    port: never a path, a query or a header's value.
    """

    def __init__(self, phase: Phase, detail: str, *, sent: bool, status: int | None = None) -> None:
        super().__init__(detail)
        self.phase: Phase = phase
        self.detail = detail
        self.sent = sent
        self.status = status


class TransportTimeout(TransportError):  # noqa: N818 - a kind of TransportError
    """The attempt's time ran out; `phase` is what it was waiting for."""


class Transport(Protocol):
    """An HTTP client that sends each request at most once."""

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the phase it ran out in is part of the answer
        max_bytes: int,
        before_send: BeforeSend | None = None,
    ) -> HttpResponse:
        """Send `request` and read its response.

        `timeout` bounds everything, in seconds of wall clock: the wait for a connection, TLS, sending, first
        byte and last byte. `max_bytes` bounds the decoded body. `before_send` is called once, on an open
        connection, just before the first byte is written; what it raises reaches the caller unchanged and
        nothing is sent. Raises TransportError.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection. Requests in flight end with a TransportError."""
        ...
