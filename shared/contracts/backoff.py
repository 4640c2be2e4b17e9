"""How the delay between attempts grows: for the executor that keeps to it, and for rules that reckon with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

RetryBackoff = Literal["none", "linear", "exponential"]

MAX_DELAY_SECONDS: Final = 60.0
_GROWTH: Final[Mapping[RetryBackoff, Callable[[int], float]]] = {
    "none": lambda _repeat: 1.0,
    "linear": float,
    "exponential": lambda repeat: 2.0 ** (repeat - 1),
}


def retry_delay(seconds: float, backoff: RetryBackoff, repeat: int) -> float:
    """Seconds before repeat number `repeat` (from 1), where the first waits `seconds`; at most a minute."""
    return min(seconds * _GROWTH[backoff](repeat), MAX_DELAY_SECONDS)
