"""An open connection to one Redis: commands go out as they are given, answers come in their order.

redis-py makes it, and says who we are: TLS, unix sockets, AUTH, SELECT. From then on hiredis reads what arrives right
where the event loop hands it over (ADR-0010).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis
from redis._parsers import BaseParser
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

CONNECT_SECONDS: Final = 2.0
_DEAD_AFTER_MS: Final = 10_000
"""What the other side's kernel has not acknowledged for so long, it will not: its machine is gone."""
_NOT_YET: Final = object()
MakeConnection = Callable[[], AbstractConnection]
Then = Callable[[Any], None]
"""Hears an answer: Redis's, an error of its own being a value, or a LostError."""


class LostError(Exception):
    """The connection broke, or could not be made: what was asked has no answer, and may have been done or not."""


def packed(*parts: str | int) -> bytes:
    """A command as it goes over the wire."""
    command: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # it takes tuples of any length
    return command


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


class Connection(asyncio.Protocol):
    """One that `opened` has made. `on_lost` is called once, when it has broken or was closed."""

    def __init__(self, writer: asyncio.StreamWriter, on_lost: Callable[[], None]) -> None:
        self._writer = writer  # it closes the transport when nobody has it any more
        self._transport = cast("asyncio.Transport", writer.transport)
        self._on_lost: Callable[[], None] | None = on_lost
        self._reader = hiredis.Reader(replyError=BaseParser.parse_error, notEnoughData=_NOT_YET)
        self._asked: deque[Then] = deque()
        self._unsent: list[bytes] = []

    def send(self, command: bytes, then: Then) -> None:
        """Send a packed command, with all that this turn of the loop has to say; `then` hears the answer."""
        self._asked.append(then)
        self._unsent.append(command)
        if len(self._unsent) == 1:
            asyncio.get_running_loop().call_soon(self._write)

    def close(self, reason: str) -> None:
        """Drop it; what has no answer yet is lost for this `reason`."""
        self._transport.abort()
        self._lose(reason)

    # ---- what the event loop calls ------------------------------------------------------------
    def _write(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self._transport.is_closing():
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def data_received(self, data: bytes) -> None:
        reader, asked = self._reader, self._asked
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not _NOT_YET:
                if not asked:
                    return self.close("Redis has sent an answer to nothing")
                asked.popleft()(answer)
        except hiredis.HiredisError as error:
            self.close(f"Redis has sent what is no answer: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._lose((str(error) if error else "") or "Redis has closed the connection")

    def _lose(self, reason: str) -> None:
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost()
        while self._asked:
            self._asked.popleft()(LostError(reason))


async def opened(make: MakeConnection, on_lost: Callable[[], None]) -> Connection:
    """A new connection that is ready for commands; LostError says why there is none."""
    made = make()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await made.connect()  # type: ignore[no-untyped-call]
        reader, writer = made._reader, made._writer  # noqa: SLF001 - there is no other way to have it
        if reader is None or writer is None or reader.at_eof() or writer.transport.is_closing():
            raise LostError("Redis has closed the connection at once")
        connection = Connection(writer, on_lost)
        writer.transport.set_protocol(connection)
        made._reader = made._writer = None  # noqa: SLF001 - it is ours from now on
    except (RedisError, OSError) as error:
        raise LostError(str(error) or type(error).__name__) from error
    finally:
        with contextlib.suppress(RedisError, OSError):
            await made.disconnect(nowait=True)
    return connection
