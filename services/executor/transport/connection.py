"""One connection: writes a request, and reads the response to it."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

from aiohttp.http_exceptions import HttpProcessingError

from services.executor.transport.attempt import Attempt, Origin
from services.executor.transport.body import BodyError
from services.executor.transport.deadline import Deadlines
from services.executor.transport.interface import HttpResponse
from services.executor.transport.reading import ResponseReader

_PEER_CLOSED: Final[int] = getattr(select, "POLLRDHUP", 0)


class Connection(asyncio.Protocol):
    """The protocol of an open connection to `origin`, one exchange at a time.

    Everything that ends an exchange early also closes the connection. `reusable` says whether the last exchange
    left it in a state in which another may follow.
    """

    __slots__ = (
        "_answer",
        "_attempt",
        "_deadlines",
        "_loop",
        "_on_lost",
        "_poll",
        "_reader",
        "_transport",
        "_writing_paused",
        "deadline",
        "origin",
        "reusable",
    )
    _transport: asyncio.Transport
    _poll: select.poll

    def __init__(self, origin: Origin, deadlines: Deadlines, on_lost: Callable[[Connection], None]) -> None:
        self.origin = origin
        self.deadline = 0.0
        self.reusable = True
        self._loop = asyncio.get_running_loop()
        self._deadlines = deadlines
        self._on_lost = on_lost
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._attempt: Attempt | None = None
        self._reader: ResponseReader | None = None
        self._writing_paused = False

    def exchange(self, message: bytes, attempt: Attempt, max_bytes: int) -> asyncio.Future[HttpResponse]:
        """Write `message`; the future ends with the response, or with a TransportError by `attempt.deadline`."""
        if self.is_closing():
            raise attempt.closed_early()
        self._answer = answer = self._loop.create_future()
        self._attempt = attempt
        self._reader = ResponseReader(self, self._loop, attempt, max_bytes)
        self.reusable = False
        self.deadline = attempt.deadline
        self._deadlines.watch(self)
        attempt.phase = "receiving"
        attempt.sent = True
        self._transport.write(message)
        return answer

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def is_fresh(self) -> bool:
        """Say whether a request may be written to a connection that was kept.

        One that the peer has closed, or on which it has said anything unasked, is not written to: the request
        would be lost, or would read an answer that is not its own. The event loop would tell only in its next
        turn, so the kernel is asked.
        """
        return not self.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Close at once; `close` alone would go on sending what is still to be written."""
        answer = self._end()
        if answer is not None and not answer.cancel() and not answer.cancelled():
            answer.exception()  # seen: whoever waited for it has left
        self._transport.abort()

    def expire(self) -> None:
        attempt = self._attempt
        if attempt is not None:
            if self._writing_paused:
                attempt.phase = "sending"
            self._fail(attempt.timed_out())

    def fail(self, error: Exception) -> None:
        """End the exchange under way because of `error`, and close."""
        attempt = self._attempt
        if attempt is None:
            self._transport.abort()
            return
        if self._writing_paused:
            attempt.phase = "sending"
        if isinstance(error, BodyError):
            self._fail(attempt.error(error.phase, f"The response of {self.origin.name} {error.problem}"))
        else:
            self._fail(attempt.broken(error))

    # ---- what the event loop calls ----------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll = _poll(self._transport)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self._transport.abort()  # nobody has asked
            return
        try:
            response = reader.feed(data)
        except (BodyError, HttpProcessingError) as error:
            self.fail(error)
            return
        if response is not None:
            self._finish(response, reader)

    def connection_lost(self, exc: Exception | None) -> None:
        reader = self._reader
        if reader is not None:
            try:
                response = reader.end() if exc is None else None
            except (BodyError, HttpProcessingError) as error:
                self.fail(error)
            else:
                if response is None:
                    self.fail(exc or EOFError())
                else:
                    self._finish(response, reader)
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False

    # ---- what the parser's streams call -----------------------------------------------------------
    def pause_reading(self) -> None:
        """Nothing to do: each piece that arrives is taken out of the stream before the next is read."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing to do: reading is never paused."""

    # ---- the end of an exchange -------------------------------------------------------------------
    def _finish(self, response: HttpResponse, reader: ResponseReader) -> None:
        # Where the answer came before the whole request was taken, what follows on the connection is undefined.
        self.reusable = reader.keep_alive and not self._transport.get_write_buffer_size()
        answer = self._end()
        if answer is not None and not answer.done():
            answer.set_result(response)

    def _fail(self, error: Exception) -> None:
        answer = self._end()
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self._transport.abort()

    def _end(self) -> asyncio.Future[HttpResponse] | None:
        answer = self._answer
        self._answer = self._attempt = self._reader = None
        self._deadlines.forget(self)
        return answer


def _poll(transport: asyncio.Transport) -> select.poll:
    """Make a check, without waiting, of whether the peer has closed a connection or said anything on it.

    Under TLS data may be the protocol's own, such as session tickets, so that only the close counts.
    """
    poll = select.poll()
    encrypted = transport.get_extra_info("sslcontext") is not None
    poll.register(
        transport.get_extra_info("socket").fileno(), _PEER_CLOSED if encrypted else select.POLLIN | _PEER_CLOSED
    )
    return poll
