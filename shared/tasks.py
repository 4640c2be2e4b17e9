"""Ending tasks for certain, and looking at what they ended in."""

from __future__ import annotations

import asyncio
from typing import Any, Final

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


def mark_seen(task: asyncio.Task[Any]) -> None:
    """For `add_done_callback` where whoever waits may have left: a failure that nobody hears of is not logged."""
    if not task.cancelled():
        task.exception()
