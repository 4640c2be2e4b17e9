"""Executors on a real bus, before a real OAuth2 server with an API behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.files import write_private
from shared.messaging.connection import BusClient
from shared.security.principals import Role
from tests.integration.oauth.world import OAuthBus, Registry
from tests.support.executors import executors
from tests.support.oauth_server import OAuthServer, oauth_server
from tests.support.servers import RedisServer
from tests.support.tokens import Tokens


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(tmp_path_factory.mktemp("oauth")) as server:
        yield server


@pytest.fixture
def server(shared_server: OAuthServer) -> OAuthServer:
    """The OAuth2 server, well behaved and with an empty log."""
    shared_server.switch()
    shared_server.reset_secret()
    shared_server.revoke(refresh=True)
    shared_server.forget()
    return shared_server


@pytest.fixture
def settings(nats_url: str, redis_url: str, server: OAuthServer, tmp_path: Path, tokens: Tokens) -> ExecutorSettings:
    token_file = tmp_path / "executor.token"
    token_file.write_text(tokens.issue("executor", "platform", Role.EXECUTOR))
    return ExecutorSettings(
        nats_url=nats_url,
        redis_url=redis_url,
        egress_allow=server.authority,
        seal_keyring_file=tmp_path / "ring.json",
        token_key_file=tokens.key_file,
        service_token_file=token_file,
        drain_seconds=5,
    )


@pytest.fixture
async def bus(nc: BusClient, js: JetStreamContext, server: OAuthServer, settings: ExecutorSettings) -> OAuthBus:
    """The bus, with the sealing key that the executors hold."""
    made = OAuthBus(nc, js, server.url)
    assert settings.seal_keyring_file is not None
    write_private(settings.seal_keyring_file, made.ring.dump())
    return made


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that the test may kill."""
    made = RedisServer(tmp_path / "redis").start()
    yield made
    made.stop()


@pytest.fixture
async def registry(bus: OAuthBus) -> Registry:
    made = Registry(bus)
    await made.start()
    return made


@pytest.fixture
async def start(bus: OAuthBus, settings: ExecutorSettings) -> AsyncIterator[Callable[..., Any]]:
    """`await start(redis_url=…)`: an executor that is ready; stopped after the test."""
    async with executors(settings) as make:
        yield make


@pytest.fixture
async def executor(start: Callable[..., Any]) -> Executor:
    made: Executor = await start()
    return made
