"""What a probe's one request shows: each step, and the outcome of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from services.executor.probing.steps import Evidence, cause_of, steps_of
from services.executor.transport.attempt import Milestone
from services.executor.transport.interface import TransportError, TransportTimeout
from shared.contracts.errors import DibopError

ALL: dict[Milestone, float] = {"opening": 1.0, "resolved": 1.1, "connected": 1.3, "encrypted": 1.6}


def evidence(*until: Milestone, **changes: Any) -> Evidence:
    found: dict[str, Any] = {
        "asked": "health check", "name": "the health check ping", "encrypted": True, "literal": False,
        "auth": "api_key", "answered_at": 2.0, **changes,
    }  # fmt: skip
    return Evidence(times={each: ALL[each] for each in until or tuple(ALL)}, **found)


def outcomes(given: Evidence) -> tuple[str, str]:
    """The whole's, and those of the steps: pass, fail and skip by their first letters."""
    whole, steps = steps_of(given)
    return whole, "".join(step.outcome[0] for step in steps)


def test_each_step_has_its_own_time() -> None:
    outcome, steps = steps_of(evidence(sent_at=1.7, status=200))

    assert outcome == "online"
    assert [(step.step, step.duration_ms) for step in steps] == [
        ("dns", 100.0), ("tcp", 200.0), ("tls", 300.0), ("http", 300.0), ("auth", None),
    ]  # fmt: skip
    assert not cause_of(steps)


@pytest.mark.parametrize(
    ("error", "until", "told"),
    [
        (TransportError("resolve", "No address.", sent=False), ("opening",), ("offline", "fssss")),
        (TransportError("egress", "Not allowed.", sent=False), ("opening", "resolved"), ("offline", "pfsss")),
        (TransportError("connect", "Refused.", sent=False), ("opening", "resolved"), ("offline", "pfsss")),
        (TransportError("certificate", "Expired.", sent=False), tuple(ALL)[:3], ("offline", "ppfss")),
        (TransportError("client_certificate", "Refused.", sent=False), tuple(ALL)[:3], ("auth_error", "ppfsf")),
        (TransportError("receiving", "Garbage.", sent=True), tuple(ALL), ("offline", "pppfs")),
        (TransportTimeout("resolve", "Slow.", sent=False), ("opening",), ("timeout", "fssss")),
        (TransportTimeout("connect", "Slow.", sent=False), tuple(ALL)[:2], ("timeout", "pfsss")),
        (TransportTimeout("connect", "Slow.", sent=False), tuple(ALL)[:3], ("timeout", "ppfss")),
        (TransportTimeout("receiving", "Slow.", sent=True), tuple(ALL), ("timeout", "pppfs")),
    ],
)
def test_what_follows_from_a_step_that_failed_is_skipped(
    error: TransportError, until: tuple[Milestone, ...], told: tuple[str, str]
) -> None:
    given = evidence(*until, error=error)

    assert outcomes(given) == told
    assert error.detail in cause_of(steps_of(given)[1])


@pytest.mark.parametrize(
    ("asked", "auth", "status", "told"),
    [
        ("health check", "basic", 200, ("online", "ppppp")),
        ("health check", "basic", 401, ("auth_error", "ppppf")),
        ("health check", "basic", 403, ("auth_error", "ppppf")),
        ("health check", "basic", 404, ("offline", "pppfs")),
        ("health check", "basic", 429, ("online", "pppps")),
        ("health check", "none", 401, ("offline", "pppfs")),
        ("health check", "none", 200, ("online", "pppps")),
        ("base URL", "basic", 200, ("online", "pppps")),
        ("base URL", "basic", 401, ("auth_error", "ppppf")),
        ("base URL", "basic", 403, ("online", "pppps")),
        ("base URL", "none", 401, ("online", "pppps")),
        ("base URL", "oauth2", 404, ("online", "ppppp")),
        ("base URL", "basic", 502, ("offline", "pppfs")),
    ],
)
def test_a_status_tells_of_the_system_and_of_the_credentials(
    asked: str, auth: str, status: int, told: tuple[str, str]
) -> None:
    assert outcomes(evidence(asked=asked, auth=auth, status=status, sent_at=1.7)) == told


@pytest.mark.parametrize(
    ("code", "whole"),
    [("credentials-rejected", "auth_error"), ("upstream-unreachable", "offline"), ("deadline-exceeded", "timeout")],
)
def test_a_token_that_is_not_to_be_had_is_told_beside_a_system_that_is_there(code: Any, whole: str) -> None:
    refused = DibopError(code, "No token.")
    given = evidence(asked="base URL", auth="oauth2", status=404, sent_at=1.7, token_ms=5.0, token_error=refused)

    assert outcomes(given) == (whole, "ppppf")


def test_a_proxy_that_looks_names_up_leaves_nothing_to_look_up_here() -> None:
    assert outcomes(evidence("opening", "connected", "encrypted", status=200, sent_at=1.7)) == ("online", "spppp")
