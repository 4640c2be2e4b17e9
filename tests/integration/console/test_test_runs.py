"""Test runs over HTTP: begun, followed as they go and from where a stream broke, looked at, cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from shared.security.principals import Role
from tests.integration.console.conftest import Person, SignedIn, Stage
from tests.integration.console.test_connectors import SECRET, echoing
from tests.integration.console.test_sessions import problem
from tests.integration.console.test_streams import told
from tests.support.connectors import operation

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ended(client: httpx.AsyncClient, slug: str, run_id: str) -> dict[str, Any]:
    """The run, once it has ended."""
    async with asyncio.timeout(60):
        async for name, _, _ in told(client, f"/connectors/{slug}/tests/{run_id}/events"):
            if name == "done":
                break
    run: dict[str, Any] = (await client.get(f"/connectors/{slug}/tests/{run_id}")).json()
    return run


async def test_a_run_is_followed_and_told_anew(stage: Stage, signed_in: SignedIn, slug: str) -> None:
    ann = await signed_in()
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug))
    kept = await ann.post(f"/connectors/{slug}/test-credentials", json={"credentials": {"api_key": SECRET}})
    started = await ann.post(f"/connectors/{slug}/tests", json={"credentials_id": kept.json()["id"]})
    assert started.status_code == 202, started.text
    run_id = started.json()["run_id"]
    run = await ended(ann, slug, run_id)
    assert run["state"] == "passed", run

    path = f"/connectors/{slug}/tests/{run_id}/events"
    anew = [each async for each in told(ann, path)]
    assert [name for name, _, _ in anew] == ["progress"] * len(run["steps"]) + ["done"]
    assert [data["step"]["kind"] for _, data, _ in anew[:-1]] == ["connectivity", "authentication", "operation"]
    rest = [each async for each in told(ann, path, **{"Last-Event-ID": anew[-2][2]})]
    assert [name for name, _, _ in rest] == ["done"]

    step = (await ann.get(f"/connectors/{slug}/tests/{run_id}", params={"operation": "look"})).json()["steps"][0]
    assert step["exchange"]["response"]["status_code"] == 200
    assert SECRET not in str(step)
    listed = (await ann.get(f"/connectors/{slug}/tests")).json()["runs"]
    assert [row["run_id"] for row in listed] == [run_id]
    problem(await ann.get(f"/connectors/other/tests/{run_id}"), 404, "not-found")


async def test_a_run_is_cancelled_and_nobody_elses_to_see(stage: Stage, person: Person, slug: str) -> None:
    ann, viewer = person(), person("vic", "umbrella", Role.VIEWER)
    slow = [operation("look", path="/never", sample={"q": "x"}, response_schema={})]
    await ann.put(f"/connectors/{slug}/draft", json=echoing(stage, slug, operations=slow))
    kept = await ann.post(f"/connectors/{slug}/test-credentials", json={"credentials": {"api_key": SECRET}})
    started = await ann.post(f"/connectors/{slug}/tests", json={"credentials_id": kept.json()["id"], "timeout": 30})
    path = f"/connectors/{slug}/tests/{started.json()['run_id']}"
    problem(await viewer.get(path), 403, "forbidden")
    problem(await viewer.get(f"{path}/events"), 403, "forbidden")
    problem(await viewer.post(f"/connectors/{slug}/tests", json={}), 403, "forbidden")
    cancelled = await ann.post(f"{path}/cancel")
    assert (cancelled.json()["state"], cancelled.json()["changed"]) == ("cancelled", True)
    assert (await ended(ann, slug, started.json()["run_id"]))["state"] == "cancelled"
