"""One response, read from the bytes of a connection as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from services.executor.transport.attempt import Attempt
from services.executor.transport.body import Body
from services.executor.transport.interface import HttpResponse

_HEADER_LIMIT: Final = 32 * 1024
_STREAM_LIMIT: Final = 256 * 1024
_MAX_INTERIM_RESPONSES: Final = 16
_WITHOUT_BODY: Final = frozenset({204, 304})


class ResponseReader:
    """Feeds aiohttp's parser (llhttp in C) and takes out what it has read, so that nothing piles up in between.

    `keep_alive` says whether another response may follow on the connection.
    """

    __slots__ = (
        "_attempt",
        "_body",
        "_headers",
        "_interim",
        "_max_bytes",
        "_parser",
        "_payload",
        "_status",
        "keep_alive",
    )

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop, attempt: Attempt, max_bytes: int) -> None:
        self._parser = HttpResponseParser(
            protocol,
            loop,
            _STREAM_LIMIT,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            read_until_eof=True,
            auto_decompress=False,
        )
        self._attempt = attempt
        self._max_bytes = max_bytes
        self._interim = 0
        self._payload: StreamReader | None = None
        self.keep_alive = True

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take the next bytes; the response once it is complete. Raises BodyError and HttpProcessingError."""
        messages, _, _ = self._parser.feed_data(data)
        if messages:
            self._take(messages)
        payload = self._payload
        if payload is None:
            return None
        body = payload.read_nowait()
        if body:
            self._body.feed(body)
        return self._response() if payload.is_eof() else None

    def end(self) -> HttpResponse | None:
        """Take the end of the connection: it completes a body without length. Raises as `feed` does."""
        self.keep_alive = False
        if self._payload is None:
            return None
        self._parser.feed_eof()
        return self._response()

    def _take(self, messages: Sequence[tuple[RawResponseMessage, StreamReader]]) -> None:
        for message, payload in messages:
            if self._payload is not None:
                self.keep_alive = False  # a second response, which nobody has asked for
                return
            if message.code >= 200:
                self._begin(message, payload)
                continue
            self._interim += 1
            if message.code == 101 or self._interim > _MAX_INTERIM_RESPONSES:
                raise BadHttpMessage("it switched protocols, or sent interim responses without end")

    def _begin(self, message: RawResponseMessage, payload: StreamReader) -> None:
        self._status = self._attempt.status = message.code
        self._headers = headers = _joined(message.raw_headers)
        if message.should_close:
            self.keep_alive = False
        coding = headers.get("content-encoding")
        self._body = body = Body(coding, self._max_bytes)
        if self._status in _WITHOUT_BODY:
            # Such a response ends with its headers, whatever length these give; the parser would wait for it.
            if not payload.is_eof():
                self.keep_alive = False
            payload = EMPTY_PAYLOAD
        elif not coding:
            body.expect(headers.get("content-length"))
        self._payload = payload

    def _response(self) -> HttpResponse:
        return HttpResponse(self._status, self._headers, self._body.finish())


def _joined(raw_headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw_headers:
        name = _name(raw_name)
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        if name in headers:
            value = headers[name] + ("\n" if name == "set-cookie" else ", ") + value
        headers[name] = value
    return headers


@lru_cache(maxsize=1024)
def _name(raw_name: bytes) -> str:
    return raw_name.decode("latin-1").lower()
