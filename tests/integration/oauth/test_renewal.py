"""Tokens that end: renewed before their end where nobody has to wait, and once where the system turns them down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from tests.integration.oauth.world import OAuthBus
from tests.support.oauth_server import CLIENT_ID, OAuthServer
from tests.support.polling import eventually

BODY_SAYS_SO = {"status_codes": [403], "body_field": "error.code", "body_values": ["TOKEN_EXPIRED"]}


@pytest.mark.parametrize(("operation", "method"), [("me", "GET"), ("create", "POST")])
async def test_a_token_that_is_turned_down_is_renewed_once_whatever_the_method(
    executor: Executor, bus: OAuthBus, server: OAuthServer, operation: str, method: str
) -> None:
    slug = await bus.connector(resilience={"max_retries": 0})
    await bus.me(slug)
    server.forget()
    server.revoke()

    answer = await bus.execute(slug, operation)

    assert answer["status_code"] == 200
    assert answer["response"]["method"] == method
    assert [attempt["status_code"] for attempt in answer["attempts"]] == [401, 200]
    assert answer["retry_stopped"] is None
    assert len(server.asked()) == 1


async def test_a_system_may_say_it_otherwise(executor: Executor, bus: OAuthBus, server: OAuthServer) -> None:
    slug = await bus.connector(expired_token=BODY_SAYS_SO)
    other = await bus.connector()
    for each in (slug, other):
        await bus.execute(each, "forbidding")
    server.revoke()

    renewed = await bus.execute(slug, "forbidding")
    plain = await bus.execute(other, "forbidding")

    assert [attempt["status_code"] for attempt in renewed["attempts"]] == [403, 200]
    assert [attempt["status_code"] for attempt in plain["attempts"]] == [403]


async def test_the_second_401_is_the_result_and_is_not_asked_about_again(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    slug = await bus.connector()
    await bus.me(slug)
    server.forget()

    answers = [await bus.execute(slug, "always_401") for _ in range(3)]

    assert [answer["status_code"] for answer in answers] == [401] * 3
    assert [len(answer["attempts"]) for answer in answers] == [2, 1, 1]
    assert len(server.asked()) == 1


async def test_a_401_to_a_token_that_was_just_got_is_the_result(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    answer = await bus.execute(await bus.connector(), "always_401")

    assert [attempt["status_code"] for attempt in answer["attempts"]] == [401]
    assert len(server.asked()) == 1


async def test_where_no_other_token_is_to_be_had_the_401_is_the_result(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    slug = await bus.connector()
    await bus.me(slug)
    server.revoke()
    server.switch(error="invalid_client")

    answer = await bus.execute(slug, "me")

    assert answer["status_code"] == 401


async def test_a_repeat_takes_a_permit(executor: Executor, bus: OAuthBus, server: OAuthServer) -> None:
    slug = await bus.connector(resilience={"rate_limit_per_minute": 2, "max_retries": 0})
    await bus.me(slug)
    server.revoke()

    answer = await bus.execute(slug, "me", headers={"Dibop-Deadline-Ms": "3000"})

    assert answer["status_code"] == 401
    assert answer["retry_stopped"] == "rate-limited"
    assert server.called() == 2


async def test_a_worker_takes_the_token_that_another_has_renewed(
    start: Callable[..., Any], bus: OAuthBus, server: OAuthServer
) -> None:
    for number in range(3):
        await start(worker=f"w{number}")
    slug = await bus.connector()
    for _ in range(12):
        await bus.me(slug)
    server.forget()
    server.revoke()

    for _ in range(12):
        await bus.me(slug)

    assert len(server.asked()) == 1


async def test_a_token_that_nears_its_end_is_renewed_while_nobody_waits(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(expires_in=10)
    slug = await bus.connector()
    await bus.me(slug)
    server.switch(expires_in=3600)

    async def renewed() -> bool:
        return (await bus.me(slug))["client"] == CLIENT_ID and len(server.asked()) == 2

    await eventually(renewed, 20)
    stats = await bus.stats()

    assert (stats["early"], stats["waited"]) == (1, 1), "the first request alone had to wait"


async def test_a_good_token_outlives_an_endpoint_that_is_away(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    server.switch(expires_in=100)
    slug = await bus.connector()
    await bus.me(slug)
    server.switch(fault="500")

    assert (await bus.me(slug))["client"] == CLIENT_ID


async def test_the_status_counts_what_was_done_for_tokens(
    executor: Executor, bus: OAuthBus, server: OAuthServer
) -> None:
    slug = await bus.connector()
    await bus.me(slug)
    server.revoke()
    await bus.me(slug)

    stats = await bus.stats()

    assert (stats["requested"], stats["forced"], stats["refused"]) == (2, 1, 0)
