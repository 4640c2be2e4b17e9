"""Refresh tokens: each used once, its successor stored before the access token is used, by whoever comes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from tests.integration.oauth.world import OAuthBus, Registry
from tests.support.oauth_server import CLIENT_SECRET, PERSON, OAuthServer
from tests.support.polling import eventually
from tests.support.servers import RedisServer

REQUESTS = 50


def new_refresh_token(server: OAuthServer) -> str:
    token = server.refresh_token()
    server.forget()
    return token


@pytest.fixture
async def slug(bus: OAuthBus, registry: Registry, server: OAuthServer) -> str:
    """A connector with a connection that a person has authorized."""
    made = await bus.connector(grant_type="authorization_code", scopes="read")
    await bus.authorize(made, new_refresh_token(server))
    return made


async def test_a_token_is_got_for_the_person_and_its_successor_is_stored(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    _, first = await bus.refresh_token(slug)

    answers = [await bus.me(slug) for _ in range(3)]
    generation, second = await bus.refresh_token(slug)

    assert [answer["person"] for answer in answers] == [PERSON] * 3
    assert [asked.grant_type for asked in server.asked()] == ["refresh_token"]
    assert (generation, len(registry.stored)) == (2, 1)
    assert second != first


async def test_a_server_that_does_not_rotate_leaves_nothing_to_store(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    server.switch(rotate=False)

    for _ in range(2):
        assert (await bus.me(slug))["person"] == PERSON
        server.revoke()

    assert registry.stored == []
    assert (await bus.refresh_token(slug))[0] == 1


async def test_many_requests_on_many_workers_use_each_refresh_token_once(
    start: Callable[..., Any], bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    for number in range(4):
        await start(worker=f"w{number}")

    for rotation in range(1, 4):
        answers = await asyncio.gather(*(bus.execute(slug, "me") for _ in range(REQUESTS)))
        assert Counter(answer["status_code"] for answer in answers) == {200: REQUESTS}
        assert [asked.status for asked in server.asked()] == [200] * rotation
        server.revoke()

    assert len(registry.stored) == 3


async def test_the_access_token_is_not_used_before_its_refresh_token_is_stored(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    called: list[int] = []

    async def look() -> None:
        called.append(server.called())

    registry.before.append(look)
    await bus.me(slug)

    assert called == [0]
    assert server.called() == 1


async def test_storing_is_repeated_until_the_registry_is_there(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    registry.silent = True
    waiting = asyncio.ensure_future(bus.execute(slug, "me"))
    await eventually(lambda: len(server.asked()) == 1)
    registry.silent = False

    assert (await waiting)["status_code"] == 200
    assert len(server.asked()) == 1
    assert (await bus.refresh_token(slug))[0] == 2


async def test_an_authorization_that_comes_between_wins(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    newer = new_refresh_token(server)

    async def authorize_anew() -> None:
        await bus.authorize(slug, newer)

    registry.before.append(authorize_anew)
    answer = await bus.me(slug)
    generation, _ = await bus.refresh_token(slug)

    assert answer["person"] == PERSON
    assert generation == 3
    assert [asked.form["refresh_token"] == newer for asked in server.asked()] == [False, True]


async def test_a_new_authorization_takes_the_place_of_the_old_token_at_once(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    await bus.me(slug)
    newer = new_refresh_token(server)
    await bus.authorize(slug, newer)

    async def uses_the_newer() -> bool:
        await bus.me(slug)
        return [asked.form["refresh_token"] for asked in server.asked()] == [newer]

    await eventually(uses_the_newer)


async def test_losing_redis_costs_one_refresh(
    start: Callable[..., Any], bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str, own_redis: RedisServer
) -> None:
    for number in range(2):
        await start(redis_url=own_redis.url, worker=f"w{number}")
    await bus.me(slug)
    own_redis.kill()
    own_redis.start()
    server.revoke()
    server.forget()

    answers = await asyncio.gather(*(bus.execute(slug, "me") for _ in range(20)))

    assert Counter(answer["status_code"] for answer in answers) == {200: 20}
    assert [asked.status for asked in server.asked()] == [200]


async def test_without_redis_workers_ask_one_after_another(
    start: Callable[..., Any], bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str, own_redis: RedisServer
) -> None:
    """The server ends the authorization where one refresh token comes twice."""
    for number in range(4):
        await start(redis_url=own_redis.url, worker=f"w{number}")
    own_redis.kill()
    server.switch(delay=0.1)

    answers = await asyncio.gather(*(bus.execute(slug, "me") for _ in range(REQUESTS)))

    assert Counter(answer["status_code"] for answer in answers) == {200: REQUESTS}
    used = [asked.form["refresh_token"] for asked in server.asked()]
    assert len(set(used)) == len(used) <= 4


async def test_a_revoked_authorization_is_an_auth_error_until_it_is_given_again(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer, slug: str
) -> None:
    identifier = (await bus.entry(slug)).id
    told = await bus.listen_to_health(identifier)
    await bus.me(slug)
    await bus.has_health(identifier, "healthy")
    server.revoke(refresh=True)

    answer = await bus.execute(slug, "me")
    refused = await bus.refused_soon(slug)
    await bus.has_health(identifier, "auth_error")
    await bus.authorize(slug, new_refresh_token(server))
    await eventually(lambda: bus.works(slug))
    await bus.has_health(identifier, "healthy")

    assert answer["status_code"] == 401
    assert "invalid_grant" in refused.detail
    assert "Authorize the connection again" in refused.detail
    await eventually(lambda: told == [("unchecked", "healthy"), ("healthy", "auth_error"), ("auth_error", "healthy")])


async def test_a_connection_that_nobody_has_authorized_says_so(
    executor: Executor, bus: OAuthBus, registry: Registry, server: OAuthServer
) -> None:
    slug = await bus.connector(grant_type="authorization_code")

    refused = await bus.refused(slug, "me")

    assert refused.code == "credentials-rejected"
    assert f"dibop connection authorize {slug}" in refused.detail
    assert server.asked() == []


async def test_a_test_brings_its_authorization_along(
    start: Callable[..., Any], bus: OAuthBus, server: OAuthServer
) -> None:
    for number in range(3):
        await start(worker=f"w{number}")
    brought = {"client_secret": CLIENT_SECRET, "refresh_token": new_refresh_token(server)}

    answer = await bus.test_draft("me", brought, times=12, between=server.revoke, grant_type="authorization_code")

    assert answer["response"]["person"] == PERSON
    assert [asked.status for asked in server.asked()] == [200] * 12


async def test_a_test_may_bring_an_access_token_alone(executor: Executor, bus: OAuthBus, server: OAuthServer) -> None:
    brought = {"client_secret": CLIENT_SECRET, "access_token": server.access_token()}
    server.forget()

    answer = await bus.test_draft("me", brought, grant_type="authorization_code")

    assert answer["response"]["person"] == PERSON
    assert server.asked() == []
