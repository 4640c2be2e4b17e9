"""Tokens for the client itself: asked for as each kind of endpoint wants it, kept for as long as they are good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from shared.contracts.template import parse_source
from tests.integration.oauth.world import OAuthBus
from tests.support.fragments import OAUTH2
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer


@pytest.mark.parametrize("method", ["basic", "post"])
async def test_a_token_is_asked_for_once_and_sent_with_each_request(
    executor: Executor, bus: OAuthBus, server: OAuthServer, method: str
) -> None:
    slug = await bus.connector(
        token_auth_method=method, scopes="read write", token_parameters={"audience": "for {client_id}"}
    )

    answers = [await bus.me(slug) for _ in range(3)]

    assert answers == [{"client": CLIENT_ID, "person": None, "scope": "read write", "method": "GET"}] * 3
    (asked,) = server.asked()
    assert (asked.grant_type, asked.client_id, asked.client, asked.status) == (
        "client_credentials",
        CLIENT_ID,
        method,
        200,
    )
    assert asked.form["audience"] == f"for {CLIENT_ID}"


async def test_the_token_endpoint_may_be_the_connections_own(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    schema = {
        "client_id": {"label": "Client ID"},
        "client_secret": {"label": "Client secret", "type": "password"},
        "token_url": {"label": "Token URL"},
    }
    slug = await bus.connector(connect=False, credential_schema=schema)
    await bus.connect(slug, values={"token_url": f"{server.url}/token"})

    assert (await bus.me(slug))["client"] == CLIENT_ID


async def test_the_usual_form_of_client_credentials_executes_as_it_is_written(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    auth = parse_source(OAUTH2.encode()).document
    slug = await bus.connector(connect=False, **auth)
    await bus.connect(slug, values={"token_url": f"{server.url}/token"})

    assert (await bus.me(slug))["scope"] == "read write"


async def test_scopes_are_joined_as_the_system_wants_them(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(separator=",")
    slug = await bus.connector(scopes=["read", "write"], scope_separator="comma")

    await bus.me(slug)

    assert [each.form["scope"] for each in server.asked()] == ["read,write"]


@pytest.mark.parametrize("expires_in", [None, "3600", "soon", -5, 0, 1e308, [], "1e999"])
async def test_a_lifetime_without_sense_does_no_harm(
    executor: Executor, bus: OAuthBus, server: OAuthServer, expires_in: Any
) -> None:
    server.switch(expires_in=expires_in)
    slug = await bus.connector()

    for _ in range(2):
        await bus.me(slug)

    assert len(server.asked()) == 1


@pytest.mark.parametrize(("fault", "token_type"), [("form", "Bearer"), ("", "bearer"), ("", None), ("", "BearerToken")])
async def test_answers_that_bend_the_rules_are_understood(
    executor: Executor, bus: OAuthBus, server: OAuthServer, fault: str, token_type: str | None
) -> None:
    server.switch(fault=fault, token_type=token_type)

    assert (await bus.me(await bus.connector()))["client"] == CLIENT_ID


async def test_what_the_system_echoes_of_the_token_reaches_no_caller_where_echoes_are_hidden(
    start: Callable[..., Any], bus: OAuthBus, server: OAuthServer
) -> None:
    await start(hide_echoed_credentials=True)

    answer = await bus.execute(await bus.connector(), "echo")

    assert answer["status_code"] == 200
    assert set(answer["response"]["authorization"].removeprefix("Bearer ")) <= set("•[redacted]*")


async def test_a_draft_is_tested_with_the_credentials_that_its_test_brings(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    answer = await bus.test_draft("me", {"client_secret": CLIENT_SECRET})

    assert answer["status_code"] == 200
    assert answer["response"]["client"] == CLIENT_ID
