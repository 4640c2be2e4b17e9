"""Test runs of drafts through a real executor, as they end with external systems of every kind."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from shared.security.principals import Role
from tests.integration.tenants.test_commands import stranger
from tests.integration.tenants.world import API_KEY, SECRET, World
from tests.support.connectors import document, operation
from tests.support.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLUG = "shop"
NOWHERE = "http://nowhere.invalid"


class Drafted:
    """A draft of an enterprise of its own, and its runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.enterprise = stranger()
        self.token = world.token(self.enterprise, Role.ENTERPRISE_ADMIN_SDK)

    async def run(self, *operations: dict[str, Any], credentials: Any = None, **changes: Any) -> dict[str, Any]:
        command = await self.saved(*operations, **changes) | ({"credentials": credentials} if credentials else {})
        run: dict[str, Any] = await self.world.tested(self.enterprise, command, self.token)
        return run

    async def saved(self, *operations: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The command that tests the draft."""
        made = document(
            SLUG,
            operations=list(operations),
            resilience={"rate_limit_per_minute": 0, "max_retries": 0, "timeout_seconds": 2},
            **{"base_url": self.world.upstream, "auth_type": "none", "credential_schema": None, **changes},
        )
        await self.world.must("registry", self.enterprise, "draft.save", {"slug": SLUG, "document": made}, self.token)
        return {"slug": SLUG, "timeout": 0.5}

    async def exchange(self, run: dict[str, Any], name: str) -> Any:
        _, shown = await self.world.asked(
            "publisher", self.enterprise, "test.show", {"run_id": run["run_id"], "operation": name}, self.token
        )
        return shown["steps"][0]["exchange"]


@pytest.fixture
def draft(world: World) -> Drafted:
    return Drafted(world)


def get(name: str, path: str, **changes: Any) -> dict[str, Any]:
    return operation(name, path=path, sample={"q": "x"}, **changes)


def outcomes(run: dict[str, Any]) -> dict[str, str]:
    return {step["operation"] or step["kind"]: step["outcome"] for step in run["steps"]}


async def test_each_operation_ends_by_its_status_its_schema_and_its_time(draft: Drafted) -> None:
    run = await draft.run(
        get("good", "/json"),
        get("refused", "/status/403"),
        get("other", "/json", response_schema={"type": "object", "properties": {"ok": {"type": "string"}}}),
        get("late", "/never"),
        get("write", "/echo", method="POST"),
    )

    assert (run["state"], run["passed"], run["failed"], run["skipped"]) == ("failed", 1, 3, 1)
    assert outcomes(run) == {
        "connectivity": "pass",
        "authentication": "skip",
        "good": "pass",
        "refused": "fail",
        "other": "fail",
        "late": "fail",
        "write": "skip",
    }
    parts = {part["name"]: part for part in run["steps"][0]["parts"]}
    assert {name: part["outcome"] for name, part in parts.items()} == {
        "dns": "skip",
        "tcp": "pass",
        "tls": "skip",
        "http": "pass",
    }
    assert parts["tcp"]["duration_ms"] >= 0
    _, _, _, refused, other, late, _ = run["steps"]
    assert refused["status_code"] == 403
    assert [error["path"] for error in other["schema_errors"]] == ["/ok"]
    assert late["error"]["type"] == "urn:dibop:error:upstream-timeout"
    assert (await draft.exchange(run, "late"))["request"]["url"].endswith("/never?q=x")
    kept = await draft.exchange(run, "other")
    assert kept["response"]["body"]["text"] == '{"ok":true}'


async def test_a_name_that_does_not_exist_ends_the_run_there(draft: Drafted) -> None:
    run = await draft.run(get("good", "/json"), base_url=NOWHERE)

    assert run["state"] == "failed"
    assert outcomes(run) == {"connectivity": "fail", "authentication": "skip", "good": "skip"}
    assert [part["outcome"] for part in run["steps"][0]["parts"]] == ["fail", "skip", "skip", "skip"]
    assert run["steps"][2]["reason"].startswith("Skipped: the external system cannot be reached, dns failed.")


async def test_a_system_without_tls_ends_the_run_there(draft: Drafted) -> None:
    run = await draft.run(get("good", "/json"), base_url=draft.world.upstream.replace("http:", "https:"))

    assert outcomes(run) == {"connectivity": "fail", "authentication": "skip", "good": "skip"}
    assert {part["name"]: part["outcome"] for part in run["steps"][0]["parts"]}["tls"] == "fail"


async def test_refused_credentials_are_told_and_kept_out_of_what_is_kept(draft: Drafted) -> None:
    sealed = draft.world.credentials("test", SLUG, str(uuid.uuid4()), draft.enterprise)
    run = await draft.run(
        get("look", "/status/401", health_check=True),
        get("echo", "/echo"),
        credentials={name: value for name, value in sealed.items() if name != "connector"},
        auth_type="api_key",
        credential_schema={"api_key": API_KEY},
    )

    assert (run["state"], outcomes(run)) == (
        "failed",
        {"connectivity": "pass", "authentication": "fail", "look": "fail", "echo": "pass"},
    )
    assert "401" in run["steps"][1]["reason"]
    kept = await draft.exchange(run, "echo")
    assert ["X-API-Key", "[redacted]"] in kept["request"]["headers"]
    assert "[redacted]" in kept["response"]["body"]["text"]
    assert SECRET not in str(kept)


async def test_a_run_is_cancelled_in_the_middle(draft: Drafted) -> None:
    command = await draft.saved(get("good", "/json"), get("late", "/never"))
    code, started = await draft.world.asked(
        "publisher", draft.enterprise, "test.start", {**command, "timeout": 60}, draft.token
    )
    assert code == "ok"
    wanted = {"run_id": started["run_id"]}

    async def good_is_done() -> bool:
        _, run = await draft.world.asked("publisher", draft.enterprise, "test.show", wanted, draft.token)
        return outcomes(run)["good"] == "pass"

    await eventually(good_is_done)
    await draft.world.must("publisher", draft.enterprise, "test.cancel", wanted, draft.token)

    _, run = await draft.world.asked("publisher", draft.enterprise, "test.show", wanted, draft.token)
    assert (run["state"], outcomes(run)["good"], outcomes(run)["late"]) == ("cancelled", "pass", "skip")
    assert run["reason"] == "The run was cancelled by eve."
