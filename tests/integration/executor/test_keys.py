"""Sealing keys of real workers: who holds which, resealing while requests go on, and what the audit log hears."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis.asyncio
from nats.aio.msg import Msg
from pydantic import BaseModel

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.commands import (
    AppendAudit,
    AuditAppended,
    ConnectionResealed,
    KeysShown,
    ResealConnection,
    Resealed,
    ResealKeys,
    ShowKeys,
)
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.files import write_private
from shared.messaging.client import command
from shared.security.principals import Role
from tests.integration.executor.world import Bus, get
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

M = TypeVar("M", bound=BaseModel)
START = Callable[..., Awaitable[Executor]]
SCHEMA = {"api_key": {"label": "K", "type": "password", "required": True, "sensitive": True}}


class Registry:
    """Reseals and takes audit entries, as the registry does, for the executors' token alone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.audit: list[AppendAudit] = []

    async def serve(self) -> None:
        await self._bus.nc.subscribe(subjects.registry("*", "audit", "append"), cb=self._append)
        await self._bus.nc.subscribe(subjects.registry("*", "connection", "reseal"), cb=self._reseal)
        await self._bus.nc.flush()

    async def _append(self, message: Msg) -> None:
        self.audit.append(AppendAudit.model_validate_json(message.data))
        await _answer(message, AuditAppended(appended=True))

    async def _reseal(self, message: Msg) -> None:
        assert message.headers
        assert message.headers["Authorization"].startswith("Bearer ")
        given = ResealConnection.model_validate_json(message.data)
        bucket = await self._bus.js.key_value(subjects.CONNECTIONS_BUCKET)
        key = subjects.connection_key(subjects.parse(message.subject).enterprise, given.connector, given.name)
        entry = msgspec.json.decode((await bucket.get(key)).value or b"", type=ConnectionEntry)
        assert (entry.id, entry.generation) == (given.id, given.generation)
        changed = msgspec.structs.replace(entry, generation=entry.generation + 1, kid=given.kid, sealed=given.sealed)
        await bucket.put(key, msgspec.json.encode(changed))
        await _answer(message, ConnectionResealed(generation=changed.generation))


async def _answer(message: Msg, answer: BaseModel) -> None:
    await message.respond(answer.model_dump_json().encode())


@pytest.fixture
async def registry(bus: Bus) -> Registry:
    made = Registry(bus)
    await made.serve()
    return made


@pytest.fixture
def token_file(tmp_path: Path, tokens: Tokens) -> Path:
    file = tmp_path / "executor.token"
    file.write_text(tokens.issue("executor", "platform", Role.EXECUTOR))
    return file


@pytest.fixture
async def workers(start: START, token_file: Path) -> list[Executor]:
    return [await start(worker=f"executor-{number}", service_token_file=token_file) for number in (1, 2)]


class Operator:
    def __init__(self, bus: Bus, tokens: Tokens) -> None:
        self._bus = bus
        self._tokens = tokens
        self.token = tokens.issue("pat", "platform", Role.PLATFORM_ADMIN)

    async def show(self) -> KeysShown:
        return await self._ask("platform", "show", ShowKeys(), KeysShown)

    async def reseal(self, kid: str) -> Resealed:
        return await self._ask("platform", "reseal", ResealKeys(kid=kid), Resealed)

    async def refused(self, enterprise: str, verb: str, body: BaseModel, role: Role) -> DibopError:
        self.token = self._tokens.issue("kim", "acme", role)
        with pytest.raises(DibopError) as caught:
            await self._ask(enterprise, verb, body, KeysShown)
        return caught.value

    async def _ask(self, enterprise: str, verb: str, body: BaseModel, answer: type[M]) -> M:
        subject = subjects.executor(enterprise, "keys", verb)
        return await command(self._bus.nc, subject, body, answer, timeout=20, token=self.token)


@pytest.fixture
def operator(bus: Bus, tokens: Tokens) -> Operator:
    return Operator(bus, tokens)


@pytest.fixture
async def shop(bus: Bus) -> None:
    """A connector with two connections, sealed to the key that is active at first."""
    await bus.publish("shop", get("echo"), auth_type="api_key", credential_schema=SCHEMA)
    for name in ("default", "second"):
        await bus.connect("shop", {"api_key": f"secret-of-{name}"}, name=name)


async def everybody(operator: Operator, is_so: Callable[[Any], bool]) -> bool:
    shown = await operator.show()
    return len(shown.workers) == 2 and all(is_so(worker) for worker in shown.workers)


