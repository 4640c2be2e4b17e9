"""`dibop connector deprecate|unpublish|retire|rollback`: what is asked for, and what is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from dibop import admin
from dibop.cli import runner
from dibop.cli.main import app
from dibop.client import Client
from shared.contracts.commands import Message, Moved

MOVED = {
    "slug": "crm",
    "owner": "platform",
    "state": "deprecated",
    "versions": ["1.0.0", "1.1.0"],
    "successor": "2.0.0",
    "date": "2030-01-31",
    "connector_state": "published",
    "changed": True,
}
PUBLISHED = {
    "slug": "crm",
    "owner": "platform",
    "scope": "catalogue",
    "version": "1.2.0",
    "digest": "sha256:1",
    "published_at": "2026-01-31T09:05:00.123Z",
    "changed": True,
}


class Asked:
    """Stands where a client of the bus does, and answers every command."""

    enterprise = "acme"

    def __init__(self, **changes: Any) -> None:
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self._changes = changes

    async def command(
        self, plane: str, enterprise: str, noun: str, verb: str, body: Message, reply: type[Message], **_: float
    ) -> Message:
        self.sent.append((enterprise, f"{plane}.{noun}.{verb}", body.model_dump(mode="json", exclude_none=True)))
        answer = MOVED if reply is Moved else PUBLISHED
        return reply.model_validate({**answer, **self._changes})


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, **changes: Any) -> tuple[Asked, str]:
    asked = Asked(**changes)

    async def owner_of(_client: Client, _slug: str) -> str:
        return "acme"

    monkeypatch.setattr(admin, "owner_of", owner_of)
    monkeypatch.setattr(runner, "with_client", lambda _home, work: asyncio.run(work(asked)))
    result = CliRunner().invoke(app, ["connector", *arguments])
    assert result.exit_code == 0, result.output
    return asked, result.stdout


def test_a_deprecation_names_version_successor_and_date(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, told = run(
        monkeypatch, "deprecate", "crm", "1.0.0", "--successor", "2.0.0", "--date", "2030-01-31", "--notes", "Slow."
    )

    assert asked.sent == [
        (
            "acme",
            "publisher.connector.deprecate",
            {"slug": "crm", "version": "1.0.0", "successor": "2.0.0", "date": "2030-01-31", "notes": "Slow."},
        )
    ]
    assert told.strip() == "crm 1.0.0, 1.1.0: deprecated; the connector is published"


@pytest.mark.parametrize("verb", ["unpublish", "retire"])
def test_without_a_version_the_whole_connector_is_meant(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    asked, _ = run(monkeypatch, verb, "crm", "--owner", "platform")

    assert asked.sent == [("platform", f"publisher.connector.{verb}", {"slug": "crm", "notes": ""})]


def test_what_was_so_already_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = run(monkeypatch, "unpublish", "crm", changed=False, versions=[], connector_state="unpublished")

    assert told.strip() == "unchanged: crm is so already; the connector is unpublished"


def test_programs_get_the_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = run(monkeypatch, "retire", "crm", "1.0.0", "--json")

    assert json.loads(told) == MOVED


def test_a_rollback_tells_version_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, told = run(monkeypatch, "rollback", "crm", "1.0.0", "--bump", "minor")

    assert asked.sent[0][1:] == (
        "publisher.connector.rollback",
        {"slug": "crm", "version": "1.0.0", "notes": "", "bump": "minor"},
    )
    assert told.strip() == "published crm 1.2.0 with the content of 1.0.0, sha256:1"


def test_a_rollback_to_what_is_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = run(monkeypatch, "rollback", "crm", "1.0.0", changed=False)

    assert told.strip() == "unchanged: crm 1.2.0 has the content of 1.0.0 already"
