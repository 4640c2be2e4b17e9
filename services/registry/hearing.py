"""What the registry hears on the bus: of enterprises from other services of the platform, of calls from executors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.registry.domain.enterprises import Told, read_event
from shared.contracts.calls import ExecutedCalls
from shared.contracts.events import Event
from shared.contracts.subjects import (
    CALLS,
    CALLS_PATTERN,
    CALLS_STREAM,
    ENTERPRISE_EVENTS_PATTERN,
    EVENTS_STREAM,
    REGISTRY_CONSUMER,
    enterprise_of,
)
from shared.contracts.unreadable import UNREADABLE
from shared.tasks import end

_WAIT_SECONDS: Final = 5.0
"""A request for messages that a restart of NATS has lost is repeated after so long."""
_AGAIN_SECONDS: Final = 2.0

log = structlog.get_logger("registry")

Hear = Callable[[Told, Event], Awaitable[None]]
Keep = Callable[[Sequence[tuple[str, ExecutedCalls]]], Awaitable[None]]
"""Told of enterprises and what was executed for them."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A durable consumer that all registries share: what is not taken by one is given to another, again."""

    stream: str
    consumer: ConsumerConfig
    at_once: int

    @property
    def name(self) -> str:
        return str(self.consumer.durable_name)


class Listener:
    """Reads a source for ever. `take` is given what is there, and acknowledges it."""

    def __init__(
        self, js: Callable[[], JetStreamContext], source: _Source, take: Callable[[list[Msg]], Awaitable[None]]
    ) -> None:
        self._js = js
        self._source = source
        self._take = take
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reader = asyncio.create_task(self._read(), name=f"listener {self._source.name}")

    async def stop(self) -> None:
        if self._reader is not None:
            await end(self._reader)

    async def _read(self) -> None:
        """Where NATS is away, or has lost the consumer, from the beginning."""
        while True:
            try:
                await self._follow()
            except (NatsError, OSError, TimeoutError) as error:
                log.warning(
                    "a stream cannot be read, and will be later", stream=self._source.stream, reason=str(error)[:300]
                )
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        js, source = self._js(), self._source
        await js.add_consumer(source.stream, source.consumer)
        subscription = await js.pull_subscribe_bind(source.name, source.stream)
        try:
            while True:
                try:
                    messages = await subscription.fetch(source.at_once, timeout=_WAIT_SECONDS)
                except NatsTimeoutError:
                    continue
                await self._take(messages)
        finally:
            await subscription.unsubscribe()


def enterprise_events(js: Callable[[], JetStreamContext], hear: Hear) -> Listener:
    """Has `hear` take each event of an enterprise; one that it cannot take comes again."""

    async def take_one(message: Msg) -> None:
        try:
            event = Event.read(message.subject, message.headers, message.data)
            told = read_event(event, stored_at=message.metadata.timestamp, sequence=message.metadata.sequence.stream)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            await _leave_out(message, error)
            return
        try:
            await hear(told, event)
        except Exception:  # whatever it was, the event comes again
            log.exception("an event of an enterprise could not be taken and comes again", subject=message.subject)
            await message.nak(delay=_AGAIN_SECONDS)
        else:
            await message.ack()

    async def take(messages: list[Msg]) -> None:
        for message in messages:
            await take_one(message)

    return Listener(js, _ENTERPRISES, take)


def call_events(js: Callable[[], JetStreamContext], keep: Keep) -> Listener:
    """Has `keep` take all that waits at once; where it cannot, it comes again."""

    async def take(messages: list[Msg]) -> None:
        read: list[tuple[str, ExecutedCalls]] = []
        good: list[Msg] = []
        for message in messages:
            try:
                read.append((enterprise_of(message.subject), _decode_calls(message.data)))
            except UNREADABLE as error:
                await _leave_out(message, error)
            else:
                good.append(message)
        try:
            await keep(read)
        except Exception:  # whatever it was, the calls come again
            log.exception("calls could not be kept and come again", events=len(good))
            for message in good:
                await message.nak(delay=_AGAIN_SECONDS)
        else:
            for message in good:
                await message.ack()

    return Listener(js, _CALLS, take)


async def _leave_out(message: Msg, error: Exception) -> None:
    log.warning("an event cannot be read and is left out", subject=message.subject, reason=str(error)[:300])
    await message.term()


_decode_calls: Final = msgspec.json.Decoder(ExecutedCalls).decode
_ENTERPRISES: Final = _Source(
    EVENTS_STREAM,
    ConsumerConfig(
        durable_name=REGISTRY_CONSUMER,
        description="What the registry has still to hear of enterprises",
        filter_subject=ENTERPRISE_EVENTS_PATTERN,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
    ),
    at_once=32,
)
_CALLS: Final = _Source(
    CALLS_STREAM,
    ConsumerConfig(
        durable_name=CALLS,
        description="What the registry has still to take into the call log",
        filter_subject=CALLS_PATTERN,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
    ),
    at_once=64,
)
