"""Time limits of a request: the caller's deadline, and what it leaves an attempt. All in seconds."""

from __future__ import annotations

from typing import Final

import msgspec

from services.executor.domain.plan import ResiliencePlan
from shared.contracts.backoff import retry_delay
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEADLINE_HEADER, DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS

MIN_TIMEOUT: Final = 0.1
MAX_TIMEOUT: Final = 300.0
TOKEN_SECONDS: Final = 10.0
"""What one token request may take."""
_DEFAULT_DEADLINE: Final = DEFAULT_DEADLINE_MS / 1000


class AttemptTime(msgspec.Struct, frozen=True, gc=False):
    """`limit` is what the attempt may take, `timeout` what it could take without a deadline."""

    limit: float
    timeout: float

    @property
    def shortened(self) -> bool:
        return self.limit < self.timeout


def read_deadline(header: str | None) -> float | None:
    """Seconds that the caller still waits, from `Dibop-Deadline-Ms`; None where it does not say."""
    if header is None:
        return None
    text = header.strip()
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 12:
        raise DibopError(
            "invalid-request",
            f"The header {DEADLINE_HEADER} is {text[:40]!r}. Send whole milliseconds from 1 to {MAX_DEADLINE_MS}.",
        )
    milliseconds = int(text)
    if milliseconds > MAX_DEADLINE_MS:
        raise DibopError(
            "invalid-request",
            f"The header {DEADLINE_HEADER} asks for {milliseconds} ms. Send at most {MAX_DEADLINE_MS}; "
            "for longer work, repeat the request.",
        )
    return milliseconds / 1000


def check_timeout(timeout: float | None) -> None:
    """Refuse a request's own attempt timeout that is out of bounds."""
    if timeout is not None and not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise DibopError(
            "invalid-request",
            f"timeout is {timeout} s. Send from {MIN_TIMEOUT} to {MAX_TIMEOUT:g} seconds, or leave it out.",
        )


def whole_schedule(resilience: ResiliencePlan, timeout: float | None, *, renewable: bool = False) -> float:
    """What every attempt and every delay between them may take together, at most two minutes.

    With `renewable` credentials there is time for getting them twice, and for the attempt that follows.
    """
    attempts = resilience.max_retries + 1
    attempt = timeout or resilience.timeout_seconds
    total = attempt * attempts + (attempt + 2 * TOKEN_SECONDS if renewable else 0.0)
    for repeat in range(1, attempts):
        if total >= _DEFAULT_DEADLINE:
            break
        total += retry_delay(resilience.retry_delay_seconds, resilience.retry_backoff, repeat)
    return min(total, _DEFAULT_DEADLINE)


def attempt_time(resilience: ResiliencePlan, timeout: float | None, left: float) -> AttemptTime:
    """What one attempt may take where the caller waits `left` more seconds; `deadline-exceeded` where it does not."""
    if left <= 0:
        raise deadline_passed()
    whole = timeout or resilience.timeout_seconds
    return AttemptTime(min(whole, left), whole)


def deadline_passed() -> DibopError:
    return DibopError(
        "deadline-exceeded",
        "The caller's deadline passed before anything was sent. Allow more time; repeating is safe.",
        outcome="not_sent",
    )
