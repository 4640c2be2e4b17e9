"""One connection to one Redis, shared by all that a worker does at once.

What is said in one turn of the event loop goes out in one write; answers come in the order of the questions. Nothing
is repeated and nothing times out here: whoever asks decides how long to wait, and what to do without an answer.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from services.executor.resilience.connection import Connection, LostError, MakeConnection, Then, opened
from shared.tasks import end

_CLOSED: Final = "the connection was closed"


class Line:
    """A connection that is made when something is said, and again after it broke."""

    def __init__(self, make: MakeConnection) -> None:
        self._make = make
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[tuple[bytes, Then]] = []

    def send(self, command: bytes, then: Then) -> None:
        """Send a packed command. `then` hears its answer, in whatever state the asker is by then."""
        if self._connection is not None:
            self._connection.send(command, then)
            return
        self._unsent.append((command, then))
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    def say(self, command: bytes) -> asyncio.Future[Any]:
        """The same with a future: it has the answer, or LostError."""
        future = asyncio.get_running_loop().create_future()
        self.send(command, partial(_settle, future))
        return future

    async def close(self) -> None:
        """Drop the connection; what has no answer yet is lost."""
        if self._connecting is not None:
            await end(self._connecting)
            self._give_up(_CLOSED)
        if self._connection is not None:
            self._connection.close(_CLOSED)

    async def _connect(self) -> None:
        try:
            self._connection = connection = await opened(self._make, self._lost)
        except LostError as error:
            self._give_up(str(error))
            return
        self._connecting, unsent, self._unsent = None, self._unsent, []
        for command, then in unsent:
            connection.send(command, then)

    def _give_up(self, reason: str) -> None:
        self._connecting, unsent, self._unsent = None, self._unsent, []
        for _, then in unsent:
            then(LostError(reason))

    def _lost(self) -> None:
        self._connection = None


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, LostError):
        future.set_exception(answer)
        future.exception()  # whoever no longer waits for it need not hear of it
    else:
        future.set_result(answer)
