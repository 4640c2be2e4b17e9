"""Following the call log: what is told is chosen as the registry would."""

from __future__ import annotations

import msgspec
import pytest

from dibop.calls import fits, told
from shared.contracts.calls import ExecutedCall, ExecutedCalls
from shared.contracts.commands import ListCalls
from shared.contracts.events import Event

RESULT = ExecutedCall("b-1", "r-1", "crm", "get", "failed", 1_790_000_000_123, 12.5, "default", "1.0.0", 503, 2)
ERROR = ExecutedCall("b-2", "r-2", "crm", "get", "rate-limited", 1_790_000_000_123, 1.0)


def test_an_event_is_read_as_the_calls_it_tells_of() -> None:
    data = msgspec.to_builtins(ExecutedCalls("w1", [RESULT, ERROR]))

    first, second = told(Event("acme", "operation", "calls", "executed", "executor", data))

    assert (first.status, first.worker, first.started_at) == (503, "w1", "2026-09-21T14:13:20.123Z")
    assert (second.status, second.connection, second.outcome) == (None, None, "rate-limited")


@pytest.mark.parametrize(
    ("query", "fitting"),
    [
        ({}, ["r-1", "r-2"]),
        ({"connector": "crm", "operation": "get"}, ["r-1", "r-2"]),
        ({"connector": "shop"}, []),
        ({"connection": "default"}, ["r-1"]),
        ({"status": "5xx"}, ["r-1"]),
        ({"status": "503", "outcome": "failed"}, ["r-1"]),
        ({"status": "404"}, []),
        ({"outcome": "error"}, ["r-2"]),
        ({"outcome": "rate-limited"}, ["r-2"]),
        ({"request_id": "r-2", "outcome": "succeeded"}, []),
    ],
)
def test_filters_choose_as_the_registry_would(query: dict[str, str], fitting: list[str]) -> None:
    data = msgspec.to_builtins(ExecutedCalls("w1", [RESULT, ERROR]))
    calls = told(Event("acme", "operation", "calls", "executed", "executor", data))

    assert [call.request_id for call in calls if fits(call, ListCalls.model_validate(query))] == fitting
