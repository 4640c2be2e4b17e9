"""A console over all services, for the tests of a file; each test is somebody of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from services.console.app import Console
from shared.security.principals import Role
from tests.integration.tenants.world import AnyUser, World, served
from tests.support.console import browser, console_at, program
from tests.support.fault_server import FaultServer
from tests.support.oauth_server import OAuthServer, oauth_server
from tests.support.tokens import Tokens


@pytest.fixture(scope="session")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    """An authorization server with an API behind it."""
    with oauth_server(tmp_path_factory.mktemp("oauth")) as server:
        yield server


@dataclass(frozen=True)
class Stage:
    """The console, and the services behind it with what `acme` has there. `upstream` is an external system."""

    console: Console
    world: World
    upstream: FaultServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    nats_url: str, redis_url: str, tokens: Tokens, oauth: OAuthServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("console")
    async with FaultServer() as upstream:
        address = upstream.url("").rstrip("/")
        async with served(
            AnyUser(nats_url), redis_url, address, tokens, directory, also_allowed=oauth.authority
        ) as world:
            key = directory / "sealing-key.json"
            key.write_text(world.ring.sealing_key.dump())
            settings = {"nats_url": nats_url, "redis_url": redis_url, "token_key_file": tokens.key_file}
            async with console_at(directory, seal_key_file=key, sign_ins_per_minute=1000, **settings) as console:
                yield Stage(console, world, upstream)


@pytest.fixture
def slug() -> str:
    """A slug that nobody else has."""
    return f"w{uuid.uuid4().hex[:12]}"


Person = Callable[..., httpx.AsyncClient]
SignedIn = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest_asyncio.fixture(loop_scope="module")
async def person(stage: Stage, tokens: Tokens) -> AsyncIterator[Person]:
    """Makes programs of people: `person("ada", "acme", Role.VIEWER)`; a Platform Admin with SDK access by default."""
    made: list[httpx.AsyncClient] = []

    def make(subject: str = "ann", enterprise: str = "umbrella", *roles: Role) -> httpx.AsyncClient:
        had = roles or (Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK)
        made.append(program(stage.console, tokens.issue(subject, enterprise, *had)))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def signed_in(stage: Stage, tokens: Tokens) -> AsyncIterator[SignedIn]:
    """The same in a browser."""
    made: list[httpx.AsyncClient] = []

    async def make(subject: str = "ann", enterprise: str = "umbrella", *roles: Role) -> httpx.AsyncClient:
        had = roles or (Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK)
        client = browser(stage.console)
        made.append(client)
        answer = await client.post("/session", json={"token": tokens.issue(subject, enterprise, *had)})
        assert answer.status_code == 201, answer.text
        return client

    yield make
    for client in made:
        await client.aclose()
