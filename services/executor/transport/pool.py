"""Connections: a bound on those in use, and those that are kept for the next request."""

from __future__ import annotations

import asyncio
from collections import deque

from services.executor.transport.attempt import Attempt, Origin
from services.executor.transport.connection import Connection
from services.executor.transport.deadline import Deadlines
from services.executor.transport.opening import Opener


class Pool:
    """At most `size` connections are taken at a time, and at most as many are kept, each for `keepalive` seconds.

    Whoever takes a connection hands it back by `give_back` or `drop`.
    """

    def __init__(self, opener: Opener, *, size: int, keepalive: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._opener = opener
        self._size = size
        self._keepalive = keepalive
        self._deadlines = Deadlines()
        self._slots = _Slots(size)
        self._open: set[Connection] = set()
        self._idle: dict[Origin, list[Connection]] = {}
        # Every idle connection and the time until which it is kept, the one that was used least recently first.
        self._kept: dict[Connection, float] = {}
        self._tidying: asyncio.TimerHandle | None = None
        self._closed = False

    def take_kept(self, origin: Origin) -> Connection | None:
        """Take a connection without waiting; None where no kept one is fresh, or the pool is full."""
        if origin not in self._idle or not self._slots.take_at_once():
            return None
        connection = self._fresh(origin)
        if connection is None:
            self._slots.give_back()
        return connection

    async def take(self, attempt: Attempt) -> Connection:
        """Take a connection, in turn; a new one for an attempt whose opening is watched.

        `attempt.phase` says what is being waited for. Raises TransportError.
        """
        attempt.phase = "pool"
        await self._slots.take()
        try:
            fresh = self._fresh(attempt.origin) if attempt.watch is None else None
            return fresh or await self._open_one(attempt)
        except BaseException:
            self._slots.give_back()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep a connection after a complete exchange, where it may be used again."""
        if connection.reusable and not self._closed:
            self._keep(connection)
        else:
            connection.abort()
        self._slots.give_back()

    def drop(self, connection: Connection) -> None:
        """Close a connection at once, whatever goes on there."""
        connection.abort()
        self._slots.give_back()

    def close(self) -> None:
        """Close every connection; exchanges under way fail."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        for connection in tuple(self._open):
            connection.fail(ConnectionAbortedError("the transport was closed"))
        self._deadlines.close()

    async def _open_one(self, attempt: Attempt) -> Connection:
        origin = attempt.origin
        self._refuse_if_closed(attempt)
        connection = await self._opener.open(attempt, lambda: Connection(origin, self._deadlines, self._forget))
        if self._closed or connection.is_closing():
            connection.abort()
            self._refuse_if_closed(attempt)
            raise attempt.closed_early()
        self._open.add(connection)
        return connection

    def _refuse_if_closed(self, attempt: Attempt) -> None:
        if self._closed:
            raise attempt.error("connect", "This worker is stopping and nothing was sent. Repeat the request.")

    def _fresh(self, origin: Origin) -> Connection | None:
        """The kept connection that was used last, where it may still be written to."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            del self._kept[connection]
            if connection.is_fresh():
                return connection
            connection.abort()
        self._idle.pop(origin, None)
        return None

    def _keep(self, connection: Connection) -> None:
        self._idle.setdefault(connection.origin, []).append(connection)
        self._kept[connection] = self._loop.time() + self._keepalive
        if len(self._kept) > self._size:
            self._let_go(next(iter(self._kept)))
        if self._tidying is None:
            self._tidying = self._loop.call_later(self._keepalive, self._tidy)

    def _tidy(self) -> None:
        """Close what was kept for long enough."""
        self._tidying = None
        now = self._loop.time()
        for connection, until in tuple(self._kept.items()):
            if until > now:
                self._tidying = self._loop.call_at(until, self._tidy)
                return
            self._let_go(connection)

    def _let_go(self, connection: Connection) -> None:
        self._forget_kept(connection)
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        """A connection is closed, by whomever."""
        self._open.discard(connection)
        if connection in self._kept:
            self._forget_kept(connection)

    def _forget_kept(self, connection: Connection) -> None:
        del self._kept[connection]
        idle = self._idle[connection.origin]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.origin]


class _Slots:
    """A bounded number of turns, first come, first served; whoever need not wait does so without a coroutine."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_at_once(self) -> bool:
        # While anyone waits none is free: `give_back` hands it on.
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        if self.take_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if not turn.cancelled():
                self.give_back()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
