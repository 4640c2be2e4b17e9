"""Operations over the bus: requests as they reach the external system, and results as they come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.executor.app import Executor
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import DraftExecutionRequest
from shared.contracts.projections import CatalogueVersion
from shared.security.principals import Role
from tests.integration.executor.world import Bus, get, query, read
from tests.support.fault_server import FaultServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

ECHO = get("echo", "/echo", query("q", required=True), query("units", default="metric"))


async def test_a_result_has_every_member_of_the_contract(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("status", "/json", response_schema={"type": "object", "required": ["ok"]}))
    reply = await bus.execute("shop", "status", headers={"Dibop-Request-Id": "r-7"})
    assert reply.pop("duration_ms") > 0
    assert reply.pop("attempts")[0].keys() == {"status_code", "duration_ms", "waited_ms"}
    assert reply.pop("headers")["content-type"] == "application/json"
    assert reply == {
        "request_id": "r-7",
        "connector": "shop",
        "version": "1.0.0",
        "operation": "status",
        "connection": None,
        "status_code": 200,
        "response": {"ok": True},
        "response_encoding": "json",
        "retry_stopped": None,
        "schema_valid": True,
        "schema_errors": [],
    }


async def test_an_empty_body_is_a_request_without_parameters(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("json"))
    assert read(await bus.raw(subjects.execute("acme", "shop", "json")))["status_code"] == 200


async def test_parameters_and_defaults_reach_the_external_system(
    bus: Bus, executor: Executor, upstream: FaultServer
) -> None:
    await bus.publish("shop", ECHO)
    reply = await bus.execute("shop", "echo", {"q": "London, UK & more"}, headers={"Accept-Language": "x"})
    assert reply["response"]["query"] == {"q": "London, UK & more", "units": "metric"}
    assert "accept-language" not in reply["response"]["headers"]
    assert upstream.sends("/echo") == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_every_method_goes_out_once(bus: Bus, executor: Executor, upstream: FaultServer, method: str) -> None:
    await bus.publish("shop", get("echo", method=method))
    assert (await bus.execute("shop", "echo"))["response"]["method"] == method
    assert len(upstream.arrivals) == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("json", '{"name":"a b","n":2}'), ("form", "name=a+b&n=2")],
)
async def test_bodies_reach_the_external_system(bus: Bus, executor: Executor, encoding: str, body: str) -> None:
    parameters = [{"name": "name", "location": "body"}, {"name": "n", "location": "body", "type": "integer"}]
    await bus.publish("shop", get("echo", "/echo", *parameters, method="POST", body_encoding=encoding))
    assert (await bus.execute("shop", "echo", {"name": "a b", "n": 2}))["response"]["body"] == body


@pytest.mark.parametrize(
    ("auth", "secrets", "values", "sent"),
    [
        ({"auth_type": "api_key"}, {"api_key": "k-123"}, {}, ("headers", "x-api-key", "k-123")),
        ({"auth_type": "api_key", "header_name": "X-Key", "key_prefix": "Key "}, {"api_key": "k-123"}, {},
         ("headers", "x-key", "Key k-123")),
        ({"auth_type": "api_key", "query_parameter": "appid"}, {"api_key": "k 1"}, {}, ("query", "appid", "k 1")),
        ({"auth_type": "basic"}, {"password": "p"}, {"username": "ada"},
         ("headers", "authorization", "Basic YWRhOnA=")),
        ({"auth_type": "bearer"}, {"token": "t"}, {}, ("headers", "authorization", "Bearer t")),
    ],
)  # fmt: skip
async def test_credentials_reach_the_external_system(
    bus: Bus,
    executor: Executor,
    auth: dict[str, Any],
    secrets: dict[str, str],
    values: dict[str, str],
    sent: tuple[str, str, str],
) -> None:
    await bus.publish("shop", get("echo"), **auth)
    await bus.connect("shop", secrets, values)
    reply = await bus.execute("shop", "echo")
    place, name, value = sent
    assert reply["response"][place][name] == value
    assert reply["connection"] == "default"


@pytest.mark.parametrize(("hidden", "told"), [(False, "Bearer a-long-token"), (True, "Bearer [redacted]")])
async def test_an_echoed_credential_is_taken_out_where_the_operator_wants_it(
    bus: Bus, start: Callable[..., Any], hidden: bool, told: str
) -> None:
    await start(hide_echoed_credentials=hidden)
    await bus.publish("shop", get("echo"), auth_type="bearer")
    await bus.connect("shop", {"token": "a-long-token"})

    reply = await bus.execute("shop", "echo")

    assert reply["response"]["headers"]["authorization"] == told


async def test_a_connection_is_chosen_by_name(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("echo"), auth_type="bearer")
    await bus.connect("shop", {"token": "one"})
    await bus.connect("shop", {"token": "two"}, name="north")
    reply = await bus.execute("shop", "echo", headers={"Dibop-Connection": "north"})
    assert (reply["connection"], reply["response"]["headers"]["authorization"]) == ("north", "Bearer two")


async def test_a_rotated_credential_is_taken_up_and_a_deleted_connection_is_gone(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("echo"), auth_type="bearer")
    await bus.connect("shop", {"token": "old"})
    await bus.execute("shop", "echo")
    await bus.connect("shop", {"token": "new"})

    async def sends_the_new_one() -> bool:
        reply = await bus.execute("shop", "echo")
        return bool(reply["response"]["headers"]["authorization"] == "Bearer new")

    await eventually(sends_the_new_one)
    await bus.disconnect("shop")

    async def is_gone() -> bool:
        message = await bus.raw(subjects.execute("acme", "shop", "echo"))
        return b"connection-required" in message.data

    await eventually(is_gone)


async def test_credentials_stay_with_their_host(bus: Bus, executor: Executor, upstream: FaultServer) -> None:
    await bus.publish("shop", get("echo"), auth_type="bearer")
    await bus.connect("shop", {"token": "t"}, origin="https://elsewhere.example:443")
    assert (await bus.refused("shop", "echo")).code == "credentials-rejected"
    assert upstream.arrivals == []


async def test_the_enterprises_own_connector_wins_and_others_do_not_see_it(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("echo", "/echo/platform"))
    await bus.publish("shop", get("echo", "/echo/own"), owner="acme")
    assert (await bus.execute("shop", "echo"))["response"]["path"] == "/echo/own"
    assert (await bus.execute("shop", "echo", enterprise="other"))["response"]["path"] == "/echo/platform"


async def test_versions_are_chosen_by_header_policy_and_state(bus: Bus, executor: Executor) -> None:
    first = await bus.store("shop", get("echo", "/echo/first"))
    second = await bus.store("shop", get("echo", "/echo/second"))
    third = await bus.store("shop", get("echo", "/echo/third"))
    await bus.enter(
        "shop",
        [
            CatalogueVersion("1.0.0", first, "published", ""),
            CatalogueVersion("1.1.0", second, "published", ""),
            CatalogueVersion("2.0.0", third, "unpublished", ""),
        ],
    )

    async def runs(**headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await bus.execute("shop", "echo", headers=named)
        return str(reply["version"])

    assert await runs() == "1.1.0"
    assert await runs(Dibop_Version="1.0.0") == "1.0.0"
    assert await runs(Dibop_Version="^1") == "1.1.0"
    assert await runs(Dibop_Version="2.0.0") == "2.0.0"
    await bus.connect("shop", name="pinned", policy="1.0.0")
    assert await runs(Dibop_Connection="pinned") == "1.0.0"


async def test_a_version_is_withdrawn_step_by_step(bus: Bus, executor: Executor) -> None:
    """Deprecated it runs for all, unpublished for connections and who names it, retired for nobody."""
    digest = await bus.store("shop", get("echo"))
    await bus.connect("shop", name="north")
    north, named = {"Dibop-Connection": "north"}, {"Dibop-Version": "1.0.0"}
    callers: list[dict[str, str]] = [{}, north, named, {"Dibop-Version": "^1"}, {**north, **named}]

    async def comes_to(state: str, *expected: str) -> None:
        await bus.enter("shop", [CatalogueVersion("1.0.0", digest, state, "")])  # type: ignore[arg-type]

        async def reached() -> bool:
            return [await _answer(bus, headers) for headers in callers] == list(expected)

        await eventually(reached)

    runs, gone = "1.0.0", "unknown-version"
    await comes_to("published", runs, runs, runs, runs, runs)
    await comes_to("deprecated", runs, runs, runs, runs, runs)
    await comes_to("unpublished", gone, runs, runs, runs, runs)
    await comes_to("retired", gone, gone, gone, gone, gone)
    refused = await bus.refused("shop", "echo", headers=named)
    assert (refused.code, "1.0.0 is retired" in refused.detail) == ("unknown-version", True)


async def _answer(bus: Bus, headers: dict[str, str]) -> str:
    """The version that ran, or the error's code."""
    try:
        return str((await bus.execute("shop", "echo", headers=headers))["version"])
    except DibopError as error:
        return error.code


