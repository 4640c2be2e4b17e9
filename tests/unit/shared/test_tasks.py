"""Ending tasks, also those that swallow a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from shared.tasks import end, unbroken


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(task)

    assert task.cancelled()
    assert swallowed == 1


async def test_what_a_task_ended_in_does_not_matter() -> None:
    async def failing() -> None:
        raise ValueError("of no interest any more")

    async def fine() -> int:
        return 1

    failed, done = asyncio.create_task(failing()), asyncio.create_task(fine())
    await asyncio.wait({failed, done})

    await end(failed, done)
    await end()


async def test_whoever_waits_for_the_end_can_be_cancelled() -> None:
    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if closing:
                    raise

    closing = False
    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await end(task)
    closing = True
    await end(task)


async def test_unbroken_work_is_done_before_a_cancellation() -> None:
    may_end, done = asyncio.Event(), []

    async def work() -> int:
        await may_end.wait()
        done.append(1)
        return 7

    task = asyncio.create_task(unbroken(work()))
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]
    assert await unbroken(work()) == 7
