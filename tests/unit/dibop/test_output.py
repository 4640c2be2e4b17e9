"""What is printed, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dibop.cli import output
from shared.contracts.errors import DibopError


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    output.console.cache_clear()
    output.error_console.cache_clear()
    monkeypatch.setitem(output._mode, "json", False)
    yield
    output.console.cache_clear()
    output.error_console.cache_clear()


def failure() -> DibopError:
    return DibopError(
        "invalid-parameters",
        "Two parameters do not fit.",
        errors=[
            {"name": "q", "problem": "is required", "allowed": "a string"},
            {"path": "/a", "problem": "Bad.", "mend": "Mend it."},
        ],
        request_id="r-1",
        retry_after_ms=1500,
    )


def test_an_error_tells_code_detail_each_entry_the_next_step_and_the_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_error(failure())

    out, err = capsys.readouterr()
    assert out == ""
    assert "invalid-parameters  Two parameters do not fit." in err
    assert "- q: is required (a string)" in err
    assert "- /a: Bad. (Mend it.)" in err
    assert "retry after: 1.5 s" in err
    assert "next: Mend each parameter" in err
    assert "request id: r-1" in err


def test_text_of_others_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(DibopError("not-found", "There is no [red]x[/red] [/]."))

    assert "[red]x[/red] [/]" in capsys.readouterr().err


def test_for_programs_an_error_is_a_problem_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.use_json()

    output.print_error(failure())

    problem = json.loads(capsys.readouterr().err)
    assert problem["type"] == "urn:dibop:error:invalid-parameters"
    assert problem["status"] == 422
    assert len(problem["errors"]) == 2


def test_a_table_goes_to_standard_output_and_its_absence_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_table(["slug", "latest"], [("weather", None), ("[b]", "1.0.0")], "none")
    out, err = capsys.readouterr()
    assert "weather" in out
    assert "-" in out
    assert "[b]" in out
    assert err == ""

    output.print_table(["slug"], [], "There is none.")
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", "There is none.")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.421, "0.42 s"), (42, "42 s"), (180, "3 min"), (7200, "2 h"), (345_600, "4 d")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text
