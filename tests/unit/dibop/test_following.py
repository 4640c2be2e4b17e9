"""Following a test run: by its events, or by asking where they are not heard."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest

from dibop.cli.exchanges import print_exchange
from dibop.errors import NotAllowedError
from dibop.test_runs import TestRuns as Runs
from shared.contracts import commands as c
from shared.contracts.events import Event

RUN = "6f1f3a52-6f0f-4e0e-9f6e-0f4c8a5b7d11"
ROW: dict[str, Any] = {
    **dict.fromkeys(("digest", "actor", "started_at"), "x"),
    "run_id": RUN,
    "slug": "weather",
    "owner": "acme",
    "revision": 1,
}


def step(number: int, seq: int, outcome: Any = None, **more: Any) -> c.TestStep:
    return c.TestStep(number=number, kind="operation", operation=f"get_{number}", seq=seq, outcome=outcome, **more)


def run(state: c.TestState, *steps: c.TestStep) -> c.TestRun:
    return c.TestRun(**ROW, state=state, steps=list(steps))


class FakeClient:
    """Answers `test.show` with each of `shown` in turn, and tells `told`."""

    def __init__(self, shown: list[c.TestRun], told: list[Event] | None) -> None:
        self.shown = shown
        self._told = told
        self.asked = 0

    async def command(self, *_: Any, **__: Any) -> c.TestRun:
        self.asked += 1
        return self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]

    def events(self, pattern: str, *, enterprises: tuple[str, ...]) -> Self:
        assert (pattern, enterprises) == ("connector.weather.*", ("acme",))
        return self

    async def __aenter__(self) -> Self:
        if self._told is None:
            raise NotAllowedError("forbidden", "No.")
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def next(self, timeout: float) -> Event:  # noqa: ASYNC109
        await asyncio.sleep(0)
        if not self._told:
            raise TimeoutError
        return self._told.pop(0)


def progressed(made: c.TestStep, run_id: str = RUN) -> Event:
    told = c.TestProgress(run_id=run_id, slug="weather", owner="acme", seq=made.seq, step=made)
    return Event("acme", "connector", "weather", "test_progressed", "publisher", told.model_dump(mode="json"))


def completed() -> Event:
    return Event("acme", "connector", "weather", "test_completed", "publisher", {"run_id": RUN})


async def followed(client: FakeClient) -> list[tuple[int, str | None]]:
    runs = Runs(client, "acme")  # type: ignore[arg-type]  # as much of a client as is needed
    return [(each.seq, each.outcome) async for each in runs.follow_test("weather", RUN)]


async def test_steps_are_told_by_events_once_and_in_order() -> None:
    begun, passed, other = step(1, 1), step(1, 2, "pass"), step(2, 3, "fail")
    told = [progressed(begun), progressed(step(9, 9), "another"), progressed(passed), progressed(other), completed()]
    client = FakeClient([run("running", begun, step(2, 0)), run("failed", passed, other)], told)

    assert await followed(client) == [(1, None), (2, "pass"), (3, "fail")]
    assert client.asked == 2


async def test_what_was_not_heard_is_asked_for() -> None:
    passed, other = step(1, 2, "pass"), step(2, 5, "pass")
    client = FakeClient(
        [run("running"), run("running", passed, other), run("passed", passed, other)], [progressed(other)]
    )

    assert await followed(client) == [(5, "pass"), (2, "pass")]


async def test_without_events_the_publisher_is_asked() -> None:
    passed = step(1, 2, "pass")
    client = FakeClient([run("running", step(1, 1)), run("passed", passed)], None)

    assert await followed(client) == [(1, None), (2, "pass")]


def test_an_exchange_is_printed_without_what_moves_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    body = c.RecordedBody(encoding="text", text="\x1b[2J\x9bgone", size=99, truncated=True)
    sent = c.RecordedRequest(method="GET", url="https://x.example/?q=1", headers=[("Accept", "*/*")])
    got = c.RecordedResponse(status_code=200, headers=[("server", "\x1b]0;x\x07")], body=body)

    print_exchange(step(1, 1, "pass", exchange=c.Exchange(request=sent, response=got)))

    out = capsys.readouterr().out
    assert "> GET https://x.example/?q=1" in out
    assert "> Accept: */*" in out
    assert "of 99 bytes this is the beginning" in out
    assert "\x1b" not in out
    assert "\x9b" not in out
