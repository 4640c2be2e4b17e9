"""A client in plain nats-py that knows nothing but the documented wire contract: no code of this product."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from tests.support.stack import Stack


@pytest.fixture(scope="module")
def connected(stack: Stack, httpbin_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A connector to httpbin is published; the answer is the context file."""
    operations = [
        ("get", "GET", "/get", [{"name": "n", "location": "query", "type": "integer", "default": 1}]),
        ("bytes", "GET", "/bytes/{count}", [{"name": "count", "location": "path", "type": "integer", "default": 10}]),
        ("status", "GET", "/status/{code}", [{"name": "code", "location": "path", "type": "integer", "default": 200}]),
        (
            "delay",
            "GET",
            "/delay/{seconds}",
            [{"name": "seconds", "location": "path", "type": "integer", "default": 0}],
        ),
        ("echo", "POST", "/anything", [{"name": "text", "location": "body", "required": True}]),
    ]
    document = {
        "name": "plain",
        "slug": "plain",
        "type": "General",
        "description": "httpbin for a plain client.",
        "base_url": httpbin_url,
        "auth_type": "none",
        "resilience": {"rate_limit_per_minute": 0, "max_retries": 0},
        "operations": [
            {"operation": name, "description": name, "method": method, "path": path, "parameters": parameters,
             "response_schema": {}, "sample": {"text": "a"} if name == "echo" else {}}
            for name, method, path, parameters in operations
        ],
    }  # fmt: skip
    stack.publish(document, directory=tmp_path_factory.mktemp("plain"))
    context: dict[str, Any] = json.loads((stack.home / "context.json").read_text())
    return context


@pytest.fixture
async def nc(connected: dict[str, Any]) -> AsyncIterator[Client]:
    client = await nats.connect(
        connected["nats_url"],
        user_credentials=connected["nats_creds"],
        inbox_prefix=connected["nats_inbox_prefix"],
    )
    yield client
    await client.close()


async def ask(
    nc: Client, operation: str, body: bytes | dict[str, Any], connector: str = "plain", **headers: str
) -> tuple[dict[str, str], dict[str, Any]]:
    sent = {"Dibop-Deadline-Ms": "10000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await nc.request(f"exec.v1.local.{connector}.{operation}", data, timeout=12, headers=sent)
    return reply.headers or {}, json.loads(reply.data)


async def test_a_result_has_the_documented_shape(nc: Client) -> None:
    request_id = str(uuid.uuid4())

    headers, reply = await ask(nc, "get", {"parameters": {"n": 7}}, Dibop_Request_Id=request_id)

    assert "Nats-Service-Error" not in headers
    assert "Nats-Service-Error-Code" not in headers
    assert {
        "request_id", "connector", "version", "operation", "connection", "status_code", "headers", "response",
        "response_encoding", "duration_ms", "attempts", "retry_stopped", "schema_valid", "schema_errors",
    } <= set(reply)  # fmt: skip
    assert (reply["request_id"], reply["connector"], reply["operation"]) == (request_id, "plain", "get")
    assert (reply["status_code"], reply["response_encoding"]) == (200, "json")
    assert reply["response"]["args"] == {"n": "7"}
    assert reply["attempts"][0]["status_code"] == 200
    assert {"duration_ms", "waited_ms"} <= set(reply["attempts"][0])


async def test_an_empty_body_asks_for_the_defaults(nc: Client) -> None:
    _, reply = await ask(nc, "get", b"{}")

    assert reply["response"]["args"] == {"n": "1"}


async def test_an_error_status_is_a_result(nc: Client) -> None:
    headers, reply = await ask(nc, "status", {"parameters": {"code": 418}})

    assert "Nats-Service-Error-Code" not in headers
    assert reply["status_code"] == 418


@pytest.mark.parametrize(
    ("connector", "operation", "body", "headers", "code", "status"),
    [
        ("plain", "get", b"{not json", {}, "invalid-request", 400),
        ("plain", "get", {"parameter": {}}, {}, "invalid-request", 400),
        ("plain", "get", {"parameters": {"n": "seven"}}, {}, "invalid-parameters", 422),
        ("plain", "get", {"parameters": {"m": 1}}, {}, "invalid-parameters", 422),
        ("plain", "got", {}, {}, "unknown-operation", 404),
        ("plane", "get", {}, {}, "unknown-connector", 404),
        ("plain", "get", {}, {"Dibop_Version": "9.0.0"}, "unknown-version", 404),
        ("plain", "get", {}, {"Dibop_Connection": "other"}, "unknown-connection", 404),
        ("plain", "delay", {"parameters": {"seconds": 5}, "timeout": 0.2}, {}, "upstream-timeout", 504),
    ],
)
async def test_an_error_has_the_documented_shape(
    nc: Client, connector: str, operation: str, body: Any, headers: dict[str, str], code: str, status: int
) -> None:
    told, problem = await ask(nc, operation, body, connector, **headers)

    assert told["Nats-Service-Error-Code"] == str(status)
    assert told["Nats-Service-Error"].startswith(f"{code}: ")
    assert problem["type"] == f"urn:dibop:error:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"]


async def test_a_large_response_is_fetched_part_by_part(nc: Client) -> None:
    text = "\u00e9" * 230_000  # httpbin echoes it twice, as escapes of six bytes

    _, large = await ask(nc, "echo", json.dumps({"parameters": {"text": text}}, ensure_ascii=False).encode())

    body = large["response_body"]
    parts = [
        (await nc.request(f"$JS.API.DIRECT.GET.RESPONSES.resp.v1.local.{body['id']}.{number}", b"", timeout=5)).data
        for number in range(body["chunks"])
    ]
    whole = b"".join(parts)

    assert large["response"] is None
    assert large["response_encoding"] == "chunks"
    assert len(whole) == body["size"]
    assert hashlib.sha256(whole).hexdigest() == body["sha256"]
    assert body["inner_encoding"] == "json"
    assert json.loads(whole)["json"] == {"text": text}


def test_it_imports_no_code_of_the_product() -> None:
    text = Path(__file__).read_text()

    assert not [line for line in text.splitlines() if line.startswith(("from dibop", "from shared", "import dibop"))]
