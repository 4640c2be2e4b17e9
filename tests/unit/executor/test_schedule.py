"""Delays between attempts, and what a Retry-After makes of them."""

from __future__ import annotations

import random

import pytest

from services.executor.domain.classify import of_status
from services.executor.domain.plan import ResiliencePlan
from services.executor.domain.retry_after import retry_after_ms
from services.executor.resilience.schedule import cooldown_ms, jittered_delay
from services.executor.resilience.scripts import MAX_COOLDOWN_MS

MIDDLE = 0.5
"""The chance that leaves a delay as it is."""


def plan(backoff: str, delay: float) -> ResiliencePlan:
    return ResiliencePlan(30, 10, delay, backoff, 60, 5, 30)  # type: ignore[arg-type]  # a table's text


@pytest.mark.case(31)
@pytest.mark.parametrize(
    ("backoff", "delay", "delays"),
    [
        ("none", 2, [2, 2, 2, 2, 2, 2]),
        ("linear", 2, [2, 4, 6, 8, 10, 12]),
        ("exponential", 2, [2, 4, 8, 16, 32, 60]),
        ("linear", 25, [25, 50, 60, 60, 60, 60]),
        ("exponential", 0, [0, 0, 0, 0, 0, 0]),
        ("none", 60, [60, 60, 60, 60, 60, 60]),
    ],
)
def test_delays_grow_as_the_backoff_says_up_to_a_minute(backoff: str, delay: float, delays: list[float]) -> None:
    assert [jittered_delay(plan(backoff, delay), repeat, lambda: MIDDLE) for repeat in range(1, 7)] == delays


@pytest.mark.case(32)
def test_jitter_is_within_a_quarter_and_not_constant() -> None:
    chance = random.Random(7).random
    delays = [jittered_delay(plan("none", 4), 1, chance) for _ in range(1000)]
    assert all(3 <= delay <= 5 for delay in delays)
    assert min(delays) < 3.1
    assert max(delays) > 4.9
    assert len(set(delays)) > 900


@pytest.mark.case(32)
def test_jitter_never_passes_a_minute() -> None:
    delays = {jittered_delay(plan("none", 60), 1) for _ in range(100)}
    assert max(delays) <= 60
    assert len(delays) > 10


@pytest.mark.case(38)
def test_retry_after_in_seconds() -> None:
    assert retry_after_ms({"retry-after": "7"}) == 7000


@pytest.mark.case(39)
@pytest.mark.parametrize("year", ["1999", "2026", "2095"])
def test_a_retry_after_date_counts_from_the_responses_own_date(year: str) -> None:
    headers = {"retry-after": f"01 Mar {year} 10:00:07 GMT", "date": f"01 Mar {year} 10:00:00 GMT"}
    assert retry_after_ms(headers) == 7000


@pytest.mark.case(40)
@pytest.mark.parametrize("text", ["soon", "-5", "1.5", "", "1e3", "٣", "9" * 5000, "01 Mar 2026 09:00:00 GMT"])
def test_a_retry_after_that_says_nothing_usable_is_ignored(text: str) -> None:
    asked = retry_after_ms({"retry-after": text, "date": "01 Mar 2026 10:00:00 GMT"})
    assert asked is None
    assert of_status(503, says_when=asked is not None).repeat == "if-idempotent"


@pytest.mark.case(41)
def test_no_cooldown_is_longer_than_an_hour() -> None:
    assert cooldown_ms(86_400_000, 1.0) == MAX_COOLDOWN_MS
    assert cooldown_ms(2000, 1.0) == 2000
    assert cooldown_ms(None, 1.5) == 1500
