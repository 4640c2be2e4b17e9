"""Pings of connections: what comes of them in the connection's health, told once, and who may ask."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
import redis.asyncio
from nats.aio.msg import Msg

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.commands import Circuits, Probed
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.projections import ConnectionHealth
from shared.messaging.client import request
from shared.security.principals import Role
from tests.integration.executor.world import ENTERPRISE, Bus, get
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

KEY: dict[str, Any] = {"auth_type": "api_key", "header_name": "X-Key"}
CHECK = get("check", "/mode/shop", health_check=True)
RUN = get("run", "/mode/shop")


class Pinging:
    """Pings connections as integrators do, and hears what is told of their health."""

    def __init__(self, bus: Bus, tokens: Tokens) -> None:
        self.bus = bus
        self.told: list[tuple[str, str]] = []
        self._tokens = tokens

    async def __call__(
        self, slug: str = "shop", name: str | None = None, *, role: Role = Role.ENTERPRISE_ADMIN, home: str = ENTERPRISE
    ) -> Probed:
        body = {"connector": slug} if name is None else {"connector": slug, "connection": name}
        token = self._tokens.issue("kim", home, role)
        subject = subjects.executor(ENTERPRISE, "connection", "ping")
        return Probed.model_validate_json(await request(self.bus.nc, subject, body, timeout=40, token=token))

    async def circuits(self) -> Circuits:
        subject = subjects.executor(ENTERPRISE, "circuit", "show")
        token = self._tokens.issue("kim", ENTERPRISE, Role.ENTERPRISE_ADMIN)
        answer = await request(self.bus.nc, subject, {"connector": "shop"}, timeout=20, token=token)
        return Circuits.model_validate_json(answer)

    async def listen(self) -> None:
        await self.bus.nc.subscribe(subjects.events(ENTERPRISE, "connection.*.health_changed"), cb=self._hear)
        await self.bus.nc.flush()

    async def health(self, identifier: str) -> ConnectionHealth:
        kv = await self.bus.js.key_value(subjects.HEALTH_BUCKET)
        found = await kv.get(subjects.health_key(ENTERPRISE, identifier))
        return msgspec.json.decode(found.value or b"", type=ConnectionHealth)

    async def _hear(self, message: Msg) -> None:
        data = Event.read(message.subject, message.headers, message.data).data
        self.told.append((data["from"], data["to"]))


@pytest.fixture
async def ping(bus: Bus, tokens: Tokens, executor: Executor, redis_url: str) -> Pinging:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
    made = Pinging(bus, tokens)
    await made.listen()
    return made


async def test_what_a_ping_finds_is_the_health_and_is_told_once(ping: Pinging, upstream: FaultServer) -> None:
    await ping.bus.publish("shop", CHECK, **KEY)
    connection = await ping.bus.connect("shop", {"api_key": "key-of-the-shop"})
    states = []
    for status in (200, 503, 503, 401, 200):
        upstream.modes["shop"] = {"status": str(status)}
        probed = await ping()
        health = await ping.health(connection)
        states.append((probed.outcome, health.state))
        assert health.ping is not None
        assert health.ping.outcome == probed.outcome
        assert bool(health.ping.cause) is (probed.outcome != "online")

    assert states == [
        ("online", "healthy"), ("offline", "offline"), ("offline", "offline"), ("auth_error", "auth_error"),
        ("online", "healthy"),
    ]  # fmt: skip
    expected = ["unchecked", "healthy", "offline", "auth_error", "healthy"]
    await eventually(lambda: len(ping.told) >= 4)
    assert ping.told == list(itertools.pairwise(expected))


async def test_a_token_endpoint_that_refuses_is_told_beside_a_system_that_is_there(ping: Pinging) -> None:
    base = ping.bus.base_url
    schema = {
        "client_id": {"label": "Client", "required": True},
        "client_secret": {"label": "Secret", "type": "password", "required": True, "sensitive": True},
    }
    await ping.bus.publish(
        "shop", CHECK, auth_type="oauth2", grant_type="client_credentials", token_url=f"{base}/status/401",
        base_url=f"{base}/json", credential_schema=schema,
    )  # fmt: skip
    connection = await ping.bus.connect("shop", {"client_secret": "secret-of-the-shop"}, {"client_id": "shop"})

    probed = await ping()

    assert probed.outcome == "auth_error"
    assert [step.outcome for step in probed.steps] == ["skip", "pass", "skip", "pass", "fail"]
    assert (await ping.health(connection)).state == "auth_error"


async def test_an_execution_that_is_answered_ends_what_a_ping_did_not_reach(
    ping: Pinging, upstream: FaultServer
) -> None:
    await ping.bus.publish("shop", CHECK, RUN, **KEY)
    connection = await ping.bus.connect("shop", {"api_key": "key-of-the-shop"})
    upstream.modes["shop"] = {"status": "503"}
    assert (await ping()).outcome == "offline"
    upstream.modes["shop"] = {"status": "200"}

    async def well() -> bool:
        await ping.bus.execute("shop", "run")
        return (await ping.health(connection)).state == "healthy"

    await eventually(well)


async def test_a_ping_neither_opens_a_circuit_nor_minds_one_that_is_open(ping: Pinging, upstream: FaultServer) -> None:
    await ping.bus.publish("shop", CHECK, RUN, **KEY, resilience={"max_retries": 0, "circuit_breaker_threshold": 1})
    connection = await ping.bus.connect("shop", {"api_key": "key-of-the-shop"})
    upstream.modes["shop"] = {"status": "500"}
    await ping()
    assert (await ping.circuits()).circuits[0].state == "closed"

    await ping.bus.execute("shop", "run")
    upstream.modes["shop"] = {"status": "200"}

    assert (await ping()).outcome == "online"
    assert (await ping.circuits()).circuits[0].state == "open"
    assert (await ping.health(connection)).state == "degraded"


async def test_named_connections_go_to_their_own_address(ping: Pinging, upstream: FaultServer) -> None:
    """Production and sandbox: one connector, whose base_url each connection fills with its own value."""
    schema = {
        "api_key": {"label": "Key", "type": "password", "required": True, "sensitive": True},
        "stage": {"label": "Stage", "type": "string", "required": True, "sensitive": False},
    }
    await ping.bus.publish(
        "shop", get("run", "/shop"), base_url=f"{ping.bus.base_url}/{{stage}}", credential_schema=schema, **KEY
    )
    stages = {"production": "echo", "sandbox": "json"}
    for name, stage in stages.items():
        await ping.bus.connect("shop", {"api_key": f"key-of-{name}"}, {"stage": stage}, name=name)

    for name, stage in stages.items():
        assert (await ping(name=name)).outcome == "online"
        await ping.bus.execute("shop", "run", headers={"Dibop-Connection": name})
        asked, executed = upstream.arrivals[-2:]
        assert (asked.path, executed.path) == (f"/{stage}", f"/{stage}/shop")
        assert asked.headers["x-key"] == executed.headers["x-key"] == f"key-of-{name}"


@pytest.mark.parametrize(
    ("role", "home"),
    [(Role.VIEWER, ENTERPRISE), (Role.SERVICE, ENTERPRISE), (Role.ENTERPRISE_ADMIN, "globex")],
)
async def test_integrators_alone_ping(ping: Pinging, role: Role, home: str) -> None:
    await ping.bus.publish("shop", CHECK)
    with pytest.raises(DibopError) as caught:
        await ping(role=role, home=home)
    assert caught.value.code == "forbidden"


async def test_a_ping_of_nothing_says_so(ping: Pinging) -> None:
    await ping.bus.publish("shop", CHECK, **KEY)
    for name, code in ((None, "connection-required"), ("backup", "unknown-connection")):
        with pytest.raises(DibopError) as caught:
            await ping(name=name)
        assert caught.value.code == code
