"""Whatever the external system does: a result where it answered, one clear error where it did not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from services.executor.app import Executor
from shared.contracts.errors import DibopError
from tests.integration.executor.world import Bus, get, query
from tests.support.fault_server import Call, FaultServer, behaviour
from tests.support.processes import free_port

REPLY = get("reply", "/reply", query("type"), query("body"), query("status", type="integer"))


@behaviour("packed")
async def packed(call: Call) -> bool:
    body = gzip.compress(b'{"packed":true}')
    return await call.answer(body=body, headers=(("Content-Type", "application/json"), ("Content-Encoding", "gzip")))


@pytest.mark.parametrize(
    ("kind", "body", "encoding", "response", "valid"),
    [
        ("application/json", '{"a":1}', "json", {"a": 1}, None),
        ("application/json", "<html>", "text", "<html>", False),
        ("application/json", '{"a":', "text", '{"a":', False),
        ("application/json", "", "json", None, None),
        ("application/json; charset=utf-8", "\xe9", "base64", "6Q==", False),
        ("text/plain; charset=utf-8", "\xe9", "base64", "6Q==", None),
        ("text/plain; charset=latin-1", "\xe9", "text", "é", None),
        ("text/plain; charset=klingon", "abc", "text", "abc", None),
        ("text/plain", "", "json", None, None),
        ("image/png", "\x89PNG", "base64", "iVBORw==", None),
        (None, '{"a":1}', "json", {"a": 1}, None),
        (None, "abc", "text", "abc", None),
    ],
)
async def test_a_body_is_decoded_as_far_as_it_goes(
    bus: Bus, executor: Executor, kind: str | None, body: str, encoding: str, response: Any, valid: bool | None
) -> None:
    await bus.publish("shop", REPLY)
    parameters = {"body": body} | ({"type": kind} if kind else {})
    reply = await bus.execute("shop", "reply", parameters)
    assert (reply["response_encoding"], reply["response"], reply["schema_valid"]) == (encoding, response, valid)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 404, 418, 429, 500, 503, 599])
async def test_every_status_is_a_result(bus: Bus, executor: Executor, status: int) -> None:
    await bus.publish("shop", REPLY)
    reply = await bus.execute("shop", "reply", {"status": status, "body": "told"})
    assert (reply["status_code"], reply["response"]) == (status, "told")


async def test_no_content_is_null(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("nothing", "/status/204", response_schema={"type": "object"}))
    reply = await bus.execute("shop", "nothing")
    assert (reply["status_code"], reply["response"], reply["schema_valid"]) == (204, None, None)


async def test_a_response_that_breaks_its_schema_is_handed_over(bus: Bus, executor: Executor) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "string"}}}
    await bus.publish("shop", get("json", response_schema=schema))
    reply = await bus.execute("shop", "json")
    assert (reply["response"], reply["schema_valid"]) == ({"ok": True}, False)
    assert reply["schema_errors"][0]["path"] == "/ok"


async def test_when_to_come_again_is_told(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("busy", "/status/429", query("retry_after")))
    assert (await bus.execute("shop", "busy", {"retry_after": "7"}))["retry_after_ms"] == 7000


async def test_a_compressed_response_is_unpacked(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("packed"))
    assert (await bus.execute("shop", "packed"))["response"] == {"packed": True}


async def test_cookies_are_not_handed_on(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("cookies", "/repeated-headers"))
    headers = (await bus.execute("shop", "cookies"))["headers"]
    assert "set-cookie" not in headers
    assert headers["x-part"] == "a, b"


@pytest.mark.parametrize(
    ("path", "code", "outcome"),
    [
        ("/cut", "upstream-timeout", "unknown"),
        ("/cut-chunked", "upstream-timeout", "unknown"),
        ("/garbage", "upstream-timeout", "unknown"),
        ("/garbage-chunk", "upstream-timeout", "unknown"),
        ("/huge-header", "upstream-timeout", "unknown"),
        ("/close-without-answer", "upstream-timeout", "unknown"),
        ("/reset-after-send", "upstream-timeout", "unknown"),
        ("/coded/broken", "upstream-timeout", "unknown"),
        ("/coded/cut", "upstream-timeout", "unknown"),
        ("/coded/unknown", "upstream-timeout", "unknown"),
        ("/never", "upstream-timeout", "unknown"),
        ("/drip", "upstream-timeout", "unknown"),
        ("/drip-headers", "upstream-timeout", "unknown"),
        ("/endless", "response-too-large", "unknown"),
        ("/bomb", "response-too-large", "unknown"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_response_that_does_not_come_whole_is_an_error(
    bus: Bus, executor: Executor, upstream: FaultServer, path: str, code: str, outcome: str, method: str
) -> None:
    await bus.publish("shop", get("run", path, method=method), get("json"))
    began = monotonic()
    error = await bus.refused("shop", "run", timeout=1)
    assert (error.code, error.outcome) == (code, outcome)
    assert len(error.attempts) == 1
    assert monotonic() - began < 10
    assert upstream.sends(path) == 1
    assert (await bus.execute("shop", "json"))["status_code"] == 200


async def test_a_system_that_cannot_be_reached_was_sent_nothing(bus: Bus, start: Callable[..., Any]) -> None:
    port = free_port()
    await start(egress_allow=f"127.0.0.1:{port}")
    await bus.publish("shop", get("json", method="POST"), base_url=f"http://127.0.0.1:{port}")
    error = await bus.refused("shop", "json")
    assert (error.code, error.outcome) == ("upstream-unreachable", "not_sent")


async def test_the_deadline_ends_an_attempt(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("never"))
    began = monotonic()
    error = await bus.refused("shop", "never", headers={"Dibop-Deadline-Ms": "300"})
    assert (error.code, error.outcome) == ("upstream-timeout", "unknown")
    assert monotonic() - began < 3


async def test_the_template_bounds_an_attempt(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("never"), resilience={"timeout_seconds": 0.2})
    assert (await bus.refused("shop", "never")).code == "upstream-timeout"


async def test_the_cap_is_a_setting(bus: Bus, start: Callable[..., Any]) -> None:
    await start(max_response_bytes=2000)
    await bus.publish("shop", get("many", "/many", query("n", type="integer")))
    assert (await bus.execute("shop", "many", {"n": 2000}))["status_code"] == 200
    assert (await bus.refused("shop", "many", {"n": 2001})).code == "response-too-large"


async def test_redirects_are_followed_within_the_origin_alone(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", get("redirect", "/redirect", query("to")), get("loop", "/redirect-loop"))
    assert (await bus.execute("shop", "redirect", {"to": "/json"}))["response"] == {"ok": True}
    away = await bus.execute("shop", "redirect", {"to": "http://evil.example/x"})
    assert (away["status_code"], away["headers"]["location"]) == (302, "http://evil.example/x")
    assert (await bus.execute("shop", "loop"))["status_code"] == 302
    assert upstream.sends("/redirect-loop") == 6


async def test_no_credential_comes_back_in_a_header_or_an_error(bus: Bus, executor: Executor) -> None:
    secret = "correct-horse-battery"
    await bus.publish(
        "shop", get("away", "/redirect", query("to")), get("cut"), auth_type="api_key", query_parameter="key"
    )
    await bus.connect("shop", {"api_key": secret})
    reply = await bus.execute("shop", "away", {"to": f"http://evil.example/?key={secret}"})
    assert secret not in str(reply)
    with pytest.raises(DibopError) as caught:
        await bus.execute("shop", "cut")
    assert secret not in str(caught.value.to_problem())