async def test_what_was_just_written_runs_at_once(bus: Bus, executor: Executor) -> None:
    for number in range(20):
        slug = f"shop-{number}"
        await bus.publish(slug, get("echo"), auth_type="bearer")
        await bus.connect(slug, {"token": "t"})
        assert (await bus.execute(slug, "echo"))["status_code"] == 200


@pytest.mark.parametrize(
    ("slug", "operation", "headers", "code", "words"),
    [
        ("shopp", "echo", {}, "unknown-connector", "'shop'"),
        ("UPPER", "echo", {}, "unknown-connector", "UPPER"),
        ("shop", "ecko", {}, "unknown-operation", "'echo'"),
        ("shop", "echo", {"Dibop-Version": "1.0.1"}, "unknown-version", "1.0.0"),
        ("shop", "echo", {"Dibop-Connection": "nort"}, "unknown-connection", "'north'"),
    ],
)
async def test_unknown_names_are_refused_with_the_nearest(
    bus: Bus, executor: Executor, slug: str, operation: str, headers: dict[str, str], code: str, words: str
) -> None:
    await bus.publish("shop", get("echo"))
    await bus.connect("shop", name="north")
    error = await bus.refused(slug, operation, headers=headers)
    assert error.code == code
    assert words in error.detail


async def test_a_connection_is_required_where_the_connector_authenticates(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("echo"), auth_type="api_key")
    assert (await bus.refused("shop", "echo")).code == "connection-required"


