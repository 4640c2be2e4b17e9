"""The client against a real NATS server and a service that answers what the test tells it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from dibop import Client
from dibop.errors import (
    BrokenReplyError,
    BusUnreachableError,
    BusyError,
    DibopError,
    InvalidRequestError,
    NoServiceError,
    NotFoundError,
    ReplyTimeoutError,
)
from shared.contracts.commands import Connector, ShowConnector
from shared.contracts.errors import DibopError as CatalogueError
from shared.contracts.events import Event
from shared.messaging.connection import BusClient
from tests.support.polling import eventually
from tests.support.servers import NatsServer

REPLY: dict[str, Any] = {
    "request_id": "r-1",
    "connector": "weather",
    "version": "1.0.0",
    "operation": "now",
    "connection": None,
    "status_code": 200,
    "headers": {},
    "response": {"ok": True},
    "response_encoding": "json",
    "duration_ms": 1.0,
    "attempts": [],
    "retry_stopped": None,
    "schema_valid": None,
    "schema_errors": [],
}


class FakeService:
    """Answers one subject with what it is given, and keeps what it was asked."""

    def __init__(self, nc: BusClient) -> None:
        self._nc = nc
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []

    async def answer(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> FakeService:
        async def reply(message: Any) -> None:
            self.requests.append((json.loads(message.data), dict(message.headers or {})))
            await self._nc.publish(message.reply, body, headers=headers)

        await self._nc.subscribe(subject, cb=reply)
        await self._nc.flush()
        return self


@pytest.fixture
def service(nc: BusClient) -> FakeService:
    return FakeService(nc)


def client(url: str, enterprise: str, **overrides: Any) -> Client:
    return Client.connect("/nonexistent", nats_url=url, enterprise=enterprise, **overrides)


async def test_a_request_carries_what_the_caller_said(nats_url: str, service: FakeService) -> None:
    await service.answer("exec.v1.one.weather.now", json.dumps(REPLY).encode())

    async with client(nats_url, "one") as c:
        result = await c.execute(
            "weather",
            "now",
            parameters={"timeout": 9},
            headers={"X-A": "b"},
            timeout=2.5,
            deadline=7,
            connection="other",
            version="^1",
            idempotency_key="k-1",
            request_id="r-1",
            q="London",
        )

    body, headers = service.requests[0]
    assert result.response == {"ok": True}
    assert body == {"parameters": {"timeout": 9, "q": "London"}, "headers": {"X-A": "b"}, "timeout": 2.5}
    assert headers == {
        "Dibop-Connection": "other",
        "Dibop-Version": "^1",
        "Idempotency-Key": "k-1",
        "Dibop-Request-Id": "r-1",
        "Dibop-Deadline-Ms": "7000",
    }


async def test_an_error_reply_is_raised_as_its_class(nats_url: str, service: FakeService) -> None:
    error = CatalogueError("overloaded", "The worker is full.", request_id="r-9")
    await service.answer("exec.v1.two.weather.now", json.dumps(error.to_problem()).encode(), error.headers())

    async with client(nats_url, "two") as c:
        with pytest.raises(BusyError, match="The worker is full") as caught:
            await c.execute("weather", "now")

    assert caught.value.request_id == "r-9"
    assert caught.value.retryable


async def test_without_a_service_the_caller_is_told_at_once_which_one_is_missing(nats_url: str) -> None:
    async with client(nats_url, "three") as c:
        with pytest.raises(NoServiceError, match="No executor is running"):
            await c.execute("weather", "now", deadline=60)
        with pytest.raises(NoServiceError, match="No registry is running"):
            await c.command("registry", "three", "connector", "show", ShowConnector(slug="a"), Connector)


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(nats_url: str, nc: BusClient) -> None:
    await nc.subscribe("exec.v1.four.weather.now")
    await nc.flush()

    async with client(nats_url, "four") as c:
        with pytest.raises(ReplyTimeoutError, match=r"exec\.v1\.four\.weather\.now") as caught:
            await c.execute("weather", "now", deadline=0.1)

    assert not caught.value.retryable


async def test_the_parts_of_a_large_response_are_fetched_and_checked(
    nats_url: str, service: FakeService, js: JetStreamContext
) -> None:
    whole = json.dumps({"text": "x" * 900_000}).encode()
    for number, start in enumerate(range(0, len(whole), 512 * 1024)):
        await js.publish(f"resp.v1.five.b1.{number}", whole[start : start + 512 * 1024])
    place = {"id": "b1", "size": len(whole), "sha256": hashlib.sha256(whole).hexdigest(), "chunks": 2}

    def reply(**changes: Any) -> bytes:
        body = {**place, "inner_encoding": "json", **changes}
        return json.dumps({**REPLY, "response": None, "response_encoding": "chunks", "response_body": body}).encode()

    await service.answer("exec.v1.five.weather.now", reply())
    await service.answer("exec.v1.five.weather.damaged", reply(sha256="0" * 64))
    await service.answer("exec.v1.five.weather.gone", reply(id="b2"))

    async with client(nats_url, "five") as c:
        assert len((await c.execute("weather", "now")).response["text"]) == 900_000
        with pytest.raises(BrokenReplyError, match="do not add up"):
            await c.execute("weather", "damaged")
        with pytest.raises(BrokenReplyError, match="kept for ten minutes"):
            await c.execute("weather", "gone")


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense"])
async def test_a_reply_that_is_none_is_refused(nats_url: str, service: FakeService, body: bytes) -> None:
    await service.answer("exec.v1.six.weather.now", body)

    async with client(nats_url, "six") as c:
        with pytest.raises(BrokenReplyError, match="not an execution reply"):
            await c.execute("weather", "now")


async def test_what_cannot_be_sent_is_refused_before_it_is_sent(nats_url: str) -> None:
    async with client(nats_url, "seven") as c:
        with pytest.raises(InvalidRequestError, match="JSON"):
            await c.execute("weather", "now", q=math.nan)
        with pytest.raises(InvalidRequestError, match="JSON"):
            await c.execute("weather", "now", q=object())
        with pytest.raises(InvalidRequestError, match="slug"):
            await c.execute("we.ather", "now")
        with pytest.raises(InvalidRequestError, match="operation name"):
            await c.execute("weather", ">")
        with pytest.raises(InvalidRequestError, match="more than NATS takes"):
            await c.execute("weather", "now", q="x" * 3 * 1024 * 1024)
        with pytest.raises(TypeError, match="given twice"):
            await c.execute("weather", "now", parameters={"q": 1}, q=2)


async def test_a_command_carries_the_token_and_reads_a_typed_answer(
    nats_url: str, service: FakeService, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("abc\n")
    missing = CatalogueError("not-found", "There is no connector 'a'.")
    await service.answer(
        "registry.v1.eight.connector.show", json.dumps(missing.to_problem()).encode(), missing.headers()
    )

    async with client(nats_url, "eight", token_file=tmp_path / "token") as c:
        with pytest.raises(NotFoundError):
            await c.command("registry", "eight", "connector", "show", ShowConnector(slug="a"), Connector)

    assert service.requests[0][1]["Authorization"] == "Bearer abc"


async def test_events_of_the_enterprise_and_of_the_platform_are_heard(nats_url: str, nc: BusClient) -> None:
    def happened(enterprise: str, what: str) -> Event:
        return Event(enterprise, "connector", "weather", what, "registry", {"n": 1})

    async with client(nats_url, "nine") as c, c.events("connector.*.version_published") as events:
        for event in (
            happened("other", "version_published"),
            happened("nine", "draft_saved"),
            happened("nine", "version_published"),
            happened("platform", "version_published"),
        ):
            await nc.publish(event.subject, event.body(), headers=event.headers())
        await nc.publish("evt.v1.nine.connector.weather.version_published", b"no event")
        heard = [await events.next(5), await events.next(5)]

    assert {event.enterprise for event in heard} == {"nine", "platform"}
    assert heard[0].data == {"n": 1}


async def test_a_server_that_is_not_there_is_named_in_time(tmp_path: Path) -> None:
    begin = asyncio.get_running_loop().time()

    with pytest.raises(BusUnreachableError, match=r"nats://127\.0\.0\.1:9"):
        await client("nats://127.0.0.1:9", "local", connect_timeout=0.5).__aenter__()

    assert asyncio.get_running_loop().time() - begin < 5


async def test_the_client_comes_back_after_a_restart_of_the_server(own_nats: Callable[[], NatsServer]) -> None:
    server = own_nats()
    async with client(server.url, "local") as c:
        server.kill()
        server.start()

        async def refused() -> DibopError:
            with pytest.raises(DibopError) as caught:
                await c.execute("weather", "now", deadline=0.2)
            return caught.value

        async with asyncio.timeout(20):
            while not isinstance(await refused(), NoServiceError):
                pass


async def test_closing_ends_every_task_while_the_server_is_away(own_nats: Callable[[], NatsServer]) -> None:
    server = own_nats()
    before = asyncio.all_tasks()
    async with asyncio.timeout(60):
        for pause in (0.0, 0.001, 0.01, 0.1, 0.25, 0.3):
            async with client(server.url, "local"):
                server.kill()
                await asyncio.sleep(pause)  # how far reconnecting has come when it is closed
            await eventually(lambda: asyncio.all_tasks() <= before, what="no task of the client is left")
            server.start()
