"""Server-sent events: what happens, told as it happens, to whoever may ask for it.

An event of the bus is only the sign that there is something to ask for: what is told is a service's answer to the
caller's own question, so that a stream never says more than the caller may read, and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi.sse import ServerSentEvent
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.console.api.dependencies import Desk
from shared.contracts.errors import DibopError
from shared.tasks import end

MAX_STREAMS: Final = 32
"""Streams that one person may have open at a console. Browsers open six at a host at most."""
LIFETIME_SECONDS: Final = 600.0
"""A stream ends after so long, and the browser begins it again, with the session as it is then."""
_RETRY_MS: Final = 1000
_PAUSE_SECONDS: Final = 0.05
"""Events that come within this time are asked for together."""

_log = structlog.get_logger("console")


@dataclass(frozen=True, slots=True)
class Look:
    """What a question has found: the events to tell, and whether they were the last."""

    events: list[ServerSentEvent]
    over: bool = False


async def follow(
    desk: Desk, subject: str, look: Callable[[], Awaitable[Look]], *, at_least_every: float
) -> AsyncIterator[ServerSentEvent]:
    """Look now, after each message on `subject`, and `at_least_every` so many seconds, until a look is the last.

    Ends as well when the console stops and when the caller's token does.
    """
    loop, stopping = asyncio.get_running_loop(), desk.parts.stopping
    ends = loop.time() + min(LIFETIME_SECONDS, desk.parts.callers.seconds_left(desk.caller))
    async with _counted(desk), _heard(desk, subject) as heard:
        yield ServerSentEvent(retry=_RETRY_MS, comment="open")
        while loop.time() < ends and not stopping.is_set():
            heard.clear()
            try:
                found = await look()
            except DibopError as error:
                yield ServerSentEvent(event="problem", data=error.to_problem(desk.caller.request_id))
                return
            for event in found.events:
                yield event
            if found.over:
                return
            await _any_of(heard, stopping, seconds=min(at_least_every, ends - loop.time()))
            await asyncio.sleep(_PAUSE_SECONDS)


def require_room(desk: Desk) -> None:
    """Refuse a person's further stream where there are too many already; before it begins."""
    if desk.parts.open_streams[desk.caller.principal.subject] >= MAX_STREAMS:
        raise DibopError("overloaded", f"You have {MAX_STREAMS} streams open already. Close some of them.")


@asynccontextmanager
async def _counted(desk: Desk) -> AsyncIterator[None]:
    counts, person = desk.parts.open_streams, desk.caller.principal.subject
    counts[person] += 1
    try:
        yield
    finally:
        counts[person] -= 1
        if counts[person] <= 0:
            del counts[person]


@asynccontextmanager
async def _heard(desk: Desk, subject: str) -> AsyncIterator[asyncio.Event]:
    """Set whenever something is told on the subject."""
    heard = asyncio.Event()

    async def hear(_message: Msg) -> None:
        heard.set()

    nc = desk.parts.bus.nc
    subscription = await nc.subscribe(subject, cb=hear)
    try:
        yield heard
    finally:
        try:
            await subscription.unsubscribe()
        except NatsError as error:
            _log.debug("A subscription went with its connection", error=str(error))


async def _any_of(*events: asyncio.Event, seconds: float) -> None:
    """Return once one of them is set, or after so many seconds."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*waiting)
