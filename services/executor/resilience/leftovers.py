"""The health of connections that are gone goes too, whoever of the workers sees it, and whenever.

A connection's id never comes back, so an entry whose connection the bucket does not have is of no use to anyone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

import structlog
from nats.errors import Error as NatsError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from shared.contracts.projections import ConnectionEntry, ConnectionHealth
from shared.contracts.subjects import connection_key, health_key
from shared.tasks import end

_PASSING: Final = (NatsError, OSError, TimeoutError)

_log = structlog.get_logger(__name__)


class KnownHealth(Protocol):
    """The bucket of health as this worker sees it."""

    def under(self, prefix: str) -> Iterator[tuple[str, ConnectionHealth]]: ...


class Connections(Protocol):
    """The bucket of connections: as this worker sees it, and as it is."""

    def under(self, prefix: str) -> Iterator[tuple[str, ConnectionEntry]]: ...

    async def read(self, key: str) -> ConnectionEntry | None: ...


class Entries(Protocol):
    """Entries of health with the revision that guards them."""

    async def read(self, key: str) -> tuple[ConnectionHealth | None, int]: ...

    async def remove(self, key: str, revision: int) -> bool:
        """False where the entry has changed since `revision`."""
        ...


class Leftovers:
    """Told of every change of both buckets once it has started, and of what they hold when it does."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._connections: Connections | None = None
        self._ids: dict[str, str] = {}
        self._suspects: dict[str, None] = {}
        self._there = asyncio.Event()
        self._remover: asyncio.Task[None] | None = None

    def start(self, health: KnownHealth, connections: Connections) -> None:
        self._connections = connections
        self._ids = {key: entry.id for key, entry in connections.under("")}
        for key, entry in health.under(""):
            self.health_changed(key, entry)
        self._remover = asyncio.create_task(self._remove_all(connections))

    async def stop(self) -> None:
        if self._remover is not None:
            await end(self._remover)

    def connection_changed(self, key: str, entry: ConnectionEntry | None) -> None:
        """A connection was made, has changed, or is gone."""
        if self._connections is None:
            return
        before = self._ids.pop(key, None)
        if entry is not None:
            self._ids[key] = entry.id
        if before is not None and (entry is None or entry.id != before):
            self._suspect(health_key(key.partition(".")[0], before))

    def health_changed(self, key: str, entry: ConnectionHealth | None) -> None:
        """An attempt that was under way when its connection went may have written an entry after that."""
        if (
            self._connections is not None
            and entry is not None
            and self._ids.get(_connection(entry)) != entry.connection
        ):
            self._suspect(key)

    def _suspect(self, key: str) -> None:
        self._suspects[key] = None
        self._there.set()

    async def _remove_all(self, connections: Connections) -> None:
        while True:
            await self._there.wait()
            while self._suspects:
                key = next(iter(self._suspects))
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception_type(_PASSING), wait=wait_exponential_jitter(multiplier=0.05, max=2.0)
                ):
                    with attempt:
                        await self._remove(key, connections)
                del self._suspects[key]
            self._there.clear()

    async def _remove(self, key: str, connections: Connections) -> None:
        """Remove an entry, unless its connection is there: this worker may only not have heard of it yet."""
        while True:
            entry, revision = await self._entries.read(key)
            if entry is None:
                return
            connection = await connections.read(_connection(entry))
            if connection is not None and connection.id == entry.connection:
                return
            if await self._entries.remove(key, revision):
                _log.info("The health of a connection that is gone was removed", connection=entry.connection)
                return


def _connection(entry: ConnectionHealth) -> str:
    return connection_key(entry.enterprise, entry.connector, entry.name)
