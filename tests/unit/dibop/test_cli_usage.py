"""The command line where no server is needed: help, wrong usage, validation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dibop.cli.main import app
from dibop.cli.up import command_line

runner = CliRunner()
COMMANDS = [
    ["up"], ["down"], ["status"], ["migrate"], ["doctor"], ["exec"], ["token"], ["token", "show"],
    ["connector", "validate"], ["connector", "apply"], ["connector", "list"], ["connector", "show"],
    ["connector", "test"], ["connector", "publish"], ["connector", "schema"],
    ["connector", "deprecate"], ["connector", "unpublish"], ["connector", "retire"], ["connector", "rollback"],
    ["connector", "duplicate"], ["connector", "delete"],
    ["draft", "show"], ["draft", "history"], ["draft", "patch"], ["draft", "restore"], ["draft", "discard"],
    ["enterprise", "list"], ["enterprise", "show"], ["enterprise", "register"], ["enterprise", "suspend"],
    ["enterprise", "resume"], ["enterprise", "sdk-access"],
    ["review", "list"], ["review", "show"], ["review", "comment"], ["review", "approve"], ["review", "reject"],
    ["test", "list"], ["test", "show"], ["test", "cancel"],
    ["connection", "create"], ["connection", "list"], ["connection", "delete"],
    ["events", "tail"], ["audit", "list"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_a_help_text_with_an_example(command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--help"])

    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"dibop {' '.join(command)}" in result.output or command == ["token"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["exec", "weather"],
        ["exec", "weather", "now", "-p", "q"],
        ["exec", "weather", "now", "-p", "q=1", "-p", "q=2"],
        ["exec", "weather", "now", "--timeout", "0"],
        ["connector", "publish", "weather", "--scope", "world"],
        ["connector", "apply"],
        ["connector", "duplicate", "weather"],
        ["draft", "restore", "weather", "0"],
        ["draft", "patch", "weather"],
        ["enterprise", "sdk-access", "acme", "perhaps"],
        ["connector", "unpublish", "weather", "v1"],
        ["connector", "deprecate", "weather", "1.0.0", "--date", "soon"],
        ["connector", "rollback", "weather"],
        ["up", "--workers", "0"],
        ["connection", "create"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)

    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_schema_is_json() -> None:
    result = runner.invoke(app, ["connector", "schema"])

    assert json.loads(result.stdout)["$id"] == "urn:dibop:schema:template:v1"


def test_validation_prints_each_problem_with_its_place_and_mend(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: A\nbase_url: https://a.example.com\nauth_type: nun\noperatoins: []\n")

    people = runner.invoke(app, ["connector", "validate", str(file)])
    programs = runner.invoke(app, ["connector", "validate", str(file), "--json"])

    assert people.exit_code == programs.exit_code == 1
    assert f"{file}:3:1: error: /auth_type:" in people.stdout
    assert f"{file}:4:1: error: /operatoins:" in people.stdout
    told = json.loads(programs.stdout)
    assert not told["valid"]
    assert {"/auth_type", "/operatoins"} <= {error["path"] for error in told["errors"]}
    assert all(error["mend"] for error in told["errors"])


def test_a_failure_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dibop", "connector", "list", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert "no-context" in done.stderr
    assert "dibop up" in done.stderr
    assert "Traceback" not in done.stderr


def test_starting_imports_nothing_heavy() -> None:
    heavy = ["nats", "pydantic", "rich.console", "cryptography", "aiohttp", "sqlalchemy", "faststream", "structlog"]
    code = f"import dibop.cli.main, sys; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_command_that_is_printed_for_pasting_is_the_one_that_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")

    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my env" / "dibop")])
    assert command_line() == "'my env/dibop'"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "dibop" / "__main__.py")])
    assert command_line().endswith(" -m dibop")
