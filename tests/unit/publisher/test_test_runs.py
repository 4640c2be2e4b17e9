"""Test runs of drafts: what is run, what it gives, and what is kept of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.publisher.handlers.test_runner import DraftTester
from services.publisher.handlers.test_steps import CONCURRENT_OPERATIONS
from services.publisher.handlers.testing import cancel_test, list_tests, plan_test, show_test, start_test
from shared.contracts import commands
from shared.contracts.commands import CancelTest, ListTests, PlanTest, ShowTest, StartTest
from shared.contracts.errors import DibopError
from shared.contracts.execution import (
    Exchange,
    RecordedBody,
    RecordedRequest,
    RecordedResponse,
    ResponseBody,
    SchemaError,
)
from shared.security.principals import Principal, Role
from tests.support.polling import eventually
from tests.unit.publisher.documents import api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller, probed, reply

SESSION = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
SENT = RecordedRequest("GET", "https://api.example.com/weather?q=London", [("Accept", "*/*")])
BOB = caller(principal=Principal("bob", "acme", frozenset({Role.PLATFORM_ADMIN})))


@pytest.fixture
def world() -> World:
    world = World()
    world.registry.save(api_key())
    return world


def runner_of(world: World, seconds: float = 300.0) -> DraftTester:
    return DraftTester(world.ports, seconds=seconds, beat_seconds=0.01, lease_seconds=0.05)


async def start(world: World, runner: DraftTester, **command: Any) -> str:
    request = StartTest.model_validate({"slug": "weather", **command})
    return (await start_test(caller(), request, world.ports, runner)).run_id


async def shown(world: World, run_id: str, operation: str | None = None) -> commands.TestRun:
    return await show_test(caller(), ShowTest(run_id=run_id, operation=operation), world.ports)


async def ended(world: World, run_id: str) -> commands.TestRun:
    async def run_ended() -> bool:
        return (await shown(world, run_id)).state != "running"

    await eventually(run_ended)
    return await shown(world, run_id)


async def run(world: World, seconds: float = 300.0, **command: Any) -> commands.TestRun:
    return await ended(world, await start(world, runner_of(world, seconds), **command))


def outcomes(report: commands.TestRun) -> dict[str, str | None]:
    return {step.name: step.outcome for step in report.operations}


async def test_a_plan_runs_what_is_idempotent_and_names_what_it_skips(world: World) -> None:
    plan = await plan_test(caller(), PlanTest(slug="weather"), world.ports)

    weather, report = plan.operations
    assert (weather.operation, weather.runs, weather.reason) == ("get_weather", True, None)
    assert (report.operation, report.runs) == ("create_report", False)
    assert report.reason == "POST is not marked idempotent, so it runs only when it is named: --operation create_report"


async def test_a_plan_of_names_runs_each_named_operation_once(world: World) -> None:
    plan = await plan_test(
        caller(), PlanTest(slug="weather", operations=["create_report", "create_report"]), world.ports
    )

    assert [(each.operation, each.runs) for each in plan.operations] == [("create_report", True)]


@pytest.mark.parametrize("field", ["operations", "parameters"])
async def test_an_unknown_operation_is_refused_with_the_nearest(world: World, field: str) -> None:
    names: Any = ["get_wether"] if field == "operations" else {"get_wether": {}}

    with pytest.raises(DibopError, match=r"'get_wether'.*Did you mean 'get_weather'") as refused:
        await run(world, **{field: names})

    assert refused.value.code == "unknown-operation"
    assert world.executors.requests == []


async def test_a_draft_that_is_no_valid_template_is_refused_with_its_problems(world: World) -> None:
    world.registry.save(edited(api_key(), {"/auth_type": "magic"}))

    with pytest.raises(DibopError) as refused:
        await plan_test(caller(), PlanTest(slug="weather"), world.ports)

    assert refused.value.code == "invalid-template"
    assert refused.value.errors[0]["path"] == "/auth_type"


async def test_only_authors_may_test(world: World) -> None:
    for attempt in (
        plan_test(caller("acme", VIEWER), PlanTest(slug="weather"), world.ports),
        start_test(caller("acme", VIEWER), StartTest(slug="weather"), world.ports, runner_of(world)),
        show_test(caller("acme", VIEWER), ShowTest(run_id=SESSION), world.ports),
        list_tests(caller("acme", VIEWER), ListTests(slug="weather"), world.ports),
        cancel_test(caller("acme", VIEWER), CancelTest(run_id=SESSION), world.ports, runner_of(world)),
    ):
        with pytest.raises(DibopError) as refused:
            await attempt
        assert refused.value.code == "forbidden"


async def test_operations_run_with_their_samples_on_the_staged_document(world: World) -> None:
    report = await run(world, timeout=2.5)

    enterprise, operation, request = world.executors.requests[0]
    assert (enterprise, operation) == ("platform", "get_weather")
    assert (request.owner, request.digest, request.timeout) == ("platform", report.digest, 2.5)
    assert request.parameters == {"city": "London"}
    assert outcomes(report) == {"get_weather": "pass", "create_report": "skip"}


async def test_given_parameters_and_credentials_replace_the_samples(world: World) -> None:
    credentials = commands.TestCredentials(
        id="session", origin="https://api.example.com:443", kid="k", sealed={"api_key": "x"}
    )

    await run(world, operations=["create_report"], parameters={"create_report": {"title": "Fire"}},
              credentials=credentials.model_dump())  # fmt: skip

    _, operation, request = world.executors.requests[0]
    assert (operation, request.parameters) == ("create_report", {"title": "Fire"})
    assert request.credentials is not None
    assert request.credentials.sealed == {"api_key": "x"}


async def test_kept_credentials_are_those_of_the_person_who_tests(world: World) -> None:
    kept = commands.TestCredentials(id=SESSION, origin="https://api.example.com:443", kid="k", sealed={"api_key": "x"})
    world.registry.kept["platform", "ada", "weather", SESSION] = kept

    await run(world, credentials_id=SESSION)

    _, _, request = world.executors.requests[0]
    assert request.credentials is not None
    assert (request.credentials.id, request.credentials.sealed) == (SESSION, {"api_key": "x"})
    with pytest.raises(DibopError, match="one of both"):
        await run(world, credentials_id=SESSION, credentials=kept.model_dump())


async def test_credentials_that_another_person_keeps_are_not_there(world: World) -> None:
    kept = commands.TestCredentials(id=SESSION, origin="https://api.example.com:443", kid="k")
    world.registry.kept["platform", "bob", "weather", SESSION] = kept

    with pytest.raises(DibopError, match="'ada' keeps no test credentials"):
        await run(world, credentials_id=SESSION)

    assert world.executors.requests == []


async def test_a_status_other_than_2xx_fails_with_its_reason(world: World) -> None:
    world.executors.replies["get_weather"] = reply(status_code=404)

    tested = (await run(world)).operations[0]

    assert (tested.outcome, tested.status_code) == ("fail", 404)
    assert tested.reason == "The external system answered 404; a test passes with 2xx."


async def test_a_response_that_breaks_its_schema_fails_with_the_places(world: World) -> None:
    errors = [SchemaError(f"/{number}", "is not a string") for number in range(50)]
    world.executors.replies["get_weather"] = reply(schema_valid=False, schema_errors=errors)

    tested = (await run(world)).operations[0]

    assert tested.outcome == "fail"
    assert "response_schema" in str(tested.reason)
    assert tested.schema_errors[0] == {"path": "/0", "problem": "is not a string"}
    assert len(tested.schema_errors) == 20


@pytest.mark.parametrize("valid", [True, None])
async def test_a_2xx_that_breaks_no_schema_passes_also_in_parts(world: World, valid: bool | None) -> None:
    parts = ResponseBody(id="x", size=3_000_000, sha256="0", chunks=6, inner_encoding="json")
    world.executors.replies["get_weather"] = reply(
        status_code=204, schema_valid=valid, response=None, response_encoding="chunks", response_body=parts
    )

    assert outcomes(await run(world))["get_weather"] == "pass"


async def test_an_error_fails_with_its_detail_and_its_document(world: World) -> None:
    world.executors.replies["get_weather"] = DibopError(
        "overloaded", "No executor answers on draft.v1.platform.weather.get_weather. Is it running?"
    )

    tested = (await run(world)).operations[0]

    assert tested.outcome == "fail"
    assert tested.reason is not None
    assert tested.reason.startswith("No executor answers")
    assert tested.error is not None
    assert tested.error["type"] == "urn:dibop:error:overloaded"


async def test_every_run_leaves_evidence_an_event_and_an_audit_entry(world: World) -> None:
    report = await run(world)

    assert (report.state, report.passed, report.failed, report.skipped) == ("passed", 1, 0, 1)
    (evidence,) = world.store.evidence
    assert (evidence.operation, evidence.outcome, evidence.actor) == ("get_weather", "pass", "ada")
    assert evidence.run_id == report.run_id
    (event,) = world.store.told("test_completed")
    assert event.subject == "evt.v1.platform.connector.weather.test_completed"
    assert (event.id, event.data["state"]) == (report.run_id, "passed")
    assert event.data["operations"] == {"get_weather": "pass", "create_report": "skip"}
    (audit,) = world.store.audit
    assert (audit.enterprise, audit.entry.action, audit.entry.actor) == ("platform", "test.run", "ada")
    assert audit.entry.details["passed"] == 1


async def test_each_step_is_told_as_it_begins_and_ends(world: World) -> None:
    report = await run(world)

    told = world.progress.told
    assert [event.data["seq"] for event in told] == list(range(1, len(told) + 1))
    assert {event.data["run_id"] for event in told} == {report.run_id}
    assert [(event.data["step"]["operation"], event.data["step"]["outcome"]) for event in told] == [
        ("create_report", "skip"),
        (None, None),
        (None, "pass"),
        (None, "pass"),
        ("get_weather", None),
        ("get_weather", "pass"),
    ]
    assert told[-1].subject == "evt.v1.platform.connector.weather.test_progressed"
    assert told[-1].id == f"{report.run_id}/6"
    assert "exchange" not in told[-1].data["step"]


async def test_connectivity_and_authentication_come_first(world: World) -> None:
    report = await run(world)

    connectivity, authentication, *_ = report.steps
    assert (connectivity.kind, connectivity.outcome, connectivity.duration_ms) == ("connectivity", "pass", 6.0)
    assert [(part.name, part.outcome, part.duration_ms) for part in connectivity.parts] == [
        ("dns", "pass", 1.5),
        ("tcp", "pass", 1.5),
        ("tls", "pass", 1.5),
        ("http", "pass", 1.5),
    ]
    assert (authentication.kind, authentication.outcome) == ("authentication", "pass")
    (asked,) = world.executors.probes
    assert (asked.owner, asked.slug, asked.digest) == ("platform", "weather", report.digest)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (probed("offline", dns=("fail", "No such host."), tcp=("skip", "Later.")), "dns failed. No such host."),
        (probed("offline", tls=("fail", "Expired."), auth=("skip", "Later.")), "tls failed. Expired."),
        (probed("timeout", http=("fail", "No answer in 10 s.")), "http failed. No answer in 10 s."),
    ],
)
async def test_what_cannot_be_reached_is_not_tried(world: World, found: commands.Probed, why: str) -> None:
    world.executors.probed = found

    report = await run(world)

    assert (report.state, report.steps[0].outcome, report.skipped) == ("failed", "fail", 2)
    assert report.operations[0].reason == f"Skipped: the external system cannot be reached, {why}"
    assert world.executors.requests == []
    assert world.store.evidence == []


async def test_a_system_that_answers_with_trouble_is_tried_all_the_same(world: World) -> None:
    world.executors.probed = probed("offline", http=("fail", "The external system answered 500."))

    report = await run(world)

    assert (report.state, report.steps[0].reason) == ("failed", "http: The external system answered 500.")
    assert report.operations[0].outcome == "pass"


async def test_refused_credentials_fail_a_run_whose_operations_need_none(world: World) -> None:
    world.executors.probed = probed("auth_error", auth=("fail", "It answered 401."))

    report = await run(world)

    assert (report.state, report.steps[1].reason) == ("failed", "It answered 401.")
    assert report.operations[0].outcome == "pass"


@pytest.mark.parametrize(("code", "outcome"), [("overloaded", "skip"), ("connection-required", "fail")])
async def test_without_a_probe_the_operations_are_tried(world: World, code: Any, outcome: str) -> None:
    world.executors.probed = DibopError(code, "Nothing was sent.")

    report = await run(world)

    connectivity, authentication, operation, _ = report.steps
    assert (connectivity.outcome, connectivity.reason) == ("skip", "Nothing was sent.")
    assert (authentication.outcome, authentication.reason) == (outcome, "Nothing was sent.")
    assert operation.outcome == "pass"


async def test_what_an_operation_sent_and_got_is_shown_with_it_alone(world: World) -> None:
    got = RecordedResponse(200, [("content-type", "application/json")], RecordedBody("json", "{}", 2))
    world.executors.replies["get_weather"] = reply(exchange=Exchange(SENT, got))

    report = await run(world)

    assert report.operations[0].exchange is None
    (step,) = (await shown(world, report.run_id, "get_weather")).steps
    assert step.exchange is not None
    assert step.exchange.request.url == SENT.url
    assert step.exchange.response is not None
    assert step.exchange.response.body == commands.RecordedBody(encoding="json", text="{}", size=2)
    with pytest.raises(DibopError, match="no step for operation 'get_wether'"):
        await shown(world, report.run_id, "get_wether")


async def test_what_was_sent_is_kept_also_where_nothing_came_back(world: World) -> None:
    error = DibopError(
        "upstream-timeout", "No answer.", exchange={"request": {"method": "GET", "url": "x", "headers": []}}
    )
    world.executors.replies["get_weather"] = error

    report = await run(world)

    (step,) = (await shown(world, report.run_id, "get_weather")).steps
    assert step.error is not None
    assert "exchange" not in step.error
    assert step.exchange is not None
    assert (step.exchange.request.url, step.exchange.response) == ("x", None)


async def test_a_run_keeps_no_more_bodies_than_fit(world: World) -> None:
    body = RecordedBody("text", "x" * 1_000_000, 1_000_000)
    more = [{"operation": f"get_{n}", "description": "x", "method": "GET", "path": f"/{n}"} for n in range(10)]
    world.registry.save(edited(api_key(), {"/operations": more}))
    for each in more:
        world.executors.replies[each["operation"]] = reply(exchange=Exchange(SENT, RecordedResponse(200, [], body)))

    report = await run(world)

    kept = [world.runs.exchanges[report.run_id, step.number].response for step in report.operations]
    sizes = [(each.body.size, each.body.text is None, each.body.truncated) for each in kept if each and each.body]
    assert sorted(sizes) == [(1_000_000, False, False)] * 8 + [(1_000_000, True, True)] * 2


async def test_a_person_has_one_run_of_a_connector_at_a_time(world: World) -> None:
    world.executors.held = asyncio.Event()
    runner = runner_of(world)
    first = await start(world, runner)

    with pytest.raises(DibopError, match=f"Your test run {first} of 'weather' goes on") as refused:
        await start(world, runner)
    assert refused.value.code == "conflict"
    others = await start_test(BOB, StartTest(slug="weather"), world.ports, runner)
    world.executors.held.set()

    for run_id in (first, others.run_id):
        assert (await ended(world, run_id)).state == "passed"
    assert (await ended(world, await start(world, runner))).state == "passed"


async def test_a_cancelled_run_skips_what_is_left_and_keeps_its_evidence(world: World) -> None:
    world.executors.held = asyncio.Event()
    runner = runner_of(world)
    await runner.start()
    run_id = await start(world, runner)
    await eventually(lambda: world.executors.requests)

    cancelled = await cancel_test(BOB, CancelTest(run_id=run_id), world.ports, runner)
    again = await cancel_test(BOB, CancelTest(run_id=run_id), world.ports, runner)

    assert (cancelled.state, cancelled.changed, again.changed) == ("cancelled", True, False)
    report = await shown(world, run_id)
    assert (report.state, report.reason, report.skipped) == ("cancelled", "The run was cancelled by bob.", 2)
    assert report.operations[0].outcome == "skip"
    (event,) = world.store.told("test_completed")
    assert event.data["state"] == "cancelled"
    (audit,) = world.store.audit
    assert (audit.entry.actor, audit.entry.details["ended_by"]) == ("ada", "bob")
    assert world.store.evidence == []
    await runner.stop()


async def test_a_run_that_another_process_ended_is_left(world: World) -> None:
    world.executors.held = asyncio.Event()
    here, there = runner_of(world), runner_of(world)
    await here.start()
    run_id = await start(world, here)
    await eventually(lambda: world.executors.requests)

    await cancel_test(BOB, CancelTest(run_id=run_id), world.ports, there)

    await eventually(lambda: world.executors.at_once == 0)
    assert (await shown(world, run_id)).state == "cancelled"
    await here.stop()


async def test_a_run_whose_process_is_gone_is_interrupted_by_another(world: World) -> None:
    world.executors.held = asyncio.Event()
    run_id = await start(world, runner_of(world))  # nobody lets it beat
    await eventually(lambda: world.executors.requests)
    other = runner_of(world)
    await other.start()

    report = await ended(world, run_id)

    assert (report.state, report.reason) == (
        "interrupted",
        "The publisher that was at the run is gone. Start it again.",
    )
    assert len(world.store.told("test_completed")) == 1
    await other.stop()


async def test_a_run_that_beats_is_not_interrupted(world: World) -> None:
    world.executors.held = asyncio.Event()
    here, other = runner_of(world), runner_of(world)
    await here.start()
    await other.start()
    run_id = await start(world, here)
    await eventually(lambda: world.runs.beats.get(run_id, 0) > 15)

    assert (await shown(world, run_id)).state == "running"
    await here.stop()
    report = await shown(world, run_id)
    assert (report.state, report.reason) == (
        "interrupted",
        "The publisher stopped before the run had ended. Start it again.",
    )
    await other.stop()


async def test_a_run_that_breaks_has_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(world.executors, "execute", broken)

    assert (await run(world)).state == "interrupted"


async def test_runs_are_listed_newest_first_page_by_page(world: World) -> None:
    ids = [(await run(world)).run_id for _ in range(3)]

    first = await list_tests(caller(), ListTests(slug="weather", limit=2), world.ports)
    second = await list_tests(caller(), ListTests(slug="weather", before=first.next_before), world.ports)

    assert [row.run_id for row in (*first.runs, *second.runs)] == ids[::-1]
    assert second.next_before is None
    assert (await list_tests(caller("acme"), ListTests(slug="weather"), world.ports)).runs == []
    with pytest.raises(DibopError, match="There is no test run"):
        await show_test(caller("acme"), ShowTest(run_id=ids[0]), world.ports)


async def test_an_edited_operation_gets_evidence_of_its_own(world: World) -> None:
    await run(world)
    world.registry.save(edited(api_key(), {"/operations/0/path": "/v2/{city}"}))
    await run(world)

    first, second = world.store.evidence
    assert first.operation_digest != second.operation_digest


async def test_few_operations_run_at_once(world: World) -> None:
    more = [{"operation": f"get_{n}", "description": "x", "method": "GET", "path": f"/{n}"} for n in range(20)]
    world.registry.save(edited(api_key(), {"/operations": more}))

    report = await run(world)

    assert [tested.operation for tested in report.operations] == [each["operation"] for each in more]
    assert world.executors.most_at_once == CONCURRENT_OPERATIONS


async def test_an_operation_gets_no_more_time_than_the_run_has(world: World) -> None:
    await run(world, seconds=7.0)

    assert 0 < world.executors.deadlines[0] <= 7.0


async def test_what_the_time_does_not_reach_fails_without_evidence(world: World) -> None:
    report = await run(world, seconds=0.0)

    assert outcomes(report)["get_weather"] == "fail"
    assert "ran out" in str(report.operations[0].reason)
    assert world.executors.requests == []
    assert world.store.evidence == []


async def test_one_run_tests_a_thousand_operations_and_names_the_rest(world: World) -> None:
    more = [{"operation": f"get_{n}", "description": "x", "method": "GET", "path": f"/{n}"} for n in range(1003)]
    world.registry.save(edited(api_key(), {"/operations": more}))

    report = await run(world)

    skipped = [tested for tested in report.operations if tested.outcome == "skip"]
    assert [tested.operation for tested in skipped] == ["get_1000", "get_1001", "get_1002"]
    assert skipped[0].reason == "One run tests 1000 operations; name this one in a further run."
