"""Probes of a draft: every step with its outcome, its reason and its time, and what they leave untouched."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis.asyncio

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.commands import Probed
from shared.contracts.errors import DibopError
from shared.messaging.client import request
from shared.security.principals import Role
from tests.integration.executor.world import ENTERPRISE, Bus, get
from tests.support.fault_server import FaultServer
from tests.support.processes import free_port
from tests.support.tokens import Tokens

KEY: dict[str, Any] = {"auth_type": "api_key", "header_name": "X-Key"}
SECRET = "planted-secret-of-the-probe"
CODE = {"name": "code", "location": "path", "type": "integer", "required": True}


def check(path: str, *parameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return get("check", path, *parameters, health_check=True, **changes)


class Probing:
    """Probes drafts as the publisher does."""

    def __init__(self, bus: Bus, tokens: Tokens) -> None:
        self.bus = bus
        self._tokens = tokens

    async def __call__(
        self, *operations: dict[str, Any], role: Role = Role.PUBLISHER, home: str = "platform", **changes: Any
    ) -> Probed:
        digest = await self.bus.store("shop", *(operations or (get("other"),)), **changes)
        body: dict[str, Any] = {"owner": ENTERPRISE, "slug": "shop", "digest": digest}
        if changes.get("auth_type"):
            given = self.bus.test_credentials("shop", {"api_key": SECRET})
            body["credentials"] = msgspec.to_builtins(given) | {"values": {}}
        answer = await request(
            self.bus.nc,
            subjects.executor(ENTERPRISE, "draft", "probe"),
            body,
            timeout=40,
            token=self._tokens.issue("publisher", home, role),
        )
        return Probed.model_validate_json(answer)


@pytest.fixture
def probe(bus: Bus, tokens: Tokens, executor: Executor) -> Probing:
    return Probing(bus, tokens)


@pytest.fixture(autouse=True)
async def _nothing_in_redis(redis_url: str) -> None:
    """Drafts without credentials have the same scope in every test."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()


def told(probed: Probed) -> dict[str, str]:
    return {step.step: step.outcome for step in probed.steps}


def reason(probed: Probed, step: str) -> str:
    return next(each.reason for each in probed.steps if each.step == step) or ""


async def test_a_system_that_answers_and_takes_the_credentials_is_online(probe: Probing, upstream: FaultServer) -> None:
    probed = await probe(check("/status/{code}", CODE, sample={"code": 204}), **KEY)

    assert probed.outcome == "online"
    assert told(probed) == {"dns": "skip", "tcp": "pass", "tls": "skip", "http": "pass", "auth": "pass"}
    assert {step.step for step in probed.steps if step.duration_ms is not None} == {"tcp", "http"}
    arrival = upstream.arrivals[-1]
    assert (arrival.path, arrival.headers["x-key"]) == ("/status/204", SECRET)


async def test_what_answers_says_how_it_stands(probe: Probing) -> None:
    outcomes = {}
    for status in (401, 403, 404, 429, 503):
        probed = await probe(check("/status/{code}", CODE, sample={"code": status}), **KEY)
        found = told(probed)
        outcomes[status] = (probed.outcome, found["http"], found["auth"])
        assert SECRET not in probed.model_dump_json()
    assert outcomes == {
        401: ("auth_error", "pass", "fail"),
        403: ("auth_error", "pass", "fail"),
        404: ("offline", "fail", "skip"),
        429: ("online", "pass", "skip"),
        503: ("offline", "fail", "skip"),
    }


async def test_without_a_health_check_the_base_url_is_asked(probe: Probing, upstream: FaultServer) -> None:
    probed = await probe(base_url=f"{probe.bus.base_url}/status/404", **KEY)

    assert probed.outcome == "online"
    assert told(probed)["auth"] == "skip"
    assert "health_check" in reason(probed, "auth")
    assert upstream.arrivals[-1].path == "/status/404"
    assert (await probe(base_url=f"{probe.bus.base_url}/status/401", **KEY)).outcome == "auth_error"


async def test_a_system_that_is_not_there_is_offline_at_the_step_that_tells(
    bus: Bus, tokens: Tokens, start: Callable[..., Any], upstream: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_such_name(*_arguments: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    port = free_port()
    await start(egress_allow=f"{upstream.authority},127.0.0.1:{port}")
    probe = Probing(bus, tokens)

    refused = await probe(base_url=f"http://127.0.0.1:{port}")
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
        nowhere = await probe(base_url="https://nowhere.invalid")
    denied = await probe(base_url="http://10.0.0.1:8080")
    no_tls = await probe(base_url=bus.base_url.replace("http:", "https:"), resilience={"timeout_seconds": 0.5})

    assert {each.outcome for each in (refused, nowhere, denied)} == {"offline"}
    assert told(refused) == {"dns": "skip", "tcp": "fail", "tls": "skip", "http": "skip", "auth": "skip"}
    assert told(nowhere) == {"dns": "fail", "tcp": "skip", "tls": "skip", "http": "skip", "auth": "skip"}
    assert "no address" in reason(nowhere, "dns")
    assert told(denied)["tcp"] == "fail"
    assert "DIBOP_EGRESS_ALLOW" in reason(denied, "tcp")
    assert no_tls.outcome == "timeout"
    assert told(no_tls) == {"dns": "skip", "tcp": "pass", "tls": "fail", "http": "skip", "auth": "skip"}


async def test_a_system_that_does_not_answer_in_time_is_a_timeout(probe: Probing) -> None:
    probed = await probe(check("/never"), resilience={"timeout_seconds": 0.3, "max_retries": 0})

    assert probed.outcome == "timeout"
    assert told(probed) == {"dns": "skip", "tcp": "pass", "tls": "skip", "http": "fail", "auth": "skip"}
    assert "0.3 s" in reason(probed, "http")


async def test_a_probe_neither_trips_a_circuit_nor_minds_one_and_counts_in_the_rate(probe: Probing) -> None:
    resilience = {"max_retries": 0, "circuit_breaker_threshold": 1, "rate_limit_per_minute": 3}
    failing = check("/status/{code}", CODE, sample={"code": 500})

    for _ in range(3):
        assert (await probe(failing, resilience=resilience)).outcome == "offline"
    with pytest.raises(DibopError, match="3 attempts a minute") as caught:
        await probe(failing, resilience=resilience)

    assert caught.value.code == "rate-limited"
    assert caught.value.retry_after_ms


@pytest.mark.parametrize(
    ("role", "home"),
    [(Role.ENTERPRISE_ADMIN_SDK, ENTERPRISE), (Role.PLATFORM_ADMIN, "platform"), (Role.PUBLISHER, ENTERPRISE)],
)
async def test_the_publisher_alone_probes_drafts(probe: Probing, role: Role, home: str) -> None:
    with pytest.raises(DibopError) as caught:
        await probe(role=role, home=home)
    assert caught.value.code == "forbidden"
