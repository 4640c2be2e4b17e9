"""Waiting for a condition, never for time to pass."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_STEP_SECONDS = 0.01


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    timeout: float = 10.0,  # noqa: ASYNC109  # it ends in AssertionError, with what was seen last
    *,
    what: str = "",
) -> T:
    """Call `condition` until it is truthy, and return what it gave; AssertionError after `timeout` seconds.

    An AssertionError or LookupError inside `condition` counts as not yet.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            outcome = condition()
            value: T = await outcome if inspect.isawaitable(outcome) else outcome
            if value:
                return value
            last = value
        except (AssertionError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition!r}; last: {last!r}")
        await asyncio.sleep(_STEP_SECONDS)


def wait_until(condition: Callable[[], bool], timeout: float = 10.0, *, what: str = "") -> None:
    """The same where no event loop runs."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition!r}")
        time.sleep(_STEP_SECONDS)
