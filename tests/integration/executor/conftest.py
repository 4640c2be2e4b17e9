"""An executor on a real bus, before an upstream that misbehaves on demand; what the registry writes is written here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.files import write_private
from shared.messaging.connection import BusClient
from tests.integration.executor.world import Bus
from tests.support.executors import executors
from tests.support.fault_server import FaultServer
from tests.support.tokens import Tokens


@pytest.fixture
async def upstream() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


@pytest.fixture
def settings(nats_url: str, redis_url: str, upstream: FaultServer, tmp_path: Path, tokens: Tokens) -> ExecutorSettings:
    return ExecutorSettings(
        nats_url=nats_url,
        redis_url=redis_url,
        egress_allow=upstream.authority,
        seal_keyring_file=tmp_path / "ring.json",
        token_key_file=tokens.key_file,
        drain_seconds=5,
    )


@pytest.fixture
async def bus(nc: BusClient, js: JetStreamContext, upstream: FaultServer, settings: ExecutorSettings) -> Bus:
    """The bus, with the sealing key that the executors hold."""
    made = Bus(nc, js, upstream.url("").rstrip("/"))
    assert settings.seal_keyring_file is not None
    write_private(settings.seal_keyring_file, made.ring.dump())
    return made


@pytest.fixture
async def start(bus: Bus, settings: ExecutorSettings) -> AsyncIterator[Callable[..., Any]]:
    """`await start(max_in_flight=…)`: an executor that is ready; stopped after the test."""
    async with executors(settings) as make:
        yield make


@pytest.fixture
async def executor(start: Callable[..., Any]) -> Executor:
    made: Executor = await start()
    return made
