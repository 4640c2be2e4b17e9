"""What a probe has found, step by step: pure rules, from times and outcomes to steps with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from services.executor.transport.attempt import Milestone
from services.executor.transport.interface import Phase, TransportError, TransportTimeout
from shared.contracts.commands import ProbeStep, ProbeStepName
from shared.contracts.errors import DibopError
from shared.contracts.projections import PingOutcome

ORDER: Final[tuple[ProbeStepName, ...]] = ("dns", "tcp", "tls", "http", "auth")
_OPENING: Final[Mapping[ProbeStepName, tuple[Milestone, Milestone]]] = {
    "dns": ("opening", "resolved"),
    "tcp": ("resolved", "connected"),
    "tls": ("connected", "encrypted"),
}
_FAILS: Final[Mapping[Phase, ProbeStepName]] = {
    "egress": "tcp",
    "resolve": "dns",
    "connect": "tcp",
    "tls": "tls",
    "certificate": "tls",
    "client_certificate": "tls",
    "sending": "http",
    "receiving": "http",
}
_UNCHANGED: Final = "Skipped, since an earlier step failed."
_PLAIN: Final = "Skipped: base_url is plain http."
_LITERAL: Final = "Skipped: base_url names an address, so there is no name to look up."
_PROXY: Final = "Skipped: the operator's proxy looks the name up."
_NO_AUTH: Final = "Skipped: the connector has auth_type none."
_MOST_SHOWN: Final = 500

Asked = Literal["health check", "base URL"]


class Evidence(msgspec.Struct, frozen=True):
    """What became of the one request.

    `times` are of `monotonic`; `status` is there where an answer came, `error` where none did. `name` is what was
    asked, in words. `token_ms` and `token_error` tell of getting an access token, for oauth2 alone.
    """

    asked: Asked
    name: str
    encrypted: bool
    literal: bool
    auth: str
    times: Mapping[Milestone, float] = {}
    sent_at: float | None = None
    answered_at: float | None = None
    status: int | None = None
    error: TransportError | None = None
    token_ms: float | None = None
    token_error: DibopError | None = None


def steps_of(evidence: Evidence) -> tuple[PingOutcome, list[ProbeStep]]:
    """The outcome of the whole, and every step in order."""
    failed = _failed_at(evidence)
    found = {step: _opening(step, evidence, failed) for step in _OPENING}
    found["http"] = _http(evidence, failed)
    found["auth"] = _auth(evidence, reached=failed is None)
    return _outcome(evidence, found), [found[step] for step in ORDER]


def _failed_at(evidence: Evidence) -> ProbeStepName | None:
    """The step that the request did not get past."""
    error = evidence.error
    if error is None:
        return None
    step = _FAILS.get(error.phase, "http")
    if step == "tcp" and "connected" in evidence.times:
        return "tls" if evidence.encrypted and "encrypted" not in evidence.times else "http"
    return step


def _opening(step: ProbeStepName, evidence: Evidence, failed: ProbeStepName | None) -> ProbeStep:
    begin, end = _OPENING[step]
    times = evidence.times
    began = times.get(begin, times.get("opening"))
    if failed == step:
        return _fail(step, evidence.error, _milliseconds(began, evidence.answered_at))
    if step == "tls" and not evidence.encrypted:
        return ProbeStep(step=step, outcome="skip", reason=_PLAIN)
    if step == "dns" and evidence.literal:
        return ProbeStep(step=step, outcome="skip", reason=_LITERAL)
    if end in times:
        return ProbeStep(step=step, outcome="pass", duration_ms=_milliseconds(began, times[end]))
    if step == "dns" and "connected" in times:
        return ProbeStep(step=step, outcome="skip", reason=_PROXY)
    return ProbeStep(step=step, outcome="skip", reason=_UNCHANGED)


def _http(evidence: Evidence, failed: ProbeStepName | None) -> ProbeStep:
    took = _milliseconds(evidence.sent_at, evidence.answered_at)
    status = evidence.status
    if failed == "http":
        return _fail("http", evidence.error, took)
    if status is None:
        return ProbeStep(step="http", outcome="skip", reason=_UNCHANGED)
    trouble = _trouble(evidence, status)
    if trouble is None:
        note = None if status < 400 else f"The external system is there: {evidence.name} was answered with {status}."
        return ProbeStep(step="http", outcome="pass", reason=note, duration_ms=took)
    return ProbeStep(step="http", outcome="fail", reason=trouble, duration_ms=took)


def _trouble(evidence: Evidence, status: int) -> str | None:
    """What is wrong with an answer of this status, as a sentence; None for one that shows the system at work."""
    said = f"The external system answered {evidence.name} with status {status}"
    if status >= 500:
        return f"{said}: it is there, and not in order. Ask its operator, or repeat later."
    about_credentials = status in {401, 403, 407} and evidence.auth != "none"
    if status < 400 or status == 429 or about_credentials or evidence.asked == "base URL":
        return None
    return f"{said}. Check the operation's path and its sample values."


def _auth(evidence: Evidence, *, reached: bool) -> ProbeStep:
    took, error, status = evidence.token_ms, evidence.token_error, evidence.status

    def step(outcome: Literal["pass", "fail", "skip"], reason: str | None = None) -> ProbeStep:
        return ProbeStep(step="auth", outcome=outcome, reason=reason, duration_ms=took)

    if error is not None:
        return step("fail", error.detail[:_MOST_SHOWN])
    if evidence.error is not None and evidence.error.phase == "client_certificate":
        return step("fail", evidence.error.detail)
    if evidence.auth == "none":
        return step("skip", _NO_AUTH)
    if not reached or status is None:
        return step("skip", _UNCHANGED)
    if status in {401, 407} or (status == 403 and evidence.asked == "health check"):
        return step(
            "fail",
            f"The external system answered {evidence.name} with status {status}: it does not take the credentials, or "
            "they may not do this. Rotate them, or have their rights widened.",
        )
    if status < 400 and evidence.asked == "health check":
        return step("pass")
    if evidence.auth == "oauth2":
        return step("pass", "The token endpoint gave an access token, and the external system did not turn it down.")
    return step(
        "skip",
        "Nothing tells whether the credentials are good: mark a GET operation that needs them as the connector's "
        "health_check."
        if evidence.asked == "base URL"
        else "The answer does not tell whether the credentials are good.",
    )


def _outcome(evidence: Evidence, found: Mapping[ProbeStepName, ProbeStep]) -> PingOutcome:
    error, refusal = evidence.error, evidence.token_error
    if isinstance(error, TransportTimeout):
        return "timeout"
    if found["auth"].outcome == "fail" and (refusal is None or refusal.code == "credentials-rejected"):
        return "auth_error"
    if refusal is not None and refusal.code == "deadline-exceeded":
        return "timeout"
    return "offline" if any(step.outcome == "fail" for step in found.values()) else "online"


def cause_of(steps: list[ProbeStep]) -> str:
    """What kept a probe from its end, in one line: the first step that failed, and why."""
    return next((f"{step.step}: {step.reason}" for step in steps if step.outcome == "fail"), "")


def _fail(step: ProbeStepName, error: TransportError | None, took: float | None) -> ProbeStep:
    return ProbeStep(step=step, outcome="fail", reason=error.detail if error else None, duration_ms=took)


def _milliseconds(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, end - begin) * 1000, 3)
