"""Services that take the tokens of an OIDC issuer, on the bus."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import Key, RSAKey
from pydantic import BaseModel

from services.executor.callers import Callers
from shared.contracts.errors import DibopError
from shared.messaging.client import request
from shared.messaging.connection import BusClient
from shared.messaging.service import CommandContext, CommandService
from shared.security.principals.setup import required_verifier, token_verifier
from shared.settings import ServiceSettings
from tests.support.jwks_server import JwksServer
from tests.support.polling import eventually

SHOW = "registry.v1.acme.thing.show"
AUDIENCE = "https://dibop.example"


class Show(BaseModel):
    """`thing.show`."""


@pytest.fixture
async def issuer() -> AsyncIterator[JwksServer]:
    async with JwksServer([RSAKey.generate_key(2048, {"kid": "first"})]) as server:
        yield server


@pytest.fixture
def settings(nats_url: str, issuer: JwksServer) -> ServiceSettings:
    return ServiceSettings(
        nats_url=nats_url, token_issuer=issuer.address, token_audience=AUDIENCE, token_algorithms="RS256"
    )


@pytest.fixture
async def service(settings: ServiceSettings) -> AsyncIterator[CommandService]:
    """Not started yet."""
    service = CommandService("registry", settings, required_verifier(settings, "registry"), "0.0.1")

    @service.command("thing", "show", Show)
    async def show(context: CommandContext, _query: Show) -> dict[str, Any]:
        return {"by": context.principal.subject, "roles": sorted(context.principal.roles)}

    yield service
    await service.drain_and_stop()


def token(issuer: JwksServer, key: Key) -> str:
    claims = {
        "iss": issuer.address,
        "aud": AUDIENCE,
        "sub": "ann",
        "enterprise": "acme",
        "roles": ["service"],
        "exp": int(time.time()) + 60,
    }
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key, algorithms=["RS256"])


async def asked(nc: BusClient, sent: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await request(nc, SHOW, b"{}", token=sent, timeout=10))
    return answer


async def test_a_service_takes_the_issuers_tokens_and_those_of_its_next_key(
    nc: BusClient, service: CommandService, issuer: JwksServer
) -> None:
    await service.start()
    assert await asked(nc, token(issuer, issuer.keys[0])) == {"by": "ann", "roles": ["service"]}

    issuer.keys = [RSAKey.generate_key(2048, {"kid": "next"})]
    assert (await asked(nc, token(issuer, issuer.keys[0])))["by"] == "ann"
    assert issuer.asked == 2


async def test_without_an_issuer_a_service_starts_and_says_why_it_takes_nobody(
    nc: BusClient, service: CommandService, issuer: JwksServer
) -> None:
    await issuer.close()
    await service.start()
    sent = token(issuer, issuer.keys[0])
    with pytest.raises(DibopError, match="could not be fetched yet") as refused:
        await asked(nc, sent)
    assert refused.value.code == "overloaded"

    await issuer.open()

    async def taken() -> bool:
        try:
            return bool(await asked(nc, sent))
        except DibopError:
            return False

    await eventually(taken, 20)


async def test_executors_take_a_persons_token_of_the_next_key(settings: ServiceSettings, issuer: JwksServer) -> None:
    callers = Callers(token_verifier(settings))
    await callers.start()
    try:
        issuer.keys.append(RSAKey.generate_key(2048, {"kid": "next"}))
        for key in issuer.keys:
            await callers.admit(f"Bearer {token(issuer, key)}", "execas.v1.acme.shop.run")
            with pytest.raises(DibopError) as refused:
                await callers.admit(f"Bearer {token(issuer, key)}", "execas.v1.globex.shop.run")
            assert refused.value.code == "forbidden"
        assert issuer.asked == 2
    finally:
        await callers.stop()
