"""What a template says about itself: defaults, effective values, credential fields."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.template import check, slugify
from tests.unit.contracts.template.documents import document, valid


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("OpenWeatherMap", "openweathermap"),
        ("  Fleet  Portal (EU) ", "fleet-portal-eu"),
        ("Crédit Agricole", "credit-agricole"),
        ("A_b.c", "a-b-c"),
        ("3PL Hub", "pl-hub"),
        ("車両", ""),
        ("123", ""),
        ("x" * 62 + " yz", "x" * 62),
        ("x" * 100, "x" * 63),
    ],
)
def test_slugs_are_made_from_names(name: str, slug: str) -> None:
    assert slugify(name) == slug


def test_the_slug_comes_from_the_name_unless_it_is_written() -> None:
    assert valid().slug == "fleet-portal"
    assert valid({"/slug": "fleet"}).slug == "fleet"


def test_what_is_left_out_has_defaults() -> None:
    template = valid()

    assert template.resilience.model_dump() == {
        "timeout_seconds": 30.0,
        "max_retries": 3,
        "retry_delay_seconds": 1.0,
        "retry_backoff": "exponential",
        "rate_limit_per_minute": 60,
        "circuit_breaker_threshold": 5,
        "circuit_breaker_recovery_seconds": 30.0,
    }
    assert template.operations[1].body_encoding == "json"
    assert template.operations[0].title == "get_vehicle"


def test_an_operation_overrides_only_what_it_names() -> None:
    template = valid(
        {"/resilience": {"timeout_seconds": 2.5, "max_retries": 1}, "/operations/0/resilience": {"max_retries": 0}}
    )

    first, second = (operation.resilience_effective(template) for operation in template.operations)

    assert (first.timeout_seconds, first.max_retries) == (2.5, 0)
    assert (second.timeout_seconds, second.max_retries) == (2.5, 1)


@pytest.mark.parametrize(
    ("changes", "idempotent"),
    [
        ({}, False),
        ({"/operations/1/method": "PUT"}, True),
        ({"/operations/1/method": "PATCH"}, False),
        ({"/operations/1/idempotent": True}, True),
        ({"/operations/1/idempotency_header": "X-Once"}, True),
    ],
)
def test_which_operations_may_be_repeated(changes: dict[str, Any], idempotent: bool) -> None:
    assert valid(changes).operations[1].idempotent_effective is idempotent


def test_a_default_makes_a_parameter_optional_and_a_path_requires_it() -> None:
    template = valid(
        {
            "/operations/0/parameters/1/required": True,
            "/operations/0/parameters/0": {"name": "id", "location": "path"},
            "/operations/0/sample": {"id": "7"},
        }
    )

    assert [parameter.is_required for parameter in template.operations[0].parameters] == [True, False]


@pytest.mark.parametrize(
    ("auth", "fields", "sensitive"),
    [
        ({"/auth_type": "none"}, [], set()),
        ({"/auth_type": "api_key"}, ["api_key"], {"api_key"}),
        ({"/auth_type": "basic"}, ["username", "password"], {"password"}),
        ({"/auth_type": "bearer"}, ["token"], {"token"}),
        (
            {"/auth_type": "oauth2", "/grant_type": "client_credentials", "/token_url": "https://a.example.com/t"},
            ["client_id", "client_secret"],
            {"client_secret"},
        ),
    ],
)
def test_each_auth_type_has_its_credential_fields(auth: dict[str, Any], fields: list[str], sensitive: set[str]) -> None:
    template = valid(auth)

    assert list(template.credential_fields()) == fields
    assert template.sensitive_fields() == sensitive


def test_passwords_and_known_secrets_are_sensitive_whatever_is_written() -> None:
    template = valid(
        {
            "/auth_type": "basic",
            "/credential_schema": {
                "username": {"label": "U", "type": "password"},
                "password": {"label": "P"},
            },
        }
    )

    assert template.sensitive_fields() == {"username", "password"}


def test_the_key_is_api_key_or_the_single_sensitive_field() -> None:
    other = {"subscription": {"label": "S", "type": "password"}, "region": {"label": "R"}}

    assert valid({"/auth_type": "api_key"}).api_key_field() == "api_key"
    assert valid({"/auth_type": "api_key", "/credential_schema": other}).api_key_field() == "subscription"
    assert valid().api_key_field() is None


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"/auth_type": "none"}, None),
        ({"/auth_type": "api_key"}, "X-API-Key"),
        ({"/auth_type": "api_key", "/header_name": "X-Key"}, "X-Key"),
        ({"/auth_type": "api_key", "/query_parameter": "key"}, None),
        ({"/auth_type": "bearer"}, "Authorization"),
    ],
)
def test_which_header_carries_the_credential(auth: dict[str, Any], header: str | None) -> None:
    assert valid(auth).credential_header() == header


@pytest.mark.parametrize("scopes", ["read write", " read  write ", ["read", "write"]])
def test_scopes_are_a_list_however_they_are_written(scopes: Any) -> None:
    template = valid(
        {
            "/auth_type": "oauth2",
            "/grant_type": "client_credentials",
            "/token_url": "https://a.example.com/t",
            "/scopes": scopes,
        }
    )

    assert template.scopes == ["read", "write"]


def test_names_that_start_with_x_are_kept_at_every_level() -> None:
    template = valid(
        {
            "/x-team": {"owner": "fleet"},
            "/operations/0/x-cost": 2,
            "/operations/0/parameters/0/x-hint": "VIN",
            "/resilience/x-why": "slow",
        }
    )

    assert template.extensions == {"x-team": {"owner": "fleet"}}
    assert template.operations[0].extensions == {"x-cost": 2}
    assert template.operations[0].parameters[0].extensions == {"x-hint": "VIN"}
    assert template.resilience.extensions == {"x-why": "slow"}


def test_null_means_left_out() -> None:
    template = valid(
        {"/icon": None, "/documentation_url": None, "/operations/0/sample": None, "/credential_schema": None}
    )

    assert template.icon is None
    assert template.operations[0].sample is None


@pytest.mark.parametrize(
    "icon",
    [
        "logo.svg",
        "Logo 64x64.PNG",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E",
        "data:image/svg+xml;base64,PD94bWwgdmVyc2lvbj0iMS4wIj8+CjwhLS0gYSAtLT48c3ZnLz4=",
        "data:image/svg+xml;charset=utf-8,<svg ></svg>",
    ],
)
def test_icons_are_files_or_data_urls(icon: str) -> None:
    assert valid({"/icon": icon}).icon == icon


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert valid({"/resilience/max_retries": 2.0}).resilience.max_retries == 2


def test_a_template_does_not_change() -> None:
    report = check(document())
    assert report.template is not None

    with pytest.raises(ValueError, match="frozen"):
        setattr(report.template, "name", "other")  # noqa: B010 - mypy knows that it cannot be set
