"""Progress onto the bus: told at once or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from shared.contracts.events import Event
from shared.tasks import end

_MOST_WAITING: Final = 4096

_log = structlog.get_logger(__name__)


class BusProgress:
    """Publishes events in their order without waiting for the stream. What the bus does not take is dropped."""

    def __init__(self, connection: Callable[[], Client]) -> None:
        self._connection = connection
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._publish(), name="test progress")

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    def tell(self, event: Event) -> None:
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def _publish(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                await self._connection().publish(event.subject, event.body(), headers=event.headers())
            except (NatsError, OSError) as error:
                self.dropped += 1
                _log.debug("Progress was not told", subject=event.subject, error=str(error))
