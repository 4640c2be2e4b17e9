"""What the registry hears on the bus: what other services of the platform tell of enterprises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.registry.domain.enterprises import Told, read_event
from shared.contracts.events import Event
from shared.contracts.subjects import ENTERPRISE_EVENTS_PATTERN, EVENTS_STREAM, REGISTRY_CONSUMER
from shared.tasks import end

_AT_ONCE: Final = 32
_WAIT_SECONDS: Final = 5.0
"""A request for messages that a restart of NATS has lost is repeated after so long."""
_AGAIN_SECONDS: Final = 2.0

log = structlog.get_logger("registry")

Hear = Callable[[Told, Event], Awaitable[None]]


class EnterpriseEvents:
    """Reads a durable consumer that all registries share: what is not taken by one is given to another, again."""

    def __init__(self, js: Callable[[], JetStreamContext], hear: Hear) -> None:
        self._js = js
        self._hear = hear
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        if self._reader is not None:
            await end(self._reader)

    async def _read(self) -> None:
        """For ever; where NATS is away, or has lost the consumer, from the beginning."""
        while True:
            try:
                await self._follow()
            except (NatsError, OSError, TimeoutError) as error:
                log.warning("events of enterprises cannot be read, and will be later", reason=str(error)[:300])
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        js = self._js()
        await js.add_consumer(EVENTS_STREAM, _CONSUMER)
        subscription = await js.pull_subscribe_bind(REGISTRY_CONSUMER, EVENTS_STREAM)
        try:
            while True:
                try:
                    messages = await subscription.fetch(_AT_ONCE, timeout=_WAIT_SECONDS)
                except NatsTimeoutError:
                    continue
                for message in messages:
                    await self._take(message)
        finally:
            await subscription.unsubscribe()

    async def _take(self, message: Msg) -> None:
        try:
            event = Event.read(message.subject, message.headers, message.data)
            told = read_event(event, stored_at=message.metadata.timestamp, sequence=message.metadata.sequence.stream)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            log.warning(
                "an event of an enterprise cannot be read and is left out",
                subject=message.subject,
                reason=str(error)[:300],
            )
            await message.term()
            return
        try:
            await self._hear(told, event)
        except Exception:  # whatever it was, the event comes again
            log.exception("an event of an enterprise could not be taken and comes again", subject=message.subject)
            await message.nak(delay=_AGAIN_SECONDS)
        else:
            await message.ack()


_CONSUMER: Final = ConsumerConfig(
    durable_name=REGISTRY_CONSUMER,
    description="What the registry has still to hear of enterprises",
    filter_subject=ENTERPRISE_EVENTS_PATTERN,
    deliver_policy=DeliverPolicy.ALL,
    ack_policy=AckPolicy.EXPLICIT,
)
