"""The audit trail while the registry is away: what is repeated, for how long, and what is kept of what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.errors import NoRespondersError
from structlog.testing import capture_logs

from services.executor import audit
from services.executor.audit import AuditTrail
from shared.contracts.commands import AppendAudit
from shared.contracts.errors import DibopError
from shared.messaging.replies import problem_bytes
from tests.support.polling import eventually

ENTRY = AppendAudit(
    id="e-1", at="2026-01-01T00:00:00.000Z", actor="ada", action="circuit.reset", noun="circuit", identifier="shop"
)
LOST = "An audit entry could not be written; this line is all that is kept of it"


class Answer:
    def __init__(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.data = data
        self.headers = headers


class Registry:
    """Answers in the place of a NATS connection, after so many `failures`; -1 is for ever."""

    max_payload = 1_048_576

    def __init__(self) -> None:
        self.failures = 0
        self.error: Exception = NoRespondersError()
        self.answer = Answer(b'{"appended":true}')
        self.tokens: list[str] = []
        self.ids: list[bytes] = []

    async def request(self, subject: str, body: bytes, *, headers: dict[str, str], **_: Any) -> Answer:
        self.tokens.append(headers["Authorization"])
        if self.failures:
            self.failures -= 1
            raise self.error
        self.ids.append(body)
        return self.answer


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def trail(registry: Registry, tmp_path: Path) -> AsyncIterator[AuditTrail]:
    token_file = tmp_path / "token"
    token_file.write_text("first\n")
    made = AuditTrail(registry, token_file)  # type: ignore[arg-type]  # all that is used of the connection
    yield made
    await made.stop()


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def lost(logs: list[Any]) -> list[tuple[str, str]]:
    """Which entries are given up, and why."""
    return [(line["entry"]["id"], line["reason"]) for line in logs if line["event"] == LOST]


def entry(identifier: str) -> AppendAudit:
    return ENTRY.model_copy(update={"id": identifier})


async def test_an_entry_that_is_taken_at_once_is_written(trail: AuditTrail, registry: Registry) -> None:
    assert await trail.write("acme", ENTRY) == "written"
    assert len(registry.ids) == 1


async def test_without_a_token_nothing_is_written(registry: Registry) -> None:
    assert await AuditTrail(registry, None).write("acme", ENTRY) == "off"  # type: ignore[arg-type]
    assert registry.tokens == []


async def test_what_the_registry_does_not_take_is_repeated_until_it_does(
    trail: AuditTrail, registry: Registry, logs: list[Any], tmp_path: Path
) -> None:
    registry.failures = 2
    assert await trail.write("acme", ENTRY) == "waiting"
    (tmp_path / "token").write_text("renewed")
    await eventually(lambda: len(registry.ids) == 1)
    assert (registry.tokens[0], registry.tokens[-1]) == ("Bearer first", "Bearer renewed")
    assert lost(logs) == []


async def test_a_token_file_that_is_missing_for_a_moment_is_waited_for(
    trail: AuditTrail, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "token").rename(tmp_path / "moved")
    assert await trail.write("acme", ENTRY) == "waiting"
    (tmp_path / "moved").rename(tmp_path / "token")
    await eventually(lambda: len(registry.ids) == 1)


async def test_what_is_not_taken_for_too_long_is_given_up_and_the_log_keeps_it(
    trail: AuditTrail, registry: Registry, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "KEPT_SECONDS", 0.3)
    registry.failures = -1
    assert await trail.write("acme", ENTRY) == "waiting"
    await eventually(lambda: lost(logs))
    (line,) = [line for line in logs if line["event"] == LOST]
    assert (line["enterprise"], line["entry"]) == ("acme", ENTRY.model_dump())
    assert "No registry answers" in line["reason"]
    registry.failures = 0
    assert await trail.write("acme", entry("e-2")) == "written"


async def test_one_that_is_refused_is_given_up_with_the_reason(
    trail: AuditTrail, registry: Registry, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "KEPT_SECONDS", 0.3)
    body, headers = problem_bytes(DibopError("forbidden", "This token may not write here."), "r-1")
    registry.answer = Answer(body, headers)
    assert await trail.write("acme", ENTRY) == "waiting"
    await eventually(lambda: [line for line in lost(logs) if "This token may not write here" in line[1]])


async def test_only_so_many_wait_and_what_is_one_too_many_is_given_up_at_once(
    trail: AuditTrail, registry: Registry, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_MOST_WAITING", 2)
    registry.failures = -1
    for number in range(3):
        await trail.write("acme", entry(f"e-{number}"))
    assert lost(logs) == [("e-2", "too many wait already")]


async def test_a_worker_that_stops_gives_up_what_waits(trail: AuditTrail, registry: Registry, logs: list[Any]) -> None:
    registry.failures = -1
    for number in range(2):
        await trail.write("acme", entry(f"e-{number}"))
    await asyncio.sleep(0)
    await trail.stop()
    assert sorted(lost(logs)) == [("e-0", "this worker stops"), ("e-1", "this worker stops")]


async def test_an_answer_that_nobody_understands_is_no_answer(
    trail: AuditTrail, registry: Registry, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "KEPT_SECONDS", 0.1)
    registry.answer = Answer(b"what?")
    assert await trail.write("acme", ENTRY) == "waiting"
    await eventually(lambda: lost(logs))
