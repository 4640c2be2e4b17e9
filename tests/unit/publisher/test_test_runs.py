"""Test runs of drafts: what is run, what it gives, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from services.publisher.handlers.testing import CONCURRENT_OPERATIONS, plan_test, run_test
from shared.contracts import commands
from shared.contracts.commands import PlanTest, RunTest
from shared.contracts.errors import DibopError
from shared.contracts.execution import ResponseBody, SchemaError
from tests.unit.publisher.documents import api_key, edited
from tests.unit.publisher.fakes import VIEWER, World, caller, reply

SESSION = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.fixture
def world() -> World:
    world = World()
    world.registry.save(api_key())
    return world


async def run(world: World, seconds: float = 300.0, **command: Any) -> commands.TestReport:
    request = RunTest.model_validate({"slug": "weather", **command})
    return await run_test(caller(), request, world.ports, test_seconds=seconds)


def outcomes(report: commands.TestReport) -> dict[str, str]:
    return {tested.operation: tested.outcome for tested in report.operations}


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
        run_test(caller("acme", VIEWER), RunTest(slug="weather"), world.ports, test_seconds=1),
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

    (evidence,) = world.store.evidence
    assert (evidence.operation, evidence.outcome, evidence.actor) == ("get_weather", "pass", "ada")
    assert evidence.run_id == report.run_id
    (event,) = world.store.told("test_completed")
    assert event.subject == "evt.v1.platform.connector.weather.test_completed"
    assert event.data["operations"] == {"get_weather": "pass", "create_report": "skip"}
    (audit,) = world.store.audit
    assert (audit.enterprise, audit.entry.action, audit.entry.actor) == ("platform", "test.run", "ada")
    assert audit.entry.details["passed"] == 1


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
