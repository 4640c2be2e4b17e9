"""`dibop connector diff` on a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from dibop.cli import diff, output, runner
from dibop.cli.main import app
from shared.contracts.commands import Difference

FOUND = {
    "slug": "weather",
    "owner": "platform",
    "before": {"version": "1.2.0", "revision": None, "digest": "sha256:1"},
    "after": {"version": None, "revision": 7, "digest": "sha256:2"},
    "bump": "major",
    "next_version": "2.0.0",
    "changes": [
        {
            "path": "/operations/get_weather",
            "kind": "operation removed",
            "bump": "major",
            "sentence": "Operation 'get_weather' is removed; who calls it gets an error.",
        },
        {"path": "/name", "kind": "text for people changed", "bump": "patch", "sentence": "name changes."},
    ],
    "more": 0,
}


def told(monkeypatch: pytest.MonkeyPatch, **values: Any) -> list[str]:
    found = Difference.model_validate({**FOUND, **values})
    monkeypatch.setattr(runner, "with_client", lambda _home, _work: found)
    lines: list[str] = []
    monkeypatch.setattr(output, "say", lambda text, style="": lines.append(text))
    monkeypatch.setattr(output, "note", lines.append)
    diff.diff("weather")
    return lines


def test_the_breaking_changes_are_told_first_with_the_version_that_they_make(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch) == [
        "weather of platform: 1.2.0 -> draft (revision 7): major, the next version is 2.0.0",
        "  major  Operation 'get_weather' is removed; who calls it gets an error.",
        "  patch  name changes.",
    ]


def test_the_same_document_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, bump=None, next_version=None, changes=[]) == [
        "weather of platform: 1.2.0 -> draft (revision 7): the same document"
    ]


def test_what_is_not_listed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, more=3)[-1] == "and 3 changes more"


def test_the_help_has_examples() -> None:
    assert "dibop connector diff" in CliRunner().invoke(app, ["connector", "diff", "--help"]).output


def test_what_is_no_version_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["connector", "diff", "weather", "latest"]).exit_code == 2
