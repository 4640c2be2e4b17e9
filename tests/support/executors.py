"""Executors in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings


@asynccontextmanager
async def executors(settings: ExecutorSettings) -> AsyncIterator[Callable[..., Awaitable[Executor]]]:
    """What starts them with `settings` and changes to these, and returns them ready; all are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Executor:
            executor = Executor(settings.model_copy(update=changes))
            stack.push_async_callback(executor.drain_and_stop)
            await executor.start()
            return executor

        yield start
