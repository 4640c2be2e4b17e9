"""From a template document to its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.executor.domain.compiling import compile_document
from services.executor.domain.plan import AuthPlan, ConnectorPlan, ExpiredPlan, OAuthPlan, OperationPlan
from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json
from tests.unit.executor.conftest import template

Plan = Callable[..., ConnectorPlan]
Operation = Callable[..., OperationPlan]

ID = {"name": "id", "location": "path", "required": True}
SUB = {"name": "sub", "location": "path", "required": True}


def test_a_path_is_split_at_its_placeholders(operation_plan: Operation) -> None:
    compiled = operation_plan(ID, SUB, path="/things/{id}/parts/{sub}.json")
    assert compiled.literals == ("/things/", "/parts/", ".json")
    assert compiled.path_names == ("id", "sub")


@pytest.mark.parametrize(
    ("changes", "encoding"),
    [
        ({"parameters": []}, None),
        ({"parameters": [{"name": "a", "location": "body"}]}, "json"),
        ({"parameters": [{"name": "a", "location": "body"}], "body_encoding": "form"}, "form"),
        ({"parameters": [{"name": "a", "location": "body"}], "body_encoding": "multipart"}, "multipart"),
        ({"parameters": [{"name": "a", "location": "body", "type": "object", "whole_body": True}]}, "whole"),
    ],
)
def test_the_body_encoding_is_settled(operation_plan: Operation, changes: dict[str, Any], encoding: str | None) -> None:
    assert operation_plan(method="POST", **changes).body_encoding == encoding


def test_a_parameter_with_a_default_is_never_missing(operation_plan: Operation) -> None:
    compiled = operation_plan({"name": "units", "location": "query", "required": True, "default": "metric"})
    assert compiled.parameters[0].required is False
    assert compiled.parameters[0].default == "metric"


def test_query_names_are_encoded_once(operation_plan: Operation) -> None:
    compiled = operation_plan({"name": "filter[name]&x", "location": "query"})
    assert compiled.parameters[0].key == "filter%5Bname%5D%26x="


@pytest.mark.parametrize(
    ("auth", "kind", "fields", "header", "prefix", "query"),
    [
        ({"auth_type": "none"}, "none", (), "", "", ""),
        ({"auth_type": "api_key"}, "api_key", ("api_key",), "X-API-Key", "", ""),
        (
            {"auth_type": "api_key", "header_name": "X-Key", "key_prefix": "Key "},
            "api_key",
            ("api_key",),
            "X-Key",
            "Key ",
            "",
        ),
        ({"auth_type": "api_key", "query_parameter": "appid"}, "api_key", ("api_key",), "", "", "appid"),
        (
            {
                "auth_type": "api_key",
                "credential_schema": {"secret": {"label": "S", "type": "password", "sensitive": True}},
            },
            "api_key",
            ("secret",),
            "X-API-Key",
            "",
            "",
        ),
        ({"auth_type": "basic"}, "basic", ("username", "password"), "Authorization", "", ""),
        ({"auth_type": "bearer"}, "bearer", ("token",), "Authorization", "", ""),
    ],
)
def test_authentication_is_settled(
    plan: Plan, auth: dict[str, Any], kind: str, fields: tuple[str, ...], header: str, prefix: str, query: str
) -> None:
    compiled = plan(**auth).auth
    assert (compiled.kind, compiled.fields, compiled.header) == (kind, fields, header)
    assert (compiled.prefix, compiled.query_parameter) == (prefix, query)


def test_an_operation_overrides_only_what_it_names(plan: Plan) -> None:
    compiled = plan(
        {"operation": "a", "method": "GET", "path": "/a", "resilience": {"timeout_seconds": 5}},
        {"operation": "b", "method": "GET", "path": "/b"},
        resilience={"timeout_seconds": 10, "max_retries": 1},
    )
    own, shared = compiled.operations["a"], compiled.operations["b"]
    assert (own.resilience.timeout_seconds, own.resilience.max_retries) == (5, 1)
    assert (shared.resilience.timeout_seconds, shared.resilience.max_retries) == (10, 1)


@pytest.mark.parametrize(
    ("override", "scoped", "rated"),
    [
        ({"timeout_seconds": 5, "max_retries": 1}, False, False),
        ({"circuit_breaker_threshold": 3}, True, False),
        ({"circuit_breaker_recovery_seconds": 3}, True, False),
        ({"rate_limit_per_minute": 3}, True, True),
        ({"rate_limit_per_minute": None}, False, False),
    ],
)
def test_an_operation_that_overrides_rate_or_circuit_has_its_own(
    plan: Plan, override: dict[str, Any], scoped: bool, rated: bool
) -> None:
    compiled = plan({"operation": "a", "method": "GET", "path": "/a", "resilience": override})
    own = compiled.operations["a"]
    assert (own.scoped, own.rated) == (scoped, rated)


@pytest.mark.parametrize(
    ("changes", "idempotent"),
    [
        ({"method": "GET"}, True),
        ({"method": "PUT"}, True),
        ({"method": "DELETE"}, True),
        ({"method": "POST"}, False),
        ({"method": "PATCH"}, False),
        ({"method": "POST", "idempotent": True}, True),
        ({"method": "POST", "idempotency_header": "Idempotency-Key"}, True),
    ],
)
def test_what_may_be_repeated_is_settled(operation_plan: Operation, changes: dict[str, Any], idempotent: bool) -> None:
    assert operation_plan(**changes).idempotent is idempotent


def test_what_is_alike_is_held_once(plan: Plan) -> None:
    page = {"name": "page", "location": "query", "type": "integer"}
    schema = {"type": "object"}
    compiled = plan(
        {"operation": "a", "method": "GET", "path": "/a", "parameters": [page], "response_schema": schema},
        {"operation": "b", "method": "GET", "path": "/b", "parameters": [page], "response_schema": schema},
    )
    one, other = compiled.operations["a"], compiled.operations["b"]
    assert one.parameters[0] is other.parameters[0]
    assert one.response_schema is other.response_schema


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"name":1}', b"\xff", b"[" * 5000])
def test_a_document_that_cannot_be_read_is_told(document: bytes) -> None:
    with pytest.raises(DibopError, match="cannot be read by this executor") as caught:
        compile_document(document)
    assert caught.value.code == "internal"


def test_extensions_do_not_matter(plan: Plan) -> None:
    assert plan(**{"x-team": "shop"}).slug == "shop"


def test_a_plan_keeps_no_description(plan: Plan) -> None:
    compiled = plan({"operation": "a", "method": "GET", "path": "/a", "description": "MARK"}, description="MARK")
    assert b"MARK" not in msgspec.msgpack.encode(compiled)


def test_what_a_token_endpoint_is_asked_is_settled(plan: Plan) -> None:
    auth = {
        "auth_type": "oauth2",
        "grant_type": "client_credentials",
        "token_url": "https://auth.example.com/token",
        "token_auth_method": "post",
        "scopes": ["read", "write"],
        "scope_separator": "comma",
        "token_parameters": {"audience": "https://{area}.example.com"},
        "credential_schema": {
            "client_id": {"label": "Id"},
            "client_secret": {"label": "Secret", "type": "password"},
            "area": {"label": "Area"},
        },
        "expired_token": {"status_codes": [403], "body_field": "error.code", "body_values": ["EXPIRED", 190]},
    }
    assert plan(**auth).auth == AuthPlan(
        "oauth2",
        ("client_id", "client_secret"),
        "Authorization",
        oauth=OAuthPlan(
            "client_credentials",
            "https://auth.example.com/token",
            "post",
            "read,write",
            (("audience", "https://{area}.example.com"),),
            expired=ExpiredPlan((403,), ("error", "code"), ("EXPIRED", 190)),
        ),
    )


@pytest.mark.parametrize("path", [".evil.test/x", "@evil.test/x", ":81/x", "{x}/y"])
def test_no_path_changes_the_host(path: str) -> None:
    document = template({"operation": "run", "method": "GET", "path": path})
    with pytest.raises(DibopError, match="another host") as caught:
        compile_document(canonical_json(document))
    assert caught.value.code == "egress-denied"
