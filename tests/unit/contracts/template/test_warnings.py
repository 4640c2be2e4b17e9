"""What is allowed but seldom meant is a warning, and never stops anything."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.template import check
from tests.unit.contracts.template.documents import document

PARAMETER = "/operations/0/parameters/1"

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"/base_url": "http://api.example.com"}, "/base_url", "plain http"),
    ({f"{PARAMETER}/required": True}, f"{PARAMETER}/required", "has a default"),
    ({f"{PARAMETER}/sensitive": True}, f"{PARAMETER}/default", "not secret"),
    ({"/resilience/max_retries": 4}, "/resilience", "open the circuit"),
    ({"/resilience/circuit_breaker_threshold": 1}, "/resilience", "open the circuit"),
    ({"/operations/0/resilience": {"max_retries": 9}}, "/operations/0/resilience", "open the circuit"),
    ({"/resilience": {"timeout_seconds": 45}}, "/resilience", "last of 3 retries would start after 142 s"),
    (
        {"/operations/0/resilience": {"retry_delay_seconds": 60, "retry_backoff": "none"}},
        "/operations/0/resilience",
        "last of 3 retries",
    ),
    (
        {"/resilience": {"rate_limit_per_minute": 1, "max_retries": 0, "timeout_seconds": 10}},
        "/resilience",
        "may wait 60 s for its permits",
    ),
    ({"/resilience": {"rate_limit_per_minute": 1}}, "/resilience", "may wait 181.5 s"),
    ({"/operations/0/sample": {}}, "/operations/0/sample", "no value for id"),
    ({"/operations/1/method": "DELETE"}, "/operations/1/parameters/0/location", "body of a DELETE"),
    ({"/operations/0/body_encoding": "form"}, "/operations/0/body_encoding", "no body parameter"),
    ({"/operations/1/health_check": True}, "/operations/1/health_check", "not idempotent"),
    (
        {"/operations/1/operation": "get-vehicle"},
        "/operations/0/operation",
        "'-' and '_' alone",
    ),
    ({"/credential_schema": {"region": {"label": "Region"}}}, "/credential_schema/region", "used nowhere"),
    (
        {
            "/auth_type": "bearer",
            "/credential_schema": {"token": {"label": "T", "type": "password", "sensitive": False}},
        },
        "/credential_schema/token/sensitive",
        "always sensitive",
    ),
    (
        {
            "/auth_type": "oauth2",
            "/grant_type": "authorization_code",
            "/token_url": "https://a.example.com/t",
            "/authorization_url": "https://a.example.com/a",
            "/pkce": False,
        },
        "/pkce",
        "PKCE",
    ),
]


@pytest.mark.parametrize(("changes", "path", "warning"), CASES, ids=[case[2] for case in CASES])
def test_what_is_seldom_meant_is_a_warning(changes: dict[str, Any], path: str, warning: str) -> None:
    report = check(document(changes))

    assert report.errors == []
    assert report.template is not None
    assert [each.path for each in report.warnings if warning in each.problem] != []
    assert path in [each.path for each in report.warnings]
    assert all(each.mend for each in report.warnings)


def test_a_plain_document_has_no_warnings() -> None:
    assert check(document()).warnings == []


@pytest.mark.parametrize(
    "resilience", [{"circuit_breaker_threshold": 0, "max_retries": 4, "timeout_seconds": 10}, {"max_retries": 3}]
)
def test_retries_below_the_threshold_are_no_warning(resilience: dict[str, Any]) -> None:
    assert check(document({"/resilience": resilience})).warnings == []


@pytest.mark.parametrize(
    "resilience",
    [{"rate_limit_per_minute": 0, "timeout_seconds": 1}, {"rate_limit_per_minute": 1, "max_retries": 1}],
)
def test_permits_that_come_in_time_are_no_warning(resilience: dict[str, Any]) -> None:
    assert check(document({"/resilience": resilience})).warnings == []


@pytest.mark.parametrize("retries", [10**12, float("inf"), float("nan"), -1])
def test_numbers_out_of_bounds_cost_no_time(retries: float) -> None:
    report = check(document({"/resilience": {"max_retries": retries}}))

    assert {each.path for each in report.errors} == {"/resilience/max_retries"}
