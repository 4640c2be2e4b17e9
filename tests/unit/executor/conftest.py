"""Plans compiled from small templates, and requests built from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from services.executor.domain.auth import NO_CREDENTIALS, Credentials
from services.executor.domain.compiling import compile_document
from services.executor.domain.plan import AuthPlan, ConnectorPlan, OperationPlan
from services.executor.domain.request import Target, build_request
from services.executor.domain.schemas import SchemaCache
from services.executor.transport.interface import HttpRequest
from shared.contracts.template import canonical_json, check

BASE = "https://api.example.com/v1"


def template(*operations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "Shop",
        "slug": "shop",
        "type": "General",
        "description": "A shop.",
        "base_url": BASE,
        "auth_type": "none",
        "operations": list(operations),
        **changes,
    }


def compiled(*operations: dict[str, Any], **changes: Any) -> ConnectorPlan:
    """The plan of a template that is valid, as every published one is."""
    document = template(*operations, **changes)
    errors = check(document).errors
    assert not errors, errors
    return compile_document(canonical_json(document))


def operation(*parameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "operation": "run",
        "description": "Runs.",
        "method": "GET",
        "path": "/things",
        "parameters": list(parameters),
        **changes,
    }


@pytest.fixture
def plan() -> Callable[..., ConnectorPlan]:
    """`plan(operation, …, auth_type=…)`: a compiled template."""
    return compiled


@pytest.fixture
def operation_plan() -> Callable[..., OperationPlan]:
    """`operation_plan(parameter, …, method=…)`: the one operation of a compiled template."""

    def make(*parameters: dict[str, Any], **changes: Any) -> OperationPlan:
        return compiled(operation(*parameters, **changes)).operations["run"]

    return make


@pytest.fixture
def build(operation_plan: Callable[..., OperationPlan]) -> Callable[..., HttpRequest]:
    """`build([parameter, …], {name: value}, headers=…)`: the request of one operation."""

    def make(
        parameters: list[dict[str, Any]],
        values: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials = NO_CREDENTIALS,
        auth: AuthPlan | None = None,
        key: str | None = None,
        **changes: Any,
    ) -> HttpRequest:
        target = Target(BASE, auth or AuthPlan("none"), credentials)
        operation = operation_plan(*parameters, **changes)
        return build_request(operation, target, values, headers or {}, idempotency_key=key, schemas=SchemaCache())

    return make
