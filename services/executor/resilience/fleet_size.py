"""How many workers there are, counted over NATS: Redis may be away just when it matters.

Every worker answers `$SRV.PING.dibop-executor` (ADR-32) with its id. Whoever was there within the last window counts:
what a worker has sent before it died is still in the window, and its place may have been taken already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from shared.contracts.unreadable import UNREADABLE
from shared.tasks import end

PING_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_SUBJECT: Final = "$SRV.PING.dibop-executor"

_log = structlog.get_logger(__name__)


class _Pong(msgspec.Struct, gc=False):
    id: str


class Fleet:
    """Counts the workers every few seconds. `memory` is how long one counts after its last answer, in seconds."""

    def __init__(
        self, nc: Client, *, memory: float, every: float = PING_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._nc = nc
        self._memory = max(memory, 2.5 * every)
        self._every = every
        self._clock = clock
        self._inbox = nc.new_inbox()
        self._seen: dict[str, float] = {}
        self._decode = msgspec.json.Decoder(_Pong).decode
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def workers(self) -> int:
        """At least 1: this one."""
        return max(1, len(self._seen))

    async def start(self) -> None:
        """Ask at once, and go on asking."""
        self._subscription = await self._nc.subscribe(self._inbox, cb=self._heard)
        await self._ask()
        self._task = asyncio.create_task(self._keep_asking())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
        if self._subscription is not None and self._nc.is_connected:
            await self._subscription.unsubscribe()

    async def _keep_asking(self) -> None:
        await asyncio.sleep(min(_AGAIN_SECONDS, self._every))  # by then this worker answers as well
        while True:
            await self._ask()
            await asyncio.sleep(self._every)

    async def _ask(self) -> None:
        try:
            await self._nc.publish(_SUBJECT, b"", reply=self._inbox)
        except (NatsError, OSError, ValueError) as error:
            _log.debug("The other workers cannot be asked", error=str(error) or type(error).__name__)

    async def _heard(self, message: Msg) -> None:
        """Note who answers. Nobody is forgotten but when others answer: silence may be NATS's own."""
        now = self._clock()
        try:
            self._seen[self._decode(message.data).id] = now
        except UNREADABLE:
            return
        gone = [worker for worker, at in self._seen.items() if at < now - self._memory]
        for worker in gone:
            del self._seen[worker]
