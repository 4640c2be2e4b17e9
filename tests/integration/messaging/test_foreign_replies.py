"""A request whose reply would go to another enterprise, or to what is no inbox, is neither carried out nor answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.msg import Msg
from pydantic import BaseModel

from shared.contracts.execution import AUTHORIZATION_HEADER
from shared.messaging.connection import BusClient
from shared.messaging.service import CommandContext, CommandService
from shared.security.principals import Role, TokenVerifier
from shared.settings import ServiceSettings
from tests.support.polling import eventually
from tests.support.tokens import Tokens

SAVE = "registry.v1.acme.thing.save"


class Save(BaseModel):
    name: str


@pytest.fixture
def saved() -> list[str]:
    return []


@pytest.fixture
async def service(nats_url: str, verifier: TokenVerifier, saved: list[str]) -> AsyncIterator[CommandService]:
    service = CommandService("registry", ServiceSettings(nats_url=nats_url), verifier, "0.0.1")

    @service.command("thing", "save", Save)
    async def save(_context: CommandContext, command: Save) -> dict[str, Any]:
        saved.append(command.name)
        return {}

    await service.start()
    yield service
    await service.drain_and_stop()


@pytest.mark.parametrize(
    "reply",
    [
        "_INBOX.globex.ann.1",
        "_INBOX.acmes.ann.1",
        "_INBOX.ann",
        "exec.v1.globex.shop.run",
        "evt.v1.globex.connector.shop.version_published",
        "$KV.connections.globex.shop.default",
        "$JS.API.STREAM.DELETE.EVENTS",
    ],
)
async def test_it_is_dropped_and_counted(
    nc: BusClient, service: CommandService, saved: list[str], tokens: Tokens, reply: str
) -> None:
    answers: list[Msg] = []

    async def keep(message: Msg) -> None:
        answers.append(message)

    await nc.subscribe(reply, cb=keep)
    headers = {AUTHORIZATION_HEADER: "Bearer " + tokens.issue("ann", "acme", Role.ENTERPRISE_ADMIN)}
    await nc.publish(SAVE, b'{"name": "foreign"}', reply=reply, headers=headers)
    await nc.publish(SAVE, b"not even a command", reply=reply, headers=headers)
    await eventually(lambda: service.dropped.count == 2)

    await nc.request(SAVE, b'{"name": "own"}', headers=headers, timeout=5)
    assert saved == ["own"]
    assert answers == []
