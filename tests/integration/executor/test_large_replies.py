"""Replies over one message's size: parts in the stream RESPONSES, read as the wire contract says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from services.executor.app import Executor
from shared.contracts.execution import MAX_PAYLOAD_BYTES, REPLY_RESERVE_BYTES, RESPONSE_PART_BYTES
from shared.contracts.subjects import RESPONSES_STREAM
from shared.messaging.bootstrap import bootstrap
from tests.integration.executor.world import Bus, get, query

MANY = get("many", "/many", query("n", type="integer"), query("type"))


async def fetched(bus: Bus, body: dict[str, Any]) -> bytes:
    """The parts, by direct get."""
    parts = []
    for number in range(body["chunks"]):
        subject = f"$JS.API.DIRECT.GET.{RESPONSES_STREAM}.resp.v1.acme.{body['id']}.{number}"
        parts.append((await bus.raw(subject)).data)
    assert all(len(part) == RESPONSE_PART_BYTES for part in parts[:-1])
    return b"".join(parts)


@pytest.mark.parametrize(
    ("kind", "inner", "body"),
    [
        ("text/plain", "text", lambda size: b"t" * size),
        ("application/json", "json", lambda size: b'"' + b"j" * (size - 2) + b'"'),
        ("application/octet-stream", "base64", lambda size: b"t" * size),
    ],
)
async def test_a_large_reply_lies_in_parts(
    bus: Bus, executor: Executor, kind: str, inner: str, body: Callable[[int], bytes]
) -> None:
    await bus.publish("shop", {**MANY, "response_schema": {"type": "string"}})
    size = 3_000_000
    reply = await bus.execute("shop", "many", {"n": size, "type": kind})
    assert (reply["response"], reply["response_encoding"]) == (None, "chunks")
    assert reply["schema_valid"] is True
    parts = reply["response_body"]
    raw = await fetched(bus, parts)
    assert raw == body(size)
    assert parts["sha256"] == hashlib.sha256(raw).hexdigest()
    assert (parts["size"], parts["chunks"], parts["inner_encoding"]) == (size, 6, inner)


@pytest.mark.parametrize("off", [-4096, -1, 0, 1, 4096])
async def test_the_border_between_one_message_and_parts_holds(bus: Bus, executor: Executor, off: int) -> None:
    await bus.publish("shop", MANY)
    size = MAX_PAYLOAD_BYTES - REPLY_RESERVE_BYTES + off
    reply = await bus.execute("shop", "many", {"n": size})
    if reply["response_encoding"] == "chunks":
        assert len(await fetched(bus, reply["response_body"])) == size
    else:
        assert len(reply["response"]) == size
    assert (reply["response_encoding"] == "chunks") is (off >= -1)


async def test_the_largest_response_arrives(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", MANY)
    reply = await bus.execute("shop", "many", {"n": 10 * 1024 * 1024})
    assert (reply["response_body"]["chunks"], len(await fetched(bus, reply["response_body"]))) == (20, 10 * 1024 * 1024)


async def test_what_cannot_be_kept_is_told(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", MANY)
    await bus.js.delete_stream(RESPONSES_STREAM)
    error = await bus.refused("shop", "many", {"n": 3_000_000})
    await bootstrap(bus.js)
    assert (error.code, error.outcome) == ("internal", "unknown")
    assert "RESPONSES" in error.detail
