"""A response body as it comes in: content codings undone, both sizes bounded."""

from __future__ import annotations

import zlib
from typing import Final, Literal, Protocol

_STEP: Final = 64 * 1024
_MAX_CODINGS: Final = 3
_MAX_GZIP_MEMBERS: Final = 64
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BodyError(Exception):
    """The body cannot be taken. `problem` completes "The response …"."""

    def __init__(self, phase: Literal["too_large", "decode"], problem: str) -> None:
        super().__init__(problem)
        self.phase: Literal["too_large", "decode"] = phase
        self.problem = problem


class _Stage(Protocol):
    def feed(self, data: bytes) -> None: ...
    def finish(self) -> None: ...


class Body:
    """Collects a body. `feed` raises BodyError as soon as the decoded size would pass `max_bytes`."""

    __slots__ = ("_decoded", "_first", "_max_bytes", "_received")

    def __init__(self, content_encoding: str | None, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received = 0
        self._decoded = _Decoded(max_bytes)
        self._first = _stages(content_encoding, self._decoded) if content_encoding else None

    def expect(self, content_length: str | None) -> None:
        """Refuse at once a body without coding that announces more than fits."""
        if content_length is not None and content_length.isdigit() and int(content_length) > self._max_bytes:
            raise _too_large(self._max_bytes)

    def feed(self, data: bytes) -> None:
        """Take the next bytes as they came from the connection."""
        if self._first is None:
            self._decoded.feed(data)
            return
        self._received += len(data)
        # Incompressible data grows by well under 1/256; more is empty blocks that decode to nothing.
        if self._received > self._max_bytes + (self._max_bytes >> 8) + 1024:
            raise _too_large(self._max_bytes)
        self._first.feed(data)

    def finish(self) -> bytes:
        """The whole decoded body. Raises BodyError where the coding was cut short."""
        if self._first is not None and self._received:
            self._first.finish()
        return self._decoded.joined()


class _Decoded:
    """The last stage: what has been decoded, within its bound."""

    __slots__ = ("_max_bytes", "_parts", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._parts.append(data)

    def finish(self) -> None:
        pass

    def joined(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


class _Inflate:
    """Undoes gzip, and deflate in both of its spellings (zlib as RFC 9110 says, raw as some servers send it)."""

    __slots__ = ("_coding", "_done", "_head", "_members", "_next", "_stream")

    def __init__(self, coding: Literal["gzip", "deflate"], following: _Stage) -> None:
        self._coding = coding
        self._next = following
        self._head = b""
        self._members = 0
        self._done = False
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> None:
        data, self._head = self._head + data, b""
        while not self._done:
            stream = self._stream
            if stream is None or stream.eof:
                stream = self._start(data)
                if stream is None:
                    return
            try:
                decoded = stream.decompress(data, _STEP)
            except zlib.error:
                raise _broken(self._coding) from None
            if decoded:
                self._next.feed(decoded)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            # A full step may have left output behind even where all input is consumed.
            if not data and len(decoded) < _STEP:
                return

    def finish(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise _broken(self._coding)
        self._next.finish()

    def _start(self, data: bytes) -> zlib._Decompress | None:
        """Begin the first member, or the next one of a gzip body; None while there is nothing to begin."""
        if len(data) < 2:
            self._head = data
            return None
        # What follows the last member is padding, dropped as browsers do.
        if self._stream is not None and (self._coding != "gzip" or not data.startswith(_GZIP_MAGIC)):
            self._done = True
            return None
        self._members += 1
        if self._members > _MAX_GZIP_MEMBERS:
            raise _broken(self._coding)
        if self._coding == "gzip":
            self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        else:
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return self._stream


def _stages(content_encoding: str, decoded: _Decoded) -> _Stage | None:
    """Build the chain that undoes the codings, the one applied last first (RFC 9110, 8.4)."""
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    applied = [coding for coding in codings if coding not in {"", "identity"}]
    if not applied:
        return None
    if len(applied) > _MAX_CODINGS:
        raise BodyError("decode", f"has {len(applied)} content codings, more than {_MAX_CODINGS}. Ask for fewer.")
    stage: _Stage = decoded
    for coding in applied:
        if coding in {"gzip", "x-gzip"}:
            stage = _Inflate("gzip", stage)
        elif coding == "deflate":
            stage = _Inflate("deflate", stage)
        else:
            raise BodyError(
                "decode",
                "has a content coding that was not asked for. Remove Accept-Encoding from the request, "
                "or have the external system answer in gzip, deflate or without coding.",
            )
    return stage


def _too_large(max_bytes: int) -> BodyError:
    return BodyError(
        "too_large",
        f"is larger than {max_bytes:,} bytes when decoded. Ask the external system for less, by paging or filtering.",
    )


def _broken(coding: str) -> BodyError:
    return BodyError(
        "decode", f"is not the {coding} data that it says it is, or is cut short. Check the external system."
    )
