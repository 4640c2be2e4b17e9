"""Operators' commands to a worker: what it shows, what it resets, whom it refuses, and what the audit log hears."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio
from nats.aio.msg import Msg
from nats.js.errors import NoKeysError
from pydantic import BaseModel

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.commands import AppendAudit, AuditAppended, Circuits, CircuitsReset
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionHealth
from shared.messaging.client import request
from shared.security.principals import Role
from tests.integration.executor.world import Bus, get
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

FRAGILE = {"max_retries": 0, "rate_limit_per_minute": 10, "circuit_breaker_threshold": 2}
CODE = {"name": "code", "location": "path", "type": "integer", "required": True}
RUN = get("run", "/status/{code}", CODE)
OWN = get("own", "/status/200", resilience={"circuit_breaker_threshold": 1})


class Operator:
    """Someone who commands executors."""

    def __init__(self, bus: Bus, tokens: Tokens, role: Role, home: str = "acme") -> None:
        self._bus = bus
        self._token = tokens.issue("kim", home, role)

    async def show(self, connector: str = "shop", **query: str) -> Circuits:
        return Circuits.model_validate_json(await self.ask("show", {"connector": connector, **query}))

    async def reset(self, connector: str = "shop", **command: str) -> CircuitsReset:
        return CircuitsReset.model_validate_json(await self.ask("reset", {"connector": connector, **command}))

    async def ask(self, verb: str, body: dict[str, Any] | bytes, *, token: bool = True) -> bytes:
        return await request(
            self._bus.nc,
            subjects.executor("acme", "circuit", verb),
            body,
            timeout=20,
            token=self._token if token else None,
            request_id="r-9",
        )

    async def refused(self, verb: str, body: dict[str, Any] | bytes, *, token: bool = True) -> DibopError:
        with pytest.raises(DibopError) as caught:
            await self.ask(verb, body, token=token)
        return caught.value


@pytest.fixture
def admin(bus: Bus, tokens: Tokens) -> Operator:
    return Operator(bus, tokens, Role.ENTERPRISE_ADMIN)


@pytest.fixture
async def shop(bus: Bus) -> str:
    await bus.publish("shop", RUN, OWN, resilience=FRAGILE)
    return "shop"


@pytest.fixture
def token_file(tmp_path: Path, tokens: Tokens) -> Path:
    file = tmp_path / "executor.token"
    file.write_text(tokens.issue("executor", "platform", Role.EXECUTOR) + "\n")
    return file


@pytest.fixture(autouse=True)
async def _nothing_in_redis(redis_url: str) -> None:
    """Every test here has the same scope."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()


