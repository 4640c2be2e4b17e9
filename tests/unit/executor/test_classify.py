"""The table of outcomes."""

from __future__ import annotations

from typing import get_args

import pytest

from services.executor.domain.classify import Effect, error_of, of_failure, of_status
from services.executor.transport.interface import Phase, TransportError, TransportTimeout
from shared.contracts.errors import DibopError


@pytest.mark.parametrize(
    ("statuses", "says_when", "effect", "repeat"),
    [
        ((200, 204, 302, 400, 401, 403, 404, 409, 422, 501, 505), False, "success", "never"),
        ((500, 502, 504, 599), False, "failure", "if-idempotent"),
        ((500, 502, 504), True, "failure", "if-idempotent"),
        ((503,), False, "failure", "if-idempotent"),
        ((503,), True, "failure", "after-cooldown"),
        ((429,), False, "neutral", "after-cooldown"),
        ((429,), True, "neutral", "after-cooldown"),
        ((408,), False, "failure", "if-idempotent"),
        ((425,), False, "neutral", "never"),
    ],
)
def test_a_response_is_judged_by_its_status(
    statuses: tuple[int, ...], says_when: bool, effect: Effect, repeat: str
) -> None:
    for status in statuses:
        verdict = of_status(status, says_when=says_when)
        assert (verdict.effect, verdict.repeat) == (effect, repeat), status


def judged(error: TransportError, *, lasted: float = 1.0, shortened: bool = False) -> tuple[str, str, str, str]:
    failure = of_failure(error, lasted=lasted, attempt_timeout=30, shortened=shortened)
    return failure.effect, failure.repeat, failure.code, failure.outcome


@pytest.mark.parametrize(
    ("phase", "sent", "expected"),
    [
        ("request", False, ("none", "never", "invalid-request", "not_sent")),
        ("egress", False, ("none", "never", "egress-denied", "not_sent")),
        ("pool", False, ("neutral", "never", "overloaded", "not_sent")),
        ("resolve", False, ("failure", "always", "upstream-unreachable", "not_sent")),
        ("connect", False, ("failure", "always", "upstream-unreachable", "not_sent")),
        ("tls", False, ("failure", "always", "upstream-unreachable", "not_sent")),
        ("certificate", False, ("failure", "never", "upstream-unreachable", "not_sent")),
        ("client_certificate", False, ("neutral", "never", "credentials-rejected", "not_sent")),
        ("sending", True, ("failure", "if-idempotent", "upstream-timeout", "unknown")),
        ("sending", False, ("failure", "always", "upstream-unreachable", "not_sent")),
        ("receiving", True, ("failure", "if-idempotent", "upstream-timeout", "unknown")),
        ("too_large", True, ("success", "never", "response-too-large", "unknown")),
        ("decode", True, ("success", "never", "upstream-timeout", "unknown")),
    ],
)
def test_an_attempt_without_a_response_is_judged_by_where_it_ended(
    phase: Phase, sent: bool, expected: tuple[str, ...]
) -> None:
    assert judged(TransportError(phase, "It ended.", sent=sent)) == expected


def test_every_phase_has_a_verdict() -> None:
    for phase in get_args(Phase):
        assert judged(TransportError(phase, "It ended.", sent=True))


def test_a_body_over_the_cap_counts_by_its_status() -> None:
    assert judged(TransportError("too_large", "Large.", sent=True, status=500))[0] == "failure"


@pytest.mark.parametrize(
    ("phase", "sent", "lasted", "expected"),
    [
        ("connect", False, 1.0, ("neutral", "never", "deadline-exceeded", "not_sent")),
        ("connect", False, 6.0, ("failure", "never", "deadline-exceeded", "not_sent")),
        ("receiving", True, 1.0, ("neutral", "never", "upstream-timeout", "unknown")),
        ("receiving", True, 20.0, ("failure", "never", "upstream-timeout", "unknown")),
    ],
)
def test_a_timeout_that_the_deadline_shortened(
    phase: Phase, sent: bool, lasted: float, expected: tuple[str, ...]
) -> None:
    assert judged(TransportTimeout(phase, "Late.", sent=sent), lasted=lasted, shortened=True) == expected


def test_a_full_length_timeout_is_a_failure() -> None:
    assert judged(TransportTimeout("receiving", "Late.", sent=True), lasted=30.0)[0] == "failure"


def test_the_error_says_what_happened_and_what_to_do() -> None:
    failure = of_failure(
        TransportError("receiving", "api:443 closed.", sent=True), lasted=1, attempt_timeout=30, shortened=False
    )
    error = error_of(failure, "api:443 closed.")
    assert isinstance(error, DibopError)
    assert error.detail == "api:443 closed. The operation may have happened: repeat it only where that does no harm."
    assert error.outcome == "unknown"
