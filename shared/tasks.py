"""Ending tasks for certain, and looking at what they ended in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_AGAIN_SECONDS: Final = 0.1


async def end(*tasks: asyncio.Task[Any], again_seconds: float = _AGAIN_SECONDS) -> None:
    """Cancel tasks and return once they have ended, whatever they ended in.

    `asyncio.wait_for` of Python 3.11, on which nats-py's requests are built, swallows a cancellation that meets the
    answer. A task in a loop would go on for ever after that, so the cancellation is repeated until it is heeded; a
    task that cleans up after a cancellation needs less than `again_seconds` for that.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=again_seconds)
    for task in tasks:
        mark_seen(task)  # nobody else asks a task that was told to end


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end, also where the caller is cancelled meanwhile: the cancellation then comes after it.

    For database transactions: a driver whose statement is cancelled loses the connection, and may never end.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        mark_seen(task)
        raise cancelled
    return task.result()


def mark_seen(task: asyncio.Task[Any]) -> None:
    """For `add_done_callback` where whoever waits may have left: a failure that nobody hears of is not logged."""
    if not task.cancelled():
        task.exception()
