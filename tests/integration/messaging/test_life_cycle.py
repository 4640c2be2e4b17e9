"""A service's life: resources around its commands, and every way in which it ends."""

from __future__ import annotations

import asyncio
import os
import signal

import nats.micro
import pytest
from nats.errors import Error as NatsError
from pydantic import BaseModel

from shared.contracts.errors import DibopError
from shared.messaging.client import request
from shared.messaging.connection import BusClient
from shared.messaging.service import BusClosedError, CommandContext, CommandService, run_until_signalled
from shared.security.principals import Role, TokenVerifier
from shared.settings import ServiceSettings
from tests.support.polling import eventually
from tests.support.tokens import Tokens

SUBJECT = "registry.v1.acme.thing.do"


class Do(BaseModel):
    pass


@pytest.fixture
def service(nats_url: str, verifier: TokenVerifier) -> CommandService:
    return CommandService("registry", ServiceSettings(nats_url=nats_url, drain_seconds=0.2), verifier, "0.0.1")


@pytest.fixture
def token(tokens: Tokens) -> str:
    return tokens.issue("eve", "acme", Role.ENTERPRISE_ADMIN)


async def served(nc: BusClient, token: str) -> bool:
    try:
        return await request(nc, SUBJECT, {}, token=token, timeout=5) == b"{}"
    except DibopError:
        return False


async def ready(nc: BusClient) -> bool:
    """It says of itself that it is, as it does last when it starts."""
    try:
        return bool(await nc.request("$SRV.PING.dibop-registry", b"", timeout=1))
    except NatsError:
        return False


async def test_resources_are_there_before_the_first_command_and_until_the_last(
    service: CommandService, nc: BusClient, token: str
) -> None:
    steps: list[str] = []

    async def step(name: str) -> None:
        steps.append(name)

    service.on_start(lambda: step("open first"))
    service.on_start(lambda: step("open second"))
    service.on_stop(lambda: step("close first"))
    service.on_stop(lambda: step("close second"))

    @service.command("thing", "do", Do)
    async def do(_context: CommandContext, _command: Do) -> dict[str, str]:
        await step("command")
        return {}

    await service.start()
    assert await served(nc, token)
    await service.drain_and_stop()

    assert steps == ["open first", "open second", "command", "close second", "close first"]


async def test_a_service_whose_resource_fails_does_not_become_ready_and_leaves_no_connection(
    service: CommandService, nc: BusClient, token: str
) -> None:
    @service.on_start
    async def fail() -> None:
        raise RuntimeError("no database")

    @service.command("thing", "do", Do)
    async def do(_context: CommandContext, _command: Do) -> dict[str, str]:
        return {}

    with pytest.raises(RuntimeError, match="no database"):
        await run_until_signalled(service)

    assert not await served(nc, token)
    assert service.nc.is_closed


async def test_a_command_that_does_not_end_in_time_is_broken_off_and_its_caller_told(
    service: CommandService, nc: BusClient, token: str
) -> None:
    begun = asyncio.Event()

    @service.command("thing", "do", Do, concurrency=1)
    async def do(_context: CommandContext, _command: Do) -> dict[str, str]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    await service.start()
    running = asyncio.create_task(request(nc, SUBJECT, {}, token=token, timeout=10))
    await begun.wait()
    queued = asyncio.create_task(request(nc, SUBJECT, {}, token=token, timeout=10))
    await nc.flush()
    await service.drain_and_stop()

    outcomes = await asyncio.gather(running, queued, return_exceptions=True)
    assert [getattr(outcome, "code", outcome) for outcome in outcomes] == ["deadline-exceeded", "overloaded"]


async def test_a_service_drains_when_signalled(service: CommandService, nc: BusClient) -> None:
    @service.command("thing", "do", Do)
    async def do(_context: CommandContext, _command: Do) -> dict[str, str]:
        return {}

    running = asyncio.create_task(run_until_signalled(service))
    await eventually(lambda: ready(nc))
    await service.nc.flush()  # which its own last one precedes

    os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(running, 10)
    assert service.nc.is_closed


async def test_a_service_signalled_before_it_is_ready_leaves_no_connection(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_on = asyncio.Event()

    async def sign_on(*_: object) -> None:
        signing_on.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(nats.micro, "add_service", sign_on)
    running = asyncio.create_task(run_until_signalled(service))
    await signing_on.wait()

    os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(running, 10)
    assert service.nc.is_closed


async def test_a_connection_ended_for_good_ends_the_service_with_a_sentence(
    service: CommandService, nc: BusClient
) -> None:
    released: list[str] = []

    @service.on_stop
    async def release() -> None:
        released.append("database")

    @service.command("thing", "do", Do)
    async def do(_context: CommandContext, _command: Do) -> dict[str, str]:
        return {}

    running = asyncio.create_task(run_until_signalled(service))
    await eventually(lambda: ready(nc))
    await service.nc.flush()  # which its own last one precedes

    await service.nc.close()

    with pytest.raises(BusClosedError, match="DIBOP_NATS_CREDS"):
        await asyncio.wait_for(running, 10)
    assert released == ["database"]
