"""Runs fuzz targets: for a number of examples, or for a time. An example that hangs is a failure like any other."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

EXAMPLE_SECONDS: Final = 10.0
"""How long one example may take, on a busy machine too."""
_ROUND: Final = 500


@dataclass(frozen=True)
class Target:
    """`check` takes whatever `inputs` makes: it returns, or raises AssertionError for what must not be."""

    name: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], object]

    def __str__(self) -> str:
        return self.name


class HangError(AssertionError):
    """An example took too long."""


def run_examples(target: Target, count: int) -> None:
    """Try `count` inputs; the smallest that fails is told."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    @given(target.inputs)
    def attempt(value: Any) -> None:
        with watched():
            target.check(value)

    attempt()


def run_for(target: Target, seconds: float) -> int:
    """Try inputs for so long; the answer is how many rounds of 500 were made, one at least."""
    end, rounds = time.monotonic() + seconds, 0
    while rounds == 0 or time.monotonic() < end:
        run_examples(target, _ROUND)
        rounds += 1
    return rounds


@contextmanager
def watched() -> Iterator[None]:
    """End an example that takes longer than `EXAMPLE_SECONDS`; what hangs outside Python ends with the test run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"an example takes longer than {EXAMPLE_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, EXAMPLE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
