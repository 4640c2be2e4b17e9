"""What `dibop circuit` makes of the executors' answers."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from dibop.cli import circuit as commands
from dibop.cli import output, runner
from dibop.cli.main import app
from shared.contracts.commands import Circuit, Circuits, CircuitsReset, LimitUse

CLOSED = Circuit(
    operation="forecast",
    state="closed",
    failures=1,
    threshold=5,
    since_ms=0,
    cause="",
    retry_after_ms=0,
    cooldown_ms=0,
    cooldown_cause="",
    limits=[],
)
OPEN = Circuit(
    operation=None,
    state="open",
    failures=0,
    threshold=2,
    since_ms=4_000,
    cause="status 503",
    retry_after_ms=26_000,
    cooldown_ms=90_000,
    cooldown_cause="status 429",
    limits=[
        LimitUse(of="connection", used=12, waiting=3, rate=60, window_ms=60_500),
        LimitUse(of="platform", used=40, waiting=0, rate=600, window_ms=60_500),
    ],
)
CIRCUITS = Circuits(
    enterprise="acme",
    owner="platform",
    connector="weather",
    connection="default",
    version="1.0.0",
    circuits=[OPEN, CLOSED],
)


def test_a_table_tells_what_opened_a_circuit_and_how_much_of_the_limits_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "with_client", lambda _home, _work: CIRCUITS)
    shown: list[tuple[Any, ...]] = []
    monkeypatch.setattr(output, "print_table", lambda _columns, rows, _empty: shown.extend(rows))

    commands.show("weather")

    opened, closed = shown
    assert opened[:6] == ("the connection", "open", "0 of 2", "4.00 s", "status 503", "26 s")
    assert opened[6:] == ("2 min (status 429)", "connection 12 of 60, 3 of them to come; platform 40 of 600")
    assert closed == ("forecast", "closed", "1 of 5", None, None, None, None, "no limit")


@pytest.mark.parametrize(("audit", "said"), [("waiting", "registry is away"), ("off", "no audit entry")])
def test_a_reset_says_what_was_and_what_became_of_the_audit_entry(
    monkeypatch: pytest.MonkeyPatch, audit: Any, said: str
) -> None:
    told: list[str] = []
    for name in ("say", "note"):
        monkeypatch.setattr(output, name, told.append)
    monkeypatch.setattr(runner, "with_client", lambda _home, _work: CircuitsReset(before=CIRCUITS, audit=audit))

    commands.reset("weather")

    assert "it was open (status 503), cooldown 2 min" in told[0]
    assert said in told[-1]


def test_the_help_has_examples() -> None:
    for command in ("show", "reset"):
        assert "dibop circuit" in CliRunner().invoke(app, ["circuit", command, "--help"]).output
