"""When the next attempt may start: the delay before a repeat, and the cooldown that a response asks for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from services.executor.domain.plan import ResiliencePlan
from services.executor.resilience.scripts import MAX_COOLDOWN_MS
from shared.contracts.backoff import MAX_DELAY_SECONDS, retry_delay

JITTER: Final = 0.25


def jittered_delay(resilience: ResiliencePlan, repeat: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before repeat number `repeat` (from 1): the backoff's, more or less by a quarter, at most a minute.

    `chance` gives numbers from 0 to 1.
    """
    factor = 1 - JITTER + 2 * JITTER * chance()
    delay = retry_delay(resilience.retry_delay_seconds, resilience.retry_backoff, repeat)
    return min(delay * factor, MAX_DELAY_SECONDS)


def cooldown_ms(asked_ms: int | None, delay: float) -> int:
    """How long a response that says "not now" pauses its scope: what it asks for, else the retry's own delay."""
    return min(round(delay * 1000) if asked_ms is None else asked_ms, MAX_COOLDOWN_MS)
