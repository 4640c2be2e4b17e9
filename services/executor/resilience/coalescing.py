"""One connection to one Redis, shared by all that a worker does at once.

What is said in one turn of the event loop goes out in one write; answers come in the order of the questions. Nothing
is repeated and nothing times out here: whoever asks decides how long to wait, and what to do without an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

CONNECT_SECONDS: Final = 2.0
_DEAD_AFTER_MS: Final = 10_000
"""What the other side's kernel has not acknowledged for so long, it will not: its machine is gone."""
MakeConnection = Callable[[], AbstractConnection]
Then = Callable[[Any], None]
"""Hears an answer: Redis's, an error of its own being a value, or a LostError."""


def packed(*parts: str | int) -> bytes:
    """A command as it goes over the wire."""
    command: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # it takes tuples of any length
    return command


class LostError(Exception):
    """The connection broke, or could not be made: what was asked has no answer, and may have been done or not."""


def connections(url: str, **overrides: Any) -> MakeConnection:
    """Makes connections to the Redis at `url`, without redis-py's repeats and its timeouts of 5 s."""
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    make: Callable[..., AbstractConnection] = pool.connection_class
    arguments = {**pool.connection_kwargs, **overrides}
    if "path" not in arguments:
        arguments |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    return lambda: make(**arguments)


def _keepalive() -> dict[int, int]:
    options = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": _DEAD_AFTER_MS}
    return {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}


class Line:
    """A connection that is made when something is said, and again after it broke."""

    def __init__(self, make: MakeConnection) -> None:
        self._make = make
        self._unsent: list[bytes] = []
        self._asked: deque[Then] = deque()
        self._wake = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def send(self, command: bytes, then: Then) -> None:
        """Send a packed command. `then` hears its answer, in whatever state the asker is by then."""
        self._unsent.append(command)
        self._asked.append(then)
        self._wake.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())

    def say(self, command: bytes) -> asyncio.Future[Any]:
        """The same with a future: it has the answer, or LostError."""
        future = asyncio.get_running_loop().create_future()
        self.send(command, partial(_settle, future))
        return future

    async def close(self) -> None:
        """Drop the connection; what has no answer yet is lost."""
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving

    async def _serve(self) -> None:
        connection = self._make()
        writing: asyncio.Task[None] | None = None
        reason = "the connection was closed"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
            writing = asyncio.create_task(self._write(connection))
            await self._read(connection)
        except (RedisError, OSError) as error:
            reason = str(error) or type(error).__name__
        finally:
            self._serving = None
            self._fail(reason)
            if writing is not None:
                writing.cancel()
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            unsent, self._unsent = self._unsent, []
            try:
                await connection.send_packed_command(unsent, check_health=False)
            except RedisConnectionError:
                return  # the reader sees the same, and says so

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            try:
                answer = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            except ResponseError as error:
                answer = error
            self._asked.popleft()(answer)

    def _fail(self, reason: str) -> None:
        asked, self._asked, self._unsent = self._asked, deque(), []
        self._wake.clear()
        for then in asked:
            then(LostError(reason))


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, LostError):
        future.set_exception(answer)
        future.exception()  # whoever no longer waits for it need not hear of it
    else:
        future.set_result(answer)
