"""What a connection's fields must be."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from services.registry.domain.connections import check_fields, check_origin, visible_fields
from services.registry.domain.templates import require_valid
from shared.contracts.errors import DibopError
from tests.support.connectors import connection, document

SEALED = {"api_key": base64.b64encode(bytes(48 + 12)).decode()}
SHORT = {"api_key": base64.b64encode(bytes(48 + 11)).decode()}


def refusal(**changes: Any) -> DibopError:
    with pytest.raises(DibopError) as refused:
        check_fields(require_valid("weather", document()), connection(**changes))
    return refused.value


def test_required_fields_are_enough() -> None:
    check_fields(require_valid("weather", document()), connection())
    check_fields(require_valid("weather", document()), connection(values={"account": "a-1"}))


@pytest.mark.parametrize(
    ("changes", "name", "problem"),
    [
        ({"sealed": {}, "masked": {}}, "api_key", "is required and is missing"),
        ({"sealed": {}, "masked": {}, "values": {"api_key": "plain"}}, "api_key", "is sensitive and came in plain"),
        ({"sealed": {**SEALED, "account": "c2VhbGVk"}}, "account", "is not sensitive and came sealed"),
        ({"values": {"acount": "a-1"}}, "acount", "is not a credential field"),
        ({"masked": {"api_key": "tery", "account": "a-1"}}, "account", "has a masked tail"),
        ({"sealed": {"api_key": "not base64!"}}, "api_key", "is not base64"),
        ({"sealed": SHORT}, "api_key", "fewer than 12 characters"),
        ({"kid": ""}, "kid", "is missing"),
    ],
)
def test_each_misfit_is_named(changes: dict[str, Any], name: str, problem: str) -> None:
    error = refusal(**changes)

    assert error.code == "invalid-request"
    assert [(e["name"], problem in e["problem"]) for e in error.errors] == [(name, True)]


def test_the_nearest_field_is_suggested() -> None:
    assert "Did you mean 'account'?" in refusal(values={"acount": "a-1"}).errors[0]["allowed"]


def test_no_value_stands_in_a_refusal() -> None:
    error = refusal(sealed={}, masked={}, values={"api_key": "planted-secret", "other": "planted-secret"})

    assert "planted-secret" not in str(error.to_problem())


def test_the_origin_is_the_templates() -> None:
    template = require_valid("weather", document())

    check_origin(template, connection())
    for other in ("https://evil.example.com:443", "http://api.example.com:80", ""):
        with pytest.raises(DibopError, match=r"api\.example\.com"):
            check_origin(template, connection(origin=other))


def test_the_origin_follows_the_values_in_base_url() -> None:
    fields = {"region": {"label": "Region"}, "api_key": {"label": "Key", "type": "password"}}
    template = require_valid("weather", document(base_url="https://{region}.example.com", credential_schema=fields))

    check_origin(template, connection(origin="https://eu.example.com:443", values={"region": "eu"}))
    with pytest.raises(DibopError):
        check_origin(template, connection(origin="https://eu.example.com:443", values={"region": "us"}))


def test_people_see_tails_of_what_is_sealed() -> None:
    assert visible_fields({"account": "a-1"}, {"api_key": "…", "pin": "…"}, {"api_key": "tery"}) == {
        "account": "a-1",
        "api_key": "••••tery",
        "pin": "••••",
    }
