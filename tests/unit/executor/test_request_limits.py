"""How much a caller may ask for in one request. Each refusal names the limit, and nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from services.executor.domain.auth import Credentials
from services.executor.domain.plan import AuthPlan, ConnectorPlan
from services.executor.domain.request import Target, build_request
from services.executor.domain.schemas import SchemaCache
from services.executor.transport.interface import HttpRequest
from shared.contracts.errors import DibopError

Plan = Callable[..., ConnectorPlan]
OPERATION: Final = {
    "operation": "run",
    "method": "POST",
    "path": "/{id}",
    "idempotency_header": "X-Once",
    "parameters": [
        {"name": "id", "location": "path", "required": True},
        {"name": "q", "location": "query", "type": "array"},
        {"name": "X-Own", "location": "header"},
        {"name": "b", "location": "body"},
    ],
}


@pytest.fixture
def build(plan: Plan) -> Callable[..., HttpRequest]:
    connector = plan(operations=[OPERATION])

    def made(headers: dict[str, str] | None = None, key: str | None = None, **parameters: Any) -> HttpRequest:
        return build_request(
            connector.operations["run"],
            Target("https://api.example.com", AuthPlan("none"), Credentials()),
            {"id": "x", **parameters},
            headers or {},
            idempotency_key=key,
            schemas=SchemaCache(),
        )

    return made


@pytest.mark.parametrize(
    ("given", "name", "allowed"),
    [
        ({"id": "x" * 40_000}, "the URL", "32,768"),
        ({"q": ["word"] * 10_000}, "the URL", "32,768"),
        ({"X-Own": "x" * 70_000}, "headers", "65,536"),
        ({"headers": {f"X-{n}": "x" * 1000 for n in range(80)}}, "headers", "65,536"),
        ({"headers": {f"X-{n}": "" for n in range(101)}}, "headers", "100"),
        ({"key": "k" * 256}, "Idempotency-Key", "255"),
    ],
)
def test_more_than_a_limit_is_refused(
    build: Callable[..., HttpRequest], given: dict[str, Any], name: str, allowed: str
) -> None:
    with pytest.raises(DibopError) as refused:
        build(**given)

    assert refused.value.code == "invalid-parameters"
    [problem] = refused.value.errors
    assert problem["name"] == name
    assert allowed in problem["allowed"]
    assert len(str(refused.value.to_problem())) < 2000


@pytest.mark.parametrize(
    "given",
    [
        {"id": "x" * 32_000},
        {"X-Own": "x" * 60_000},
        {"headers": {f"X-{n}": "" for n in range(100)}},
        {"key": "k" * 255},
        {"b": "x" * 500_000},
    ],
)
def test_what_is_within_the_limits_is_sent(build: Callable[..., HttpRequest], given: dict[str, Any]) -> None:
    assert build(**given).method == "POST"


def test_thousands_of_unknown_names_are_refused_quickly(plan: Plan) -> None:
    many = [{"name": f"parameter_{number}", "location": "query"} for number in range(500)]
    connector = plan(operations=[{"operation": "run", "method": "GET", "path": "/", "parameters": many}])
    began = time.monotonic()

    with pytest.raises(DibopError) as refused:
        build_request(
            connector.operations["run"],
            Target("https://api.example.com", AuthPlan("none"), Credentials()),
            {f"paramater_{number}": "x" for number in range(20_000)},
            {},
            idempotency_key=None,
            schemas=SchemaCache(),
        )

    assert len(refused.value.errors) == 100
    assert "Did you mean" in refused.value.errors[0]["allowed"]
    assert time.monotonic() - began < 5


def test_credentials_tell_nothing_of_themselves() -> None:
    credentials = Credentials((("X-Key", "hunter2000"),), "key=hunter2000", ("hunter2000",))

    assert "hunter2000" not in f"{credentials!r} {credentials} {credentials.hidden!r}"
    assert "hunter2000" not in repr(Target("https://a.example", AuthPlan("none"), credentials))
