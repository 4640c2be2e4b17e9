"""Deadlines and timeouts."""

from __future__ import annotations

import pytest

from services.executor.domain.plan import ResiliencePlan
from services.executor.domain.timing import attempt_time, check_timeout, read_deadline, whole_schedule
from shared.contracts.errors import DibopError


def resilience(timeout: float = 30, retries: int = 0, delay: float = 1, backoff: str = "exponential") -> ResiliencePlan:
    return ResiliencePlan(timeout, retries, delay, backoff, 60, 5, 30)  # type: ignore[arg-type]  # a table's text


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("1500", 1.5), (" 1500 ", 1.5), ("0", 0), ("-5", -0.005), ("3600000", 3600)],
)
def test_a_deadline_is_read(header: str | None, seconds: float | None) -> None:
    assert read_deadline(header) == seconds


@pytest.mark.parametrize("header", ["", "soon", "1.5", "1e3", "٣", "3600001", "9" * 40, "--5", "-"])
def test_a_deadline_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(DibopError, match="Dibop-Deadline-Ms") as caught:
        read_deadline(header)
    assert caught.value.code == "invalid-request"


@pytest.mark.parametrize("timeout", [0.1, 300, None])
def test_a_timeout_in_bounds_passes(timeout: float | None) -> None:
    check_timeout(timeout)


@pytest.mark.parametrize("timeout", [0, 0.09, -1, 300.1, 1e300, float("nan"), float("inf")])
def test_a_timeout_out_of_bounds_is_refused(timeout: float) -> None:
    with pytest.raises(DibopError, match=r"0\.1 to 300"):
        check_timeout(timeout)


@pytest.mark.parametrize(
    ("plan", "timeout", "seconds"),
    [
        (resilience(10), None, 10),
        (resilience(10), 2, 2),
        (resilience(300), None, 120),
        (resilience(10, 2), None, 33),
        (resilience(10, 2, 2, "linear"), None, 36),
        (resilience(10, 2, 2, "none"), None, 34),
        (resilience(1, 10, 60), None, 120),
    ],
)
def test_without_a_deadline_the_whole_schedule_is_the_bound(
    plan: ResiliencePlan, timeout: float | None, seconds: float
) -> None:
    assert whole_schedule(plan, timeout) == seconds


def test_credentials_that_can_be_renewed_have_their_time_in_it() -> None:
    assert whole_schedule(resilience(5), None, renewable=True) == 5 + 5 + 2 * 10
    assert whole_schedule(resilience(60), None, renewable=True) == 120


@pytest.mark.parametrize(
    ("timeout", "left", "limit", "shortened"),
    [(None, 100, 30, False), (None, 5, 5, True), (2, 5, 2, False), (None, 30, 30, False)],
)
def test_an_attempt_never_outlives_the_deadline(
    timeout: float | None, left: float, limit: float, shortened: bool
) -> None:
    time = attempt_time(resilience(30), timeout, left)
    assert (time.limit, time.shortened) == (limit, shortened)


@pytest.mark.parametrize("left", [0, -1])
def test_no_attempt_after_the_deadline(left: float) -> None:
    with pytest.raises(DibopError) as caught:
        attempt_time(resilience(), None, left)
    assert (caught.value.code, caught.value.outcome) == ("deadline-exceeded", "not_sent")
