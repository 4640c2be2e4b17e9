"""What is told as it happens, and how the platform does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from shared.security.principals import Role
from tests.integration.console.conftest import Person, SignedIn, Stage
from tests.integration.console.test_connectors import SECRET, echoing
from tests.integration.console.test_sessions import problem
from tests.support.console import browser, console_at
from tests.support.tokens import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def told(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncGenerator[tuple[str, Any, str], None]:
    """Events of a stream: name, data and id."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
            elif line == "" and "data" in event:
                yield event.get("event", "message"), json.loads(event["data"]), event.get("id", "")
                event = {}


async def test_health_is_told_as_it_changes(stage: Stage, signed_in: SignedIn, slug: str) -> None:
    ann = await signed_in()
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug))
    async with asyncio.timeout(20), aclosing(told(ann, "/health-events")) as stream:
        made = await ann.post("/connections", json={"connector": slug, "credentials": {"api_key": SECRET}})
        identifier = made.json()["id"]
        async for name, data, _ in stream:
            if name == "health" and data["id"] == identifier:
                assert data["health"]["state"] == "unchecked"
                break
        await ann.delete(f"/connections/{slug}/default")
        async for name, data, _ in stream:
            if name == "gone" and data["id"] == identifier:
                break


async def test_a_stream_that_may_not_be_read_is_refused_before_it_begins(person: Person) -> None:
    stranger = person("eve", "globex", Role.ENTERPRISE_ADMIN)
    problem(await stranger.get("/health-events", params={"enterprise": "umbrella"}), 403, "forbidden")


async def test_a_console_stops_although_streams_are_open(
    nats_url: str, redis_url: str, tokens: Tokens, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings: dict[str, Any] = {"nats_url": nats_url, "redis_url": redis_url, "token_key_file": tokens.key_file}
    async with asyncio.timeout(20):
        async with console_at(tmp_path_factory.mktemp("stopping"), drain_seconds=60, **settings) as console:
            ann = browser(console)
            await ann.post("/session", json={"token": tokens.issue("ann", "acme", Role.VIEWER)})
            stream = told(ann, "/health-events")
            assert (await anext(stream))[0] == "health"
        assert [each async for each in stream if each[0] != "health"] == []
        await ann.aclose()


async def test_operators_see_services_streams_redis_and_nats(person: Person) -> None:
    status = (await person().get("/status")).json()
    assert {each["service"] for each in status["services"]} >= {"registry", "publisher", "executor"}
    events = next(each for each in status["streams"] if each["name"] == "EVENTS")
    assert events["messages"] > 0
    assert status["nats"]["connected"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["nats"]["server"])
    assert status["redis"]["connected"]
    problem(await person("vic", "umbrella", Role.VIEWER).get("/status"), 403, "forbidden")


async def test_a_connection_is_changed_and_probed(stage: Stage, person: Person, slug: str) -> None:
    ann = person()
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug))
    await ann.post("/connections", json={"connector": slug, "credentials": {"api_key": SECRET}})
    changed = await ann.patch(f"/connections/{slug}/default", json={"version_policy": "^2"})
    assert changed.json()["version_policy"] == "^2", changed.text
    stale = await ann.patch(f"/connections/{slug}/default", json={"generation": 1, "default": True})
    problem(stale, 409, "conflict")
    nothing = await ann.post(f"/connections/{slug}/default/consent", json={"version": "2.0.0"})
    assert nothing.status_code == 404, nothing.text
    probed = await ann.post(f"/connections/{slug}/default/ping")
    assert probed.status_code == 404, "there is no version yet that a connection could run"
