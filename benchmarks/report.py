"""Results as people read them: tables for a terminal, and the section of docs/benchmarks.md made from the files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.results import Goal, Result, Row
from benchmarks.stats import Figure

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_SECTION: Final = re.compile(r"(<!-- results: begin[^\n]*-->\n).*(<!-- results: end -->)", re.DOTALL)


def number(value: float) -> str:
    """Three digits that count, and no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}"


def ranged(figure: Figure) -> str:
    """`median (low to high)`, with `noise` where the range is wide."""
    return f"{number(figure.median)} ({number(figure.low)} to {number(figure.high)}{', noise' if figure.noisy else ''})"


def goal_line(goal: Goal) -> list[str]:
    unit = f" {goal.unit}" if goal.unit else ""
    sign = ">=" if goal.at_least else "<="
    low, high = number(goal.figure.low), number(goal.figure.high)
    verdict = goal.verdict + (", rounds disagree" if goal.doubtful else "")
    return [
        goal.number,
        goal.text,
        f"{sign} {goal.limit:g}{unit}",
        f"{number(goal.figure.median)}{unit} ({low} to {high})",
        verdict,
    ]


_GOAL_COLUMNS: Final = ("goal", "what", "limit", "median (range)", "verdict")


def _columns(rows: Sequence[Row]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row.figures))
    return list(names)


def _row_line(row: Row, columns: Sequence[str]) -> list[str]:
    cells = []
    for column in columns:
        found = row.figures.get(column)
        cells.append("" if found is None else ranged(found) if column == "req/s" else number(found.median))
    return [row.name, str(row.concurrency) if row.concurrency else "", *cells]


def show(result: Result, console: Console) -> None:
    """Print one result; a missed goal stands out."""
    console.rule(result.title)
    if result.rows:
        columns = _columns(result.rows)
        table = Table("variant", "in flight", *columns)
        for row in result.rows:
            table.add_row(*_row_line(row, columns))
        console.print(table)
    if result.goals:
        table = Table(*_GOAL_COLUMNS)
        for goal in result.goals:
            style = "bold red" if goal.verdict == "MISS" else "green"
            table.add_row(*goal_line(goal), style=style)
        console.print(table)
    for remark in result.remarks:
        console.print(f"- {remark}", markup=False)


def summary(results: Sequence[Result]) -> str:
    """One line for the end: how many goals were met, and loudly which were not."""
    goals = [goal for result in results for goal in result.goals]
    missed = [goal for goal in goals if goal.verdict == "MISS"]
    if not missed:
        return f"all {len(goals)} goals passed" if goals else "no goals in this run"
    names = "; ".join(
        f"goal {goal.number}: {goal.text}: {number(goal.figure.median)}{goal.unit and ' ' + goal.unit}, "
        f"limit {goal.limit:g}"
        for goal in missed
    )
    return f"MISS: {len(missed)} of {len(goals)} goals missed: {names}"


def markdown(results: Sequence[Result]) -> str:
    """All results as Markdown."""
    return "\n".join(line for result in results for line in _markdown_lines(result))


def _markdown_lines(result: Result) -> list[str]:
    machine = result.machine
    settings = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in result.settings.items()
    )
    taken = (
        f"Taken {result.taken_at} on {machine.cores} cores ({machine.processor}, {machine.memory_gib:g} GiB, "
        f"{machine.system}), Python {machine.python}; {settings}."
    )
    lines = [f"### {result.title}", "", taken, ""]
    if result.goals:
        lines += _markdown_table(_GOAL_COLUMNS, [goal_line(goal) for goal in result.goals])
    if result.rows:
        columns = _columns(result.rows)
        lines += _markdown_table(["variant", "in flight", *columns], [_row_line(row, columns) for row in result.rows])
    return lines + [f"- {remark}" for remark in result.remarks] + ([""] if result.remarks else [])


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def write_document(results: Sequence[Result], document: Path = DOCUMENT) -> None:
    """Put the results between the two markers of the document."""
    text = document.read_text()
    section = markdown(results) or "No results are recorded. `make bench` records them.\n"
    changed, found = _SECTION.subn(lambda match: f"{match[1]}\n{section}\n{match[2]}", text)
    if not found:
        raise ValueError(f"{document.name} has no section between 'results: begin' and 'results: end' comments")
    document.write_text(changed)
