"""How a command runs: its coroutine, its client, and the exit code that comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from dibop.client import Client

T = TypeVar("T")
FAILED = 1
USAGE = 2


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)


def with_client(home: str | None, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run `work` with a client of the stack in `home`."""
    from dibop.client import Client

    quieten_libraries()

    async def connected() -> T:
        async with Client.connect(home, name="dibop-cli") as client:
            return await work(client)

    return asyncio.run(connected())


def fail() -> NoReturn:
    """End with exit code 1, everything having been said."""
    raise typer.Exit(FAILED)


def wrong_usage(message: str) -> NoReturn:
    """End with exit code 2 and the reason."""
    raise typer.BadParameter(message)


def quieten_libraries() -> None:
    """Libraries log to the console by default; here only what goes wrong is for people to see, without secrets."""
    import logging
    import sys

    import structlog

    from shared.telemetry.logging import redact

    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
