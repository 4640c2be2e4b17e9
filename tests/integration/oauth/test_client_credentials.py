"""Tokens for the client itself: asked for once, sent with each request, as each kind of endpoint wants it."""

from __future__ import annotations

import pytest

from services.executor.app import Executor
from tests.integration.oauth.world import OAuthBus
from tests.support.oauth_server import CLIENT_ID, OAuthServer


@pytest.mark.parametrize("method", ["basic", "post"])
async def test_a_token_is_asked_for_once_and_sent_with_each_request(
    executor: Executor, bus: OAuthBus, server: OAuthServer, method: str
) -> None:
    asks = {"scopes": "read write", "token_parameters": {"audience": "{client_id}"}}
    slug = await bus.connector(token_auth_method=method, **asks)

    answers = [await bus.me(slug) for _ in range(3)]

    assert answers == [{"client": CLIENT_ID, "person": None, "scope": "read write", "method": "GET"}] * 3
    (asked,) = server.asked()
    assert (asked.grant_type, asked.client_id, asked.client, asked.status) == (
        "client_credentials",
        CLIENT_ID,
        method,
        200,
    )
    assert asked.form["audience"] == CLIENT_ID
