"""NATS users on a running stack: another enterprise's client, made by the command line, and what it gets to see."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from dibop.client import Client
from dibop.errors import NotAllowedError, NotFoundError
from tests.support.polling import eventually
from tests.support.stack import Stack


def add_client(stack: Stack, enterprise: str, directory: Path, *arguments: str) -> Client:
    made = stack.json("nats", "add-client", enterprise, "--out", str(directory / "client.creds"), *arguments)
    context: dict[str, Any] = json.loads((stack.home / "context.json").read_text())
    return Client.connect(
        directory,
        nats_url=context["nats_url"],
        enterprise=enterprise,
        nats_creds=made["nats_creds"],
        nats_inbox_prefix=made["nats_inbox_prefix"],
    )


async def test_a_new_enterprises_client_is_let_in_at_once_and_speaks_for_it_alone(stack: Stack, tmp_path: Path) -> None:
    async def let_in() -> bool:
        async with client:
            with pytest.raises(NotFoundError, match="no-such"):
                await client.execute("no-such", "get")
            subject = "exec.v1.local.no-such.get"
            with pytest.raises(NotAllowedError, match="NATS refuses this user the subject"):
                await client.bus.request(subject, b"{}", timeout=0.5)
        return True

    client = add_client(stack, f"e{uuid.uuid4().hex[:8]}", tmp_path)

    assert await let_in()


async def test_a_client_hears_of_the_platform_only_what_is_new_in_the_catalogue(
    stack: Stack, httpbin_url: str, tmp_path: Path
) -> None:
    slug = f"news-{uuid.uuid4().hex[:8]}"
    document = {
        "name": slug,
        "slug": slug,
        "type": "General",
        "description": "News.",
        "base_url": httpbin_url,
        "auth_type": "none",
        "operations": [
            {"operation": "get", "description": "Get.", "method": "GET", "path": "/get", "response_schema": {}}
        ],
    }
    heard: list[str] = []

    async with add_client(stack, "hearer", tmp_path) as client, client.events() as events:
        stack.publish(document, directory=tmp_path)

        async def published() -> bool:
            event = await events.next(timeout=10)
            heard.append(event.what)
            return event.what == "version_published" and event.identifier == slug

        await eventually(published, 30)

    assert "draft_saved" not in heard
    assert "test_completed" not in heard


def test_consumers_of_events_are_made_listed_and_deleted(stack: Stack) -> None:
    made = stack.json("events", "consumer", "create", "ledger", "connection.>")
    listed = stack.json("events", "consumer", "list")
    stack.run("events", "consumer", "delete", "ledger")

    assert made["subjects"] == ["evt.v1.local.connection.>"]
    assert [each["consumer"] for each in listed] == ["local:ledger"]
    assert stack.json("events", "consumer", "list") == []


def test_the_doctor_looks_at_the_users_credentials(stack: Stack) -> None:
    checks = {check["name"]: check for check in stack.json("doctor")}

    assert checks["nats user"]["ok"]
    assert "_INBOX.local.admin" in checks["nats user"]["detail"]