@pytest.mark.usefixtures("shop", "registry", "workers")
async def test_every_worker_tells_its_keys_and_reads_them_again(bus: Bus, operator: Operator, tmp_path: Path) -> None:
    old = bus.ring.active
    rotated = bus.ring.with_next().switched()

    await eventually(lambda: everybody(operator, lambda worker: worker.in_use == {old: 2}), 30)
    write_private(tmp_path / "ring.json", rotated.dump())

    await eventually(lambda: everybody(operator, lambda worker: worker.active == rotated.active), 30)
    shown = await operator.show()
    assert [(worker.worker, worker.keys) for worker in shown.workers] == [
        ("executor-1", [old, rotated.active]),
        ("executor-2", [old, rotated.active]),
    ]


@pytest.mark.usefixtures("shop", "registry", "workers")
async def test_what_is_resealed_goes_on_without_the_old_key(
    bus: Bus, operator: Operator, upstream: FaultServer, tmp_path: Path, redis_url: str
) -> None:
    rotated = bus.ring.with_next().switched()
    write_private(tmp_path / "ring.json", rotated.dump())
    async with redis.asyncio.Redis.from_url(redis_url) as shared:
        await shared.set("oauth:{acme.c}:1:d:t", f'i 1 {{"kid": "{bus.ring.active}", "sealed": "x"}}', ex=60)
        await shared.set("oauth:{acme.d}:1:d:t", f'i 1 {{"kid": "{rotated.active}", "sealed": "x"}}', ex=60)

        done = await operator.reseal(rotated.active)

        assert await shared.keys("oauth:*:t") == [b"oauth:{acme.d}:1:d:t"]
    assert (done.resealed, done.remaining, done.failed) == (2, 0, [])
    await eventually(lambda: everybody(operator, lambda worker: worker.in_use == {rotated.active: 2}), 30)
    write_private(tmp_path / "ring.json", rotated.without(bus.ring.active).dump())
    await eventually(lambda: everybody(operator, lambda worker: worker.keys == [rotated.active]), 30)
    for name in ("default", "second"):
        assert (await bus.execute("shop", "echo", headers={"Dibop-Connection": name}))["status_code"] == 200
    sent = [arrival.headers.get("x-api-key") for arrival in upstream.arrivals]
    assert sent == ["secret-of-default", "secret-of-second"]


@pytest.mark.usefixtures("shop", "registry", "workers")
async def test_credentials_that_are_rotated_are_used_at_once(bus: Bus, upstream: FaultServer) -> None:
    await bus.execute("shop", "echo")

    await bus.connect("shop", {"api_key": "another-secret"})

    async def sends_the_new_one() -> bool:
        await bus.execute("shop", "echo")
        return upstream.arrivals[-1].headers.get("x-api-key") == "another-secret"

    await eventually(sends_the_new_one, 30)
    upstream.arrivals.clear()
    for _ in range(6):
        await bus.execute("shop", "echo")
    assert {arrival.headers.get("x-api-key") for arrival in upstream.arrivals[2:]} == {"another-secret"}


@pytest.mark.usefixtures("shop", "workers")
async def test_each_workers_first_use_is_audited(bus: Bus, registry: Registry) -> None:
    async def both_have_told() -> bool:
        await bus.execute("shop", "echo")
        return len(registry.audit) >= 2

    await eventually(both_have_told, 30)
    for _ in range(4):
        await bus.execute("shop", "echo")

    assert sorted(entry.actor for entry in registry.audit) == ["executor executor-1", "executor executor-2"]
    assert {(entry.action, entry.identifier) for entry in registry.audit} == {("connection.use", "shop.default")}
    assert "secret-of" not in str(registry.audit)


@pytest.mark.usefixtures("shop", "workers")
async def test_a_key_that_no_worker_has_active_is_a_conflict(operator: Operator) -> None:
    with pytest.raises(DibopError, match="seal-elsewhere") as refused:
        await operator.reseal("seal-elsewhere")

    assert refused.value.code == "conflict"


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("enterprise", ["acme", "platform"])
@pytest.mark.parametrize("role", [Role.ENTERPRISE_ADMIN_SDK, Role.VIEWER, Role.EXECUTOR])
async def test_keys_are_for_platform_admins(operator: Operator, enterprise: str, role: Role) -> None:
    for verb, body in (("show", ShowKeys()), ("reseal", ResealKeys(kid="k"))):
        assert (await operator.refused(enterprise, verb, body, role)).code == "forbidden"


async def test_a_worker_without_keys_says_so(start: START, operator: Operator) -> None:
    await start(seal_keyring_file=None)

    with pytest.raises(DibopError, match="DIBOP_SEAL_KEYRING_FILE"):
        await operator.show()
