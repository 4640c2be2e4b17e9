"""Digests: the same for the same meaning, and changed by what they are meant to be changed by."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json, document_digest, operation_digest, operation_digests
from tests.unit.contracts.template.documents import valid


def digests(changes: dict[str, Any] | None = None) -> tuple[str, str]:
    template = valid(changes)
    return operation_digest(template, "get_vehicle"), operation_digest(template, "add_trip")


def test_canonical_json_is_that_of_rfc_8785() -> None:
    document = {"b": [1.0, 1e21, "é\n"], "a": {"z": None, "B": True}}

    assert canonical_json(document) == '{"a":{"B":true,"z":null},"b":[1,1e+21,"é\\n"]}'.encode()
    assert document_digest(document) == "sha256:" + hashlib.sha256(canonical_json(document)).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}])
def test_what_json_does_not_carry_has_no_digest(value: Any) -> None:
    with pytest.raises(DibopError) as caught:
        document_digest({"a": value})

    assert caught.value.code == "invalid-template"


def test_nesting_without_end_has_no_digest() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(DibopError, match="nesting"):
        document_digest(deep)


@pytest.mark.parametrize(
    "changes",
    [
        {"/operations/0/parameters/1/required": False},
        {"/operations/0/parameters/1/type": "string"},
        {"/operations/0/body_encoding": "json"},
        {"/header_name": None},
        {"/name": "Other"},
        {"/description": "Other"},
        {"/resilience": {"max_retries": 1}},
        {"/x-note": "kept"},
        {"/credential_schema": {}},
    ],
)
def test_what_changes_nothing_for_an_operation_keeps_its_digest(changes: dict[str, Any]) -> None:
    assert digests(changes) == digests()


@pytest.mark.parametrize(
    "changes",
    [
        {"/operations/0/path": "/cars/{id}"},
        {"/operations/0/parameters/1/default": "fr"},
        {"/operations/0/response_schema": {"type": "object"}},
        {"/operations/0/resilience": {"max_retries": 1}},
        {"/operations/0/idempotent": True},
    ],
)
def test_editing_one_operation_changes_its_digest_alone(changes: dict[str, Any]) -> None:
    before, after = digests(), digests(changes)

    assert after[0] != before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"/base_url": "https://api.example.com/v2"},
        {"/auth_type": "bearer"},
        {"/credential_schema": {"region": {"label": "Region"}}},
    ],
)
def test_editing_base_url_or_auth_changes_all(changes: dict[str, Any]) -> None:
    assert all(after != before for before, after in zip(digests(), digests(changes), strict=True))


def test_written_default_credentials_are_the_default_ones() -> None:
    written = {"token": {"label": "Token", "type": "password", "required": True, "sensitive": True}}

    assert digests({"/auth_type": "bearer"}) == digests({"/auth_type": "bearer", "/credential_schema": written})


def test_an_unknown_operation_is_told_with_the_nearest_name() -> None:
    with pytest.raises(DibopError, match="Did you mean 'get_vehicle'") as caught:
        operation_digest(valid(), "get_vehicles")

    assert caught.value.code == "unknown-operation"


def test_all_digests_at_once_are_those_of_the_single_operations() -> None:
    template = valid()

    assert operation_digests(template) == {
        operation.operation: operation_digest(template, operation.operation) for operation in template.operations
    }