async def test_a_draft_runs_with_test_credentials(bus: Bus, executor: Executor) -> None:
    digest = await bus.store("draft-shop", get("echo", "/echo", query("q")), auth_type="bearer")
    request = DraftExecutionRequest(
        "acme", digest, {"q": "x"}, credentials=bus.test_credentials("draft-shop", {"token": "t"})
    )
    subject = subjects.draft_execute("acme", "draft-shop", "echo")
    reply = read(await bus.raw(subject, msgspec.json.encode(request)))
    assert (reply["version"], reply["connection"]) == ("draft", None)
    assert reply["response"]["headers"]["authorization"] == "Bearer t"
    assert reply["response"]["query"] == {"q": "x"}


async def test_a_connections_credentials_are_none_for_a_test(bus: Bus, executor: Executor) -> None:
    digest = await bus.store("draft-shop", get("echo"), auth_type="bearer")
    credentials = bus.test_credentials("draft-shop", {"token": "t"}, owner="other")
    request = DraftExecutionRequest("acme", digest, credentials=credentials)
    message = await bus.raw(subjects.draft_execute("acme", "draft-shop", "echo"), msgspec.json.encode(request))
    assert b"credentials-rejected" in message.data


async def test_a_token_that_is_present_is_verified(bus: Bus, executor: Executor, tokens: Tokens) -> None:
    await bus.publish("shop", get("json"))
    good = {"Authorization": f"Bearer {tokens.issue('ada', 'acme', Role.SERVICE)}"}
    assert (await bus.execute("shop", "json", headers=good))["status_code"] == 200
    other = {"Authorization": f"Bearer {tokens.issue('ada', 'other', Role.SERVICE)}"}
    assert (await bus.refused("shop", "json", headers=other)).code == "forbidden"
    assert (await bus.refused("shop", "json", headers={"Authorization": "Bearer x"})).code == "unauthenticated"


async def test_addresses_that_no_operator_allowed_are_refused(
    bus: Bus, start: Callable[..., Any], upstream: FaultServer
) -> None:
    await start(egress_allow="")
    await bus.publish("shop", get("json"))
    error = await bus.refused("shop", "json")
    assert (error.code, error.outcome, error.attempts) == ("egress-denied", "not_sent", ())
    assert upstream.arrivals == []


async def test_a_worker_tells_by_the_micro_protocol_that_it_is_ready(bus: Bus, executor: Executor) -> None:
    await bus.publish("shop", get("json"))
    await bus.execute("shop", "json")
    info = msgspec.json.decode((await bus.raw("$SRV.INFO.dibop-executor")).data)
    assert {endpoint["subject"] for endpoint in info["endpoints"]} == {
        "exec.v1.*.*.*",
        "execas.v1.*.*.*",
        "draft.v1.*.*.*",
        "executor.v1.*.*.*",
    }
    assert info["metadata"]["pid"].isdigit()
    stats = msgspec.json.decode((await bus.raw("$SRV.STATS.dibop-executor")).data)
    assert stats["endpoints"][0]["data"]["results"] == 1
