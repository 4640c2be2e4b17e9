"""Reports: the terminal and the document say the same, and a miss is loud."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report, results
from benchmarks.results import Goal, Machine, Result, Row
from benchmarks.stats import Figure

PASSED = Goal("1", "as fast as it should be", Figure(0.9, 0.85, 0.95), 0.8, at_least=True)
MISSED = Goal("4", "quick enough", Figure(0.5, 0.3, 0.6), 0.35, at_least=False, unit="ms")


def result(name: str = "execution", goals: tuple[Goal, ...] = (PASSED, MISSED)) -> Result:
    return Result(
        name=name,
        title=f"Title of {name}",
        taken_at="2026-01-01T00:00:00Z",
        machine=Machine("A processor", 2, 8.0, "Linux x86_64", "3.11.7", {"aiohttp": "1"}, pinned=True),
        settings={"rounds": 5},
        rows=[Row("executor", 64, {"req/s": Figure(9123.4567, 9000.0, 9200.0), "p50 ms": Figure(6.5, 6.0, 7.0)})],
        goals=list(goals),
        remarks=["A remark."],
    )


def test_the_summary_says_miss_loudly_and_which() -> None:
    line = report.summary([result()])
    assert line.startswith("MISS: 1 of 2 goals missed")
    assert "goal 4: quick enough: 0.50 ms, limit 0.35" in line


def test_the_summary_counts_what_passed() -> None:
    assert report.summary([result(goals=(PASSED,))]) == "all 1 goals passed"
    assert report.summary([result(goals=())]) == "no goals in this run"


def test_the_terminal_shows_rows_goals_and_remarks() -> None:
    console = Console(record=True, width=200, quiet=True)
    report.show(result(), console)
    with console.capture() as capture:
        console.quiet = False
        report.show(result(), console)
    text = capture.get()
    for expected in ("executor", "9,123 (9,000 to 9,200)", "MISS, rounds disagree", "A remark."):
        assert expected in text


def test_what_is_saved_is_what_is_loaded_but_for_digits_that_do_not_count(tmp_path: Path) -> None:
    path = results.save(result(), tmp_path)
    assert path.name == "execution.json"
    (loaded,) = results.load_all(tmp_path)
    assert loaded.rows[0].figures["req/s"].median == 9123.5
    assert loaded.goals == result().goals


def test_results_come_in_the_order_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        results.save(result(name), tmp_path)
    assert [one.name for one in results.load_all(tmp_path, order=["c", "missing"])] == ["c", "a", "b"]


def test_the_document_gets_the_results_between_its_marks_and_keeps_the_rest(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- results: begin, made by a command -->\nold\n<!-- results: end -->\nafter\n")
    report.write_document([result()], document)
    text = document.read_text()
    assert text.startswith("before\n<!-- results: begin, made by a command -->\n")
    assert text.endswith("<!-- results: end -->\nafter\n")
    assert "old" not in text
    assert "| 4 | quick enough | <= 0.35 ms | 0.50 ms (0.30 to 0.60) | MISS, rounds disagree |" in text
    # and doing it again changes nothing
    report.write_document([result()], document)
    assert document.read_text() == text


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "other.md"
    document.write_text("no marks")
    with pytest.raises(ValueError, match=r"other\.md has no section"):
        report.write_document([result()], document)


@pytest.mark.parametrize(
    ("value", "text"), [(9123.4, "9,123"), (101.5, "102"), (12.34, "12.3"), (0.354, "0.35"), (-0.021, "-0.02")]
)
def test_numbers_show_the_digits_that_count(value: float, text: str) -> None:
    assert report.number(value) == text
