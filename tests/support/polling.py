"""Waiting for a condition, never for time to pass."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
_STEP_SECONDS = 0.01


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout: float = ..., *, what: str = ...) -> T: ...  # noqa: ASYNC109


@overload
async def eventually(condition: Callable[[], T], timeout: float = ..., *, what: str = ...) -> T: ...  # noqa: ASYNC109


async def eventually(
    condition: Callable[[], Any],
    timeout: float = 10.0,  # noqa: ASYNC109  # it ends in AssertionError, with what was seen last
    *,
    what: str = "",
) -> Any:
    """Call `condition` until it is truthy, and return what it gave; AssertionError after `timeout` seconds.

    An AssertionError or LookupError inside `condition` counts as not yet.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            outcome = condition()
            value = await outcome if inspect.isawaitable(outcome) else outcome
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
