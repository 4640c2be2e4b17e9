"""Token endpoints that refuse, fail or are not there: told in the caller's words, and told to nobody twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from shared.contracts.execution import DEADLINE_HEADER
from tests.integration.oauth.world import OAuthBus
from tests.support.oauth_server import CLIENT_SECRET, OAuthServer
from tests.support.polling import eventually
from tests.support.processes import free_port


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_scope", "access_denied"])
async def test_a_refusal_is_told_in_the_endpoints_word_and_without_the_secret(
    executor: Executor, bus: OAuthBus, server: OAuthServer, error: str
) -> None:
    server.switch(error=error)
    slug = await bus.connector(token_auth_method="post")

    refused = await bus.refused(slug, "me")

    assert (refused.code, refused.outcome) == ("credentials-rejected", "not_sent")
    assert error in refused.detail
    assert server.url.removeprefix("http://") in refused.detail
    assert CLIENT_SECRET not in refused.detail


@pytest.mark.parametrize(
    ("fault", "code", "words", "requests"),
    [
        ("500", "upstream-unreachable", "status 500", 3),
        ("html", "upstream-unreachable", "neither JSON nor a form", 1),
        ("html-400", "credentials-rejected", "status 400", 1),
        ("junk", "upstream-unreachable", "neither JSON nor a form", 1),
        ("empty", "upstream-unreachable", "no access_token", 1),
        ("redirect", "upstream-unreachable", "status 307", 1),
        ("429", "rate-limited", "left alone", 1),
    ],
)
async def test_an_endpoint_that_does_not_answer_properly_is_no_refusal_unless_it_says_so(
    executor: Executor, bus: OAuthBus, server: OAuthServer, fault: str, code: str, words: str, requests: int
) -> None:
    server.switch(fault=fault)
    slug = await bus.connector()

    refused = await bus.refused(slug, "me")

    assert (refused.code, refused.outcome) == (code, "not_sent")
    assert words in refused.detail
    assert len(server.asked()) == requests
    assert server.called() == 0


async def test_an_endpoint_that_is_not_there_is_unreachable(bus: OAuthBus, start: Callable[..., Any]) -> None:
    port = free_port()
    await start(egress_allow=f"127.0.0.1:{port}")
    slug = await bus.connector(connect=False, token_url=f"http://127.0.0.1:{port}/token")
    await bus.connect(slug, origin=f"http://127.0.0.1:{port}")

    refused = await bus.refused(slug, "me")

    assert (refused.code, refused.outcome) == ("upstream-unreachable", "not_sent")


async def test_an_endpoint_inside_the_operators_network_is_not_asked(bus: OAuthBus, start: Callable[..., Any]) -> None:
    await start(egress_allow="")
    slug = await bus.connector()

    assert (await bus.refused(slug, "me")).code == "egress-denied"


async def test_a_slow_endpoint_costs_a_caller_no_more_than_its_deadline(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(delay=2)
    slug = await bus.connector()

    refused = await bus.refused(slug, "me", headers={DEADLINE_HEADER: "300"})
    answer = await bus.me(slug)

    assert refused.code == "deadline-exceeded"
    assert answer["client"]
    assert len(server.asked()) == 1


async def test_a_refused_client_does_not_hammer_the_endpoint_until_it_is_another(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    slug = await bus.connector(connect=False)
    await bus.connect(slug, {"client_secret": "wrong"})

    codes = [(await bus.refused(slug, "me")).code for _ in range(3)]
    asked = len(server.asked())
    await bus.connect(slug)
    await eventually(lambda: bus.works(slug))

    assert codes == ["credentials-rejected"] * 3
    assert asked == 1


async def test_health_says_auth_error_once_and_is_well_again_after_a_token(
    start: Callable[..., Any], bus: OAuthBus, server: OAuthServer
) -> None:
    workers = [await start(worker=f"w{number}") for number in range(2)]
    assert workers
    slug = await bus.connector(connect=False)
    identifier = await bus.connect(slug, {"client_secret": "wrong"})
    told = await bus.listen_to_health(identifier)

    for _ in range(4):
        assert (await bus.refused(slug, "me")).code == "credentials-rejected"
    await bus.has_health(identifier, "auth_error")
    await bus.rotate(slug, {"client_secret": CLIENT_SECRET})
    await eventually(lambda: bus.works(slug))
    await bus.has_health(identifier, "healthy")

    await eventually(lambda: told == [("unchecked", "auth_error"), ("auth_error", "healthy")])


async def test_the_endpoint_has_a_circuit_of_its_own(executor: Executor, bus: OAuthBus, server: OAuthServer) -> None:
    server.switch(fault="500")
    slug = await bus.connector()

    codes = [(await bus.refused(slug, "me")).code for _ in range(4)]

    assert codes[0] == "upstream-unreachable"
    assert codes[-1] == "circuit-open"
    assert len(server.asked()) == 5
