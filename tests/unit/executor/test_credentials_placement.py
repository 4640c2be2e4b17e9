"""Credentials in a request, by auth type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.executor.domain.auth import NO_CREDENTIALS, credentials_of
from services.executor.domain.plan import ConnectorPlan
from shared.contracts.errors import DibopError

Plan = Callable[..., ConnectorPlan]


@pytest.mark.parametrize(
    ("auth", "values", "headers", "query"),
    [
        ({"auth_type": "none"}, {}, (), ""),
        ({"auth_type": "api_key"}, {"api_key": "k"}, (("X-API-Key", "k"),), ""),
        ({"auth_type": "api_key", "header_name": "X-Key", "key_prefix": "Key "}, {"api_key": "k"},
         (("X-Key", "Key k"),), ""),
        ({"auth_type": "api_key", "query_parameter": "app id"}, {"api_key": "a&b"}, (), "app%20id=a%26b"),
        ({"auth_type": "basic"}, {"username": "ada", "password": "p:ä"},
         (("Authorization", "Basic YWRhOnA6w6Q="),), ""),
        ({"auth_type": "bearer"}, {"token": "t"}, (("Authorization", "Bearer t"),), ""),
    ],
)  # fmt: skip
def test_credentials_stand_where_the_auth_type_says(
    plan: Plan, auth: dict[str, Any], values: dict[str, str], headers: tuple[tuple[str, str], ...], query: str
) -> None:
    credentials = credentials_of(plan(**auth).auth, values)
    assert (credentials.headers, credentials.query) == (headers, query)


@pytest.mark.parametrize(
    ("auth", "values", "problem"),
    [
        ("api_key", {}, "'api_key' is missing or empty"),
        ("api_key", {"api_key": ""}, "'api_key' is missing or empty"),
        ("api_key", {"api_key": "a\r\nX: y"}, "line break"),
        ("api_key", {"api_key": "a\0"}, "NUL"),
        ("basic", {"username": "ada"}, "'password' is missing"),
        ("basic", {"username": "a:b", "password": "p"}, "colon"),
        ("bearer", {"token": "t\n"}, "line break"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused(
    plan: Plan, auth: str, values: dict[str, str], problem: str
) -> None:
    with pytest.raises(DibopError, match=problem) as caught:
        credentials_of(plan(auth_type=auth).auth, values)
    assert caught.value.code == "credentials-rejected"


def test_the_token_of_oauth2_is_not_known_beforehand(plan: Plan) -> None:
    connector = plan(auth_type="oauth2", grant_type="client_credentials", token_url="https://auth.example.com/token")
    assert credentials_of(connector.auth, {"client_id": "i", "client_secret": "s"}) == NO_CREDENTIALS