class Registry:
    """Takes audit entries, or is away."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.entries: list[tuple[str, AppendAudit]] = []

    async def serve(self) -> None:
        await self._bus.nc.subscribe(subjects.registry("*", "audit", "append"), cb=self._take)
        await self._bus.nc.flush()

    async def _take(self, message: Msg) -> None:
        entry = AppendAudit.model_validate_json(message.data)
        self.entries.append((subjects.parse(message.subject).enterprise, entry))
        answer: BaseModel = AuditAppended(appended=True)
        await message.respond(answer.model_dump_json().encode())


@pytest.fixture
def registry(bus: Bus) -> Registry:
    return Registry(bus)


async def fail(bus: Bus) -> None:
    """Open the circuit."""
    for _ in range(2):
        assert (await bus.execute("shop", "run", {"code": 503}))["status_code"] == 503


async def has_health(bus: Bus, state: str) -> bool:
    """Whether the only connection has this health, once there is one with any."""
    bucket = await bus.js.key_value(subjects.HEALTH_BUCKET)
    try:
        (key,) = await bucket.keys()
    except NoKeysError:
        return False
    return msgspec.json.decode((await bucket.get(key)).value or b"", type=ConnectionHealth).state == state


@pytest.mark.usefixtures("executor", "shop")
async def test_show_tells_state_cause_and_permits_of_each_circuit(bus: Bus, admin: Operator) -> None:
    await fail(bus)

    shown = await admin.show()

    assert (shown.enterprise, shown.owner, shown.connection, shown.version) == ("acme", "platform", None, "1.0.0")
    common, own = shown.circuits
    assert (common.operation, common.state, common.threshold, common.cause) == (None, "open", 2, "status 503")
    assert 0 < common.retry_after_ms <= 60_000
    assert [(limit.of, limit.used, limit.waiting, limit.rate) for limit in common.limits] == [("connection", 2, 0, 10)]
    assert (own.operation, own.state, own.failures, own.threshold) == ("own", "closed", 0, 1)
    assert [(limit.of, limit.used) for limit in own.limits] == [("connection", 2)]
    assert [one.operation for one in (await admin.show(operation="own")).circuits] == ["own"]


@pytest.mark.usefixtures("shop")
async def test_a_reset_lets_attempts_out_again_and_is_audited(
    bus: Bus, admin: Operator, registry: Registry, token_file: Path, start: Callable[..., Awaitable[Executor]]
) -> None:
    await start(service_token_file=token_file)
    await registry.serve()
    await bus.connect("shop")
    await fail(bus)
    assert (await bus.refused("shop", "run", {"code": 200})).code == "circuit-open"

    done = await admin.reset()

    assert (done.audit, done.before.connection, done.before.circuits[0].state) == ("written", "default", "open")
    assert (await bus.execute("shop", "run", {"code": 200}))["status_code"] == 200
    assert (await admin.show()).circuits[0].limits[0].used == 3, "what is spent stays spent"
    [(enterprise, entry)] = registry.entries
    assert (enterprise, entry.actor, entry.action, entry.noun) == ("acme", "kim", "circuit.reset", "circuit")
    assert (entry.identifier, entry.request_id) == ("shop.default", "r-9")
    assert [(one["operation"], one["state"]) for one in entry.details["before"]] == [(None, "open")]


@pytest.mark.usefixtures("executor", "shop")
async def test_a_reset_makes_the_connection_healthy(bus: Bus, admin: Operator) -> None:
    await bus.connect("shop")
    await fail(bus)
    await eventually(lambda: has_health(bus, "degraded"))

    assert (await admin.reset()).audit == "off"

    await eventually(lambda: has_health(bus, "healthy"))


@pytest.mark.usefixtures("shop")
async def test_a_reset_happens_without_the_registry_and_its_entry_follows(
    bus: Bus, admin: Operator, registry: Registry, token_file: Path, start: Callable[..., Awaitable[Executor]]
) -> None:
    await start(service_token_file=token_file)
    await fail(bus)

    assert (await admin.reset()).audit == "waiting"

    assert (await admin.show()).circuits[0].state == "closed"
    await registry.serve()
    await eventually(lambda: len(registry.entries) == 1, 20, what="the entry is repeated")


@pytest.mark.usefixtures("executor", "shop")
async def test_who_may_look_and_who_may_reset(bus: Bus, tokens: Tokens, admin: Operator) -> None:
    viewer, stranger = Operator(bus, tokens, Role.VIEWER), Operator(bus, tokens, Role.ENTERPRISE_ADMIN, "globex")
    platform = Operator(bus, tokens, Role.PLATFORM_ADMIN, "platform")

    assert (await viewer.show()).circuits
    assert (await platform.show()).circuits
    for person, verb in ((viewer, "reset"), (platform, "reset"), (stranger, "show"), (stranger, "reset")):
        assert (await person.refused(verb, {"connector": "shop"})).code == "forbidden"
    assert (await admin.refused("show", {"connector": "shop"}, token=False)).code == "unauthenticated"


@pytest.mark.usefixtures("executor", "shop")
@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("show", {"connector": "shpo"}, "unknown-connector"),
        ("show", {"connector": "shop", "connection": "other"}, "unknown-connection"),
        ("reset", {"connector": "shop", "operation": "ran"}, "unknown-operation"),
        ("show", {"connector": "shop", "surprise": 1}, "invalid-request"),
        ("reset", b"\xff", "invalid-request"),
        ("close", {"connector": "shop"}, "invalid-request"),
    ],
)
async def test_bad_commands_are_answered(admin: Operator, verb: str, body: Any, code: str) -> None:
    assert (await admin.refused(verb, body)).code == code


@pytest.mark.usefixtures("shop")
async def test_without_redis_the_command_says_so(
    admin: Operator, upstream: FaultServer, start: Callable[..., Awaitable[Executor]]
) -> None:
    await start(redis_url="redis://127.0.0.1:1/0")

    error = await admin.refused("show", {"connector": "shop"})

    assert error.code == "overloaded"
    assert "Redis" in error.detail
    assert upstream.arrivals == []
