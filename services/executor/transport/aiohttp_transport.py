"""The transport on aiohttp's connection pool and response parser.

aiohttp's session is left out on purpose. It repeats idempotent requests by itself after a disconnect, which
only a private attribute turns off; it cannot say when the first byte goes out; and it takes clearly more CPU for
each request. Its connector (pool, address racing, TLS) and its parser (llhttp in C) are used as they are:
no name that starts with an underscore is touched, and the conformance suite holds what is relied on.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from services.executor.transport.attempt import Attempt, Origin
from services.executor.transport.body import Body, BodyError
from services.executor.transport.egress import EgressDenied, EgressPolicy
from services.executor.transport.interface import (
    BeforeSend,
    HttpRequest,
    HttpResponse,
    TransportError,
)
from services.executor.transport.resolver import CheckedResolver, Lookup, system_lookup
from services.executor.transport.wire import BadRequest, encode_request, split_url

_READ_BUFFER: Final = 64 * 1024
_HEADER_LIMIT: Final = 32 * 1024
_MAX_ORIGINS: Final = 1024
_MAX_INTERIM_RESPONSES: Final = 16
_NO_LIMITS: Final = aiohttp.ClientTimeout()
_PEER_CLOSED: Final[int] = getattr(select, "POLLRDHUP", 0)
# What aiohttp's protocol and stream raise for a connection that broke or a response that is malformed.
_BROKEN: Final = (aiohttp.ClientError, aiohttp.EofStream, HttpProcessingError, OSError, RuntimeError)


class AiohttpTransport:
    """A `Transport`. Make it inside the running event loop; `aclose` it in the same.

    `max_connections` bounds the requests under way; further ones wait for their turn, first come, first
    served. `keepalive` is how long an unused connection is kept, in seconds. `ca_file` holds PEM certificates
    that are trusted besides the system's. Proxies named in the environment are not used.
    """

    def __init__(
        self,
        egress: EgressPolicy | None = None,
        *,
        max_connections: int = 256,
        keepalive: float = 15.0,
        ca_file: Path | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._egress = egress or EgressPolicy()
        self._resolver = CheckedResolver(self._egress, lookup)
        self._tls = _tls_context(ca_file)
        self._slots = asyncio.Semaphore(max_connections)
        self._connector = aiohttp.TCPConnector(
            limit=0, resolver=self._resolver, use_dns_cache=False, keepalive_timeout=keepalive
        )
        self._origins: dict[str, Origin] = {}
        self._polls: WeakKeyDictionary[ResponseHandler, select.poll] = WeakKeyDictionary()

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the phase it ran out in is part of the answer
        max_bytes: int,
        before_send: BeforeSend | None = None,
    ) -> HttpResponse:
        try:
            text, target = split_url(request.url)
            origin = self._origins.get(text) or self._add_origin(text)
            message = encode_request(request, origin.host_header, target)
        except BadRequest as error:
            raise TransportError("request", str(error), sent=False) from None
        except EgressDenied as error:
            raise TransportError("egress", str(error), sent=False) from None
        attempt = Attempt(origin)
        try:
            async with asyncio.timeout(timeout) as limit, self._slots:
                attempt.phase = "connect"
                connection = await self._connect(attempt)
                try:
                    if before_send is not None and (waiting := before_send()) is not None:
                        await waiting
                except BaseException:
                    connection.release()
                    raise
                return await self._exchange(connection, message, max_bytes, attempt)
        except TimeoutError:
            if not limit.expired():
                raise
            if attempt.phase == "connect" and self._resolver.is_looking_up(origin.host):
                attempt.phase = "resolve"
            raise attempt.timed_out(timeout) from None

    async def aclose(self) -> None:
        await self._connector.close()
        await self._resolver.close()

    def _add_origin(self, text: str) -> Origin:
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        except ValueError:
            host = port = None
        if not host or not port:
            raise BadRequest("The URL's host or port is not valid. Check the connector's base URL.")
        self._egress.check_literal(host, port)
        key = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop(), ssl=self._tls)
        origin = Origin(host, f"{host}:{port}", url.host_port_subcomponent or host, key)
        while len(self._origins) >= _MAX_ORIGINS:
            del self._origins[next(iter(self._origins))]
        self._origins[text] = origin
        return origin

    async def _connect(self, attempt: Attempt) -> Connection:
        """Take a live connection from the pool, or make one."""
        try:
            while True:
                connection = await self._connector.connect(attempt.origin.key, [], _NO_LIMITS)
                if self._is_fresh(connection):
                    return connection
                connection.close()
        except EgressDenied as error:
            raise attempt.error("egress", str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise attempt.unreachable(error) from error

    def _is_fresh(self, connection: Connection) -> bool:
        """Say whether a request may be written to `connection`.

        A kept connection that the peer has closed, or on which it has said anything unasked, is not written
        to: the request would be lost, or would read an answer that is not its own.
        """
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            return True  # closed as soon as it was made: for `_exchange` to report, not to try again
        poll = self._polls.get(protocol)
        if poll is None:
            self._polls[protocol] = _poll(transport)
            return True
        return not protocol.should_close and not poll.poll(0)

    async def _exchange(self, connection: Connection, message: bytes, max_bytes: int, attempt: Attempt) -> HttpResponse:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None or transport.is_closing():
            connection.close()
            name = attempt.origin.name
            raise attempt.error("connect", f"{name} closed the connection before anything was sent. Repeat it.")
        try:
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=_READ_BUFFER,
                max_line_size=_HEADER_LIMIT,
                max_field_size=_HEADER_LIMIT,
            )
            attempt.phase = "receiving"
            attempt.sent = True
            transport.write(message)
            response = await _receive(protocol, max_bytes, attempt)
        except BaseException as error:
            if protocol.writing_paused:
                attempt.phase = "sending"
            _drop(connection, protocol)
            if isinstance(error, BodyError):
                detail = f"The response of {attempt.origin.name} {error.problem}"
                raise attempt.error(error.phase, detail) from None
            if isinstance(error, _BROKEN):
                raise attempt.broken(error) from error
            raise
        if transport.get_write_buffer_size():
            # The answer came before the whole request was taken: what follows on this connection is undefined.
            _drop(connection, protocol)
            return response
        connection.release()
        return response


def _drop(connection: Connection, protocol: ResponseHandler) -> None:
    """Close at once; `close` alone would go on sending what is still to be written."""
    protocol.abort()
    connection.close()


async def _receive(protocol: ResponseHandler, max_bytes: int, attempt: Attempt) -> HttpResponse:
    message, payload = await _final_message(protocol)
    attempt.status = message.code
    headers = _headers(message)
    coding = headers.get("content-encoding")
    body = Body(coding, max_bytes)
    if not coding:
        body.expect(headers.get("content-length"))
    while not payload.at_eof():
        body.feed(await payload.readany())
    return HttpResponse(message.code, headers, body.finish())


async def _final_message(protocol: ResponseHandler) -> tuple[RawResponseMessage, StreamReader]:
    for _ in range(_MAX_INTERIM_RESPONSES):
        message, payload = await protocol.read()
        if message.code >= 200:
            return message, payload
        if message.code == 101:
            raise aiohttp.ClientPayloadError("it switched protocols unasked")
    raise aiohttp.ClientPayloadError("it sent interim responses without end")


def _headers(message: RawResponseMessage) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in message.raw_headers:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        if name in headers:
            value = headers[name] + ("\n" if name == "set-cookie" else ", ") + value
        headers[name] = value
    return headers


def _poll(transport: asyncio.Transport) -> select.poll:
    """Make a check, without waiting, of whether the peer has closed a connection or said anything on it.

    The event loop would tell only in its next turn. Under TLS data may be the protocol's own, such as session
    tickets, so that only the close counts.
    """
    poll = select.poll()
    encrypted = transport.get_extra_info("sslcontext") is not None
    poll.register(
        transport.get_extra_info("socket").fileno(), _PEER_CLOSED if encrypted else select.POLLIN | _PEER_CLOSED
    )
    return poll


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
