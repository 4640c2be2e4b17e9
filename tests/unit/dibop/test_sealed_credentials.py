"""Credentials are checked, split and sealed before they leave the process."""

from __future__ import annotations

from typing import Any

import pytest

from dibop.errors import InvalidRequestError
from dibop.sealing import complete, connection_command, sealed_for_test
from shared.contracts.template import Template, check
from shared.security.sealing import KeyRing, SealContext

RING = KeyRing.generate()


def template(**changes: Any) -> Template:
    document = {
        "name": "CRM",
        "base_url": "https://{tenant}.crm.example.com",
        "auth_type": "api_key",
        "credential_schema": {
            "tenant": {"label": "Tenant", "type": "string", "required": True},
            "api_key": {"label": "Key", "type": "password", "required": True, "sensitive": True},
            "region": {"label": "Region", "type": "string", "required": False, "default": "eu"},
        },
    }
    report = check(document | changes)
    assert report.template is not None, report.errors
    return report.template


def test_defaults_are_filled_in() -> None:
    assert complete(template(), {"tenant": "acme", "api_key": "k"}) == {
        "tenant": "acme",
        "api_key": "k",
        "region": "eu",
    }


def test_all_that_is_missing_or_unknown_is_told_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        complete(template(), {"api_kee": "planted-secret"})

    assert [error["name"] for error in caught.value.errors] == ["api_kee", "tenant", "api_key"]
    assert "api_key" in caught.value.errors[0]["allowed"]
    assert "planted-secret" not in str(caught.value.errors) + caught.value.detail


def test_a_connection_carries_secrets_sealed_to_its_own_purpose() -> None:
    values = complete(template(), {"tenant": "acme", "api_key": "planted-secret-1234"})

    command = connection_command(
        template(), values, RING.sealing_key, enterprise="local", owner="platform", name="default", policy="^1"
    )

    assert "planted-secret" not in command.model_dump_json()
    assert command.values == {"tenant": "acme", "region": "eu"}
    assert command.masked == {"api_key": "1234"}
    assert command.origin == "https://acme.crm.example.com:443"
    context = SealContext("connection", "local", "platform", "crm", command.id, command.origin, "api_key")
    assert RING.open(command.sealed["api_key"], context, command.kid) == "planted-secret-1234"


def test_test_credentials_are_bound_to_the_drafts_owner_and_to_testing() -> None:
    values = complete(template(), {"tenant": "acme", "api_key": "planted-secret-1234"})

    credentials = sealed_for_test(template(), values, RING.sealing_key, owner="platform")

    context = SealContext("test", "platform", "platform", "crm", credentials.id, credentials.origin, "api_key")
    assert RING.open(credentials.sealed["api_key"], context, credentials.kid) == "planted-secret-1234"


def test_a_value_that_cannot_stand_in_the_address_is_refused() -> None:
    values = complete(template(), {"tenant": "a/b", "api_key": "k"})

    with pytest.raises(Exception, match="tenant"):
        sealed_for_test(template(), values, RING.sealing_key, owner="platform")
