"""What each outcome of an attempt means: one table, from what the transport saw to what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from services.executor.transport.interface import Phase, TransportError, TransportTimeout
from shared.contracts.errors import DibopError, ErrorCode, Outcome

Effect = Literal["success", "failure", "neutral", "none"]
"""What an attempt says to the circuit; `none`: there was no attempt."""
Repeat = Literal["never", "if-idempotent", "always", "after-cooldown", "after-renewal"]

_NEUTRAL_SECONDS: Final = 5.0
"""A timeout that the caller's deadline made shorter than this, and than half the attempt's, says nothing."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What an attempt says to the circuit, and when it may be repeated."""

    effect: Effect
    repeat: Repeat


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The verdict on an attempt without a complete response, and the error of a request that ends in it."""

    effect: Effect
    repeat: Repeat
    code: ErrorCode
    outcome: Outcome


_ANSWERED: Final = Verdict("success", "never")
_BROKEN: Final = Verdict("failure", "if-idempotent")
_STATUSES: Final[Mapping[int, Verdict]] = {
    408: _BROKEN,
    425: Verdict("neutral", "never"),
    429: Verdict("neutral", "after-cooldown"),
    501: _ANSWERED,
    505: _ANSWERED,
}
_UNAVAILABLE_UNTIL: Final = Verdict("failure", "after-cooldown")

_UNREACHABLE: Final = Failure("failure", "always", "upstream-unreachable", "not_sent")
_UNKNOWN: Final = Failure("failure", "if-idempotent", "upstream-timeout", "unknown")
_PHASES: Final[Mapping[Phase, Failure]] = {
    "request": Failure("none", "never", "invalid-request", "not_sent"),
    "egress": Failure("none", "never", "egress-denied", "not_sent"),
    "pool": Failure("neutral", "never", "overloaded", "not_sent"),
    "resolve": _UNREACHABLE,
    "connect": _UNREACHABLE,
    "tls": _UNREACHABLE,
    "certificate": Failure("failure", "never", "upstream-unreachable", "not_sent"),
    "client_certificate": Failure("neutral", "never", "credentials-rejected", "not_sent"),
    "sending": _UNKNOWN,
    "receiving": _UNKNOWN,
}
_BY_STATUS: Final[Mapping[Phase, ErrorCode]] = {"too_large": "response-too-large", "decode": "upstream-timeout"}


def of_status(status: int, *, says_when: bool) -> Verdict:
    """The verdict on a complete response; `says_when` is true where it has a usable Retry-After."""
    known = _STATUSES.get(status)
    if known is not None:
        return known
    if status == 503 and says_when:
        return _UNAVAILABLE_UNTIL
    return _BROKEN if status >= 500 else _ANSWERED


def of_failure(error: TransportError, *, lasted: float, attempt_timeout: float, shortened: bool) -> Failure:
    """The verdict on an attempt without a complete response.

    `lasted` and `attempt_timeout` are seconds; `shortened` is true where the caller's deadline left the attempt less
    than its timeout.
    """
    by_status = _BY_STATUS.get(error.phase)
    if by_status is not None:
        verdict = of_status(error.status or 200, says_when=False)
        return Failure(verdict.effect, "never", by_status, "unknown")
    if shortened and isinstance(error, TransportTimeout):
        brief = lasted < _NEUTRAL_SECONDS and lasted < attempt_timeout / 2
        effect: Effect = "neutral" if brief else "failure"
        if not error.sent:
            return Failure(effect, "never", "deadline-exceeded", "not_sent")
        return Failure(effect, "never", "upstream-timeout", "unknown")
    failure = _PHASES[error.phase]
    return _UNREACHABLE if failure is _UNKNOWN and not error.sent else failure


_ADVICE: Final[Mapping[ErrorCode, str]] = {
    "upstream-timeout": "The operation may have happened: repeat it only where that does no harm.",
    "upstream-unreachable": "Nothing was sent.",
    "deadline-exceeded": "The caller's deadline left no more time, and nothing was sent. Allow more time.",
}


def error_of(failure: Failure, detail: str) -> DibopError:
    """The error that a request ends in; `detail` is the transport's sentence."""
    advice = _ADVICE.get(failure.code)
    return DibopError(failure.code, f"{detail} {advice}" if advice else detail, outcome=failure.outcome)
