"""An operator's view of a circuit from its opening to its reset, by the command line alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.polling import wait_until
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(120)
SLUG = "breakable"


def breakable(url: str) -> dict[str, Any]:
    return {
        "name": "Breakable",
        "slug": SLUG,
        "type": "General",
        "description": "Fails when it is told to.",
        "base_url": url,
        "auth_type": "api_key",
        "credential_schema": {"api_key": {"label": "API key", "type": "password", "required": True, "sensitive": True}},
        "header_name": "X-API-Key",
        "operations": [
            {
                "operation": "run",
                "description": "Answer as the upstream was told.",
                "method": "GET",
                "path": f"/mode/{SLUG}",
                "parameters": [],
                "response_schema": {},
            }
        ],
        "resilience": {"max_retries": 0, "circuit_breaker_threshold": 2, "circuit_breaker_recovery_seconds": 3600},
    }


def has_health(stack: Stack, state: str, cause: str) -> bool:
    (connection,) = stack.json("connection", "list", SLUG)
    return (connection["health"]["state"], connection["health"]["cause"]) == (state, cause)


def test_a_circuit_is_seen_open_and_reset(stack: Stack, fault_url: str, tmp_path: Path) -> None:
    stack.publish(breakable(fault_url), directory=tmp_path, credentials={"api_key": "a-key-of-some-length"})
    httpx.get(f"{fault_url}/__mode/{SLUG}", params={"status": 500}).raise_for_status()
    for _ in range(2):
        assert stack.json("exec", SLUG, "run")["status_code"] == 500
    assert "circuit-open" in stack.run("exec", SLUG, "run", expect=1).stderr

    (circuit,) = stack.json("circuit", "show", SLUG)["circuits"]
    assert (circuit["state"], circuit["cause"], circuit["threshold"]) == ("open", "status 500", 2)
    assert [(limit["of"], limit["used"]) for limit in circuit["limits"]] == [("connection", 2)]
    assert "status 500" in stack.run("circuit", "show", SLUG, "--operation", "run").stdout
    wait_until(lambda: has_health(stack, "degraded", "status 500"), 30)

    httpx.get(f"{fault_url}/__mode/{SLUG}", params={"status": 200}).raise_for_status()
    reset = stack.run("circuit", "reset", SLUG)

    assert "it was open (status 500)" in reset.stdout
    assert reset.stderr == "", "the audit entry was written at once"
    assert stack.json("circuit", "show", SLUG)["circuits"][0]["state"] == "closed"
    assert stack.json("exec", SLUG, "run")["status_code"] == 200
    wait_until(lambda: has_health(stack, "healthy", ""), 30)
    (entry,) = stack.json("audit", "list", "--noun", "circuit")["entries"]
    assert (entry["action"], entry["identifier"], entry["actor"]) == (
        "circuit.reset",
        f"{SLUG}.default",
        "local-admin",
    )
    assert entry["details"]["before"][0]["state"] == "open"
    assert "healthy" in stack.run("connection", "list", SLUG).stdout


def test_unknown_names_are_refused_with_a_hint(stack: Stack) -> None:
    assert "unknown-connector" in stack.run("circuit", "show", "nowhere", expect=1).stderr
