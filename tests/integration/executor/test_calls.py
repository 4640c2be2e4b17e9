"""What executors tell of their executions, for the call log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from services.executor.app import Executor
from services.executor.settings import ExecutorSettings
from shared.contracts import subjects
from shared.contracts.calls import ExecutedCall, ExecutedCalls
from shared.contracts.events import Event
from shared.contracts.execution import DraftExecutionRequest
from shared.security.principals import Role
from tests.integration.executor.world import Bus, get
from tests.support.executors import executors
from tests.support.polling import eventually
from tests.support.processes import free_port
from tests.support.tokens import Tokens

STATUS = get("status", "/status/{code}", {"name": "code", "location": "path", "type": "integer", "required": True})


async def told(bus: Bus, count: int) -> list[ExecutedCall]:
    """The calls of all events, once there are `count`."""

    async def calls() -> list[ExecutedCall]:
        found: list[ExecutedCall] = []
        info = await bus.js.stream_info(subjects.CALLS_STREAM)
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            message = await bus.js.get_msg(subjects.CALLS_STREAM, sequence)
            event = Event.read(message.subject or "", message.headers, message.data or b"")
            assert (event.noun, event.what, event.source) == ("operation", "executed", "executor")
            found += msgspec.json.decode(message.data or b"", type=ExecutedCalls).calls
        return found if len(found) >= count else []

    return await eventually(calls, what=f"{count} calls told")


async def test_results_and_errors_are_told_with_what_became_of_them(
    bus: Bus, executor: Executor, tokens: Tokens
) -> None:
    await bus.publish("shop", STATUS)
    token = tokens.issue("ada", "acme", Role.ENTERPRISE_ADMIN)
    asked = {"Dibop-Request-Id": "r-1", "Authorization": f"Bearer {token}"}
    reply = await bus.raw(subjects.execute("acme", "shop", "status"), b'{"parameters": {"code": 200}}', asked)
    await bus.execute("shop", "status", {"code": 503}, headers={"Dibop-Request-Id": "r-2"})
    await bus.refused("shop", "status", headers={"Dibop-Request-Id": "r-3", "Dibop-Connection": "main"})
    await bus.refused("nothing", "at_all", headers={"Dibop-Request-Id": "r-4"})

    calls = {each.request_id: each for each in await told(bus, 4)}

    good, bad, wrong, unknown = (calls[f"r-{number}"] for number in (1, 2, 3, 4))
    assert (good.outcome, good.status, good.attempts, good.version) == ("succeeded", 200, 1, "1.0.0")
    assert (good.caller, good.schema_valid, good.reply_bytes) == ("ada", None, len(reply.data))
    assert (bad.outcome, bad.status, bad.caller) == ("failed", 503, None)
    assert (wrong.outcome, wrong.connector, wrong.operation) == ("unknown-connection", "shop", "status")
    assert (wrong.connection, wrong.status, wrong.attempts) == ("main", 0, 0)
    assert (unknown.outcome, unknown.connector) == ("unknown-connector", "nothing")
    assert len({each.id for each in calls.values()}) == 4
    assert all(each.duration_ms > 0 and each.started_ms > 1_700_000_000_000 for each in calls.values())


async def test_attempts_of_an_error_are_counted(bus: Bus, start: Callable[..., Any]) -> None:
    closed = f"127.0.0.1:{free_port()}"
    await start(egress_allow=closed)
    retrying = {"rate_limit_per_minute": 0, "circuit_breaker_threshold": 0, "max_retries": 2, "retry_delay_seconds": 0}
    await bus.publish("shop", get("json"), base_url=f"http://{closed}", resilience=retrying)
    await bus.refused("shop", "json")
    (call,) = await told(bus, 1)
    assert (call.outcome, call.attempts, call.status) == ("upstream-unreachable", 3, 0)


async def test_enterprises_have_events_of_their_own(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("json"))
    for enterprise in ("acme", "other"):
        await bus.raw(subjects.execute(enterprise, "shop", "json"))
    await told(bus, 2)
    for enterprise in ("acme", "other"):
        subject = subjects.event(enterprise, "operation", "calls", "executed")
        message = await bus.js.get_last_msg(subjects.CALLS_STREAM, subject)
        assert len(msgspec.json.decode(message.data or b"", type=ExecutedCalls).calls) == 1


async def test_tests_of_drafts_and_names_that_are_none_are_not_told(bus: Bus, executor: Executor) -> None:
    digest = await bus.store("shop", get("json"))
    request = DraftExecutionRequest(owner="acme", digest=digest)
    await bus.raw(subjects.draft_execute("acme", "shop", "json"), msgspec.json.encode(request))
    await bus.raw("exec.v1.acme.Shop.json")
    await bus.publish("shop", get("json"))
    await bus.execute("shop", "json")
    assert [(each.connector, each.outcome) for each in await told(bus, 1)] == [("shop", "succeeded")]


async def test_it_can_be_switched_off(bus: Bus, settings: ExecutorSettings) -> None:
    async with executors(settings) as start:
        await start(call_log=False)
        await bus.publish("shop", get("json"))
        await bus.execute("shop", "json")
    assert (await bus.js.stream_info(subjects.CALLS_STREAM)).state.messages == 0


async def test_what_is_left_is_told_when_a_worker_stops(bus: Bus, settings: ExecutorSettings) -> None:
    async with executors(settings) as start:
        await start()
        await bus.publish("shop", get("json"))
        await asyncio.gather(*(bus.execute("shop", "json") for _ in range(20)))
    assert len(await told(bus, 20)) == 20


async def test_who_is_not_admitted_writes_nothing(bus: Bus, executor: Executor, tokens: Tokens) -> None:
    await bus.publish("shop", get("json"))
    stranger = tokens.issue("eve", "other", Role.ENTERPRISE_ADMIN)
    for authorization in (f"Bearer {stranger}", "Bearer nothing"):
        await bus.refused("shop", "json", headers={"Authorization": authorization})
    await bus.execute("shop", "json")
    assert [each.outcome for each in await told(bus, 1)] == ["succeeded"]
