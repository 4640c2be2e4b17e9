"""What the command line prints: results to standard output, all else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.contracts.errors import DibopError

if TYPE_CHECKING:
    from rich.console import Console

_MAX_ERRORS_SHOWN = 50
_mode = {"json": False}


def use_json() -> None:
    """Errors are for a program, too."""
    _mode["json"] = True


def is_json() -> bool:
    return _mode["json"]


@cache
def console() -> Console:
    """Standard output. Piped, a line is never folded."""
    return _console(stderr=False)


@cache
def error_console() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else 200)


def is_interactive() -> bool:
    """True where a person can be asked: standard input and output are terminals."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def say(text: str, style: str = "") -> None:
    """A line of the result."""
    console().print(text, markup=False, style=style)


def note(text: str) -> None:
    """A line beside the result."""
    error_console().print(text, markup=False, style="dim")


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner on a terminal, nothing elsewhere; call what it gives to change the text as work goes on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with error_console().status(text) as status:
        yield status.update


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence `empty` where there are no rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell), style=_style(cell)) for cell in row))
        count += 1
    if count:
        console().print(table, soft_wrap=False)
    else:
        note(empty)


def print_error(error: DibopError) -> None:
    """The code, what happened, each of the errors, what to do next, and the request id."""
    if is_json():
        problem = error.to_problem() | {"type": f"urn:dibop:error:{error.code}", "next_step": error.kind.next_step}
        sys.stderr.write(json.dumps(problem, indent=2, ensure_ascii=False, default=str) + "\n")
        return
    out = error_console()
    out.print(f"[bold red]{error.code}[/]", end="  ")
    out.print(error.detail, markup=False)
    for entry in error.errors[:_MAX_ERRORS_SHOWN]:
        out.print(f"  - {describe(entry)}", markup=False)
    if len(error.errors) > _MAX_ERRORS_SHOWN:
        out.print(f"  and {len(error.errors) - _MAX_ERRORS_SHOWN} more", markup=False)
    if error.retry_after_ms is not None:
        out.print(f"  retry after: {error.retry_after_ms / 1000:g} s", markup=False)
    if error.outcome is not None:
        out.print(f"  outcome: {error.outcome}", markup=False)
    out.print(f"  next: {error.kind.next_step}", markup=False, style="dim")
    if error.request_id:
        out.print(f"  request id: {error.request_id}", markup=False, style="dim")


def describe(entry: Mapping[str, Any]) -> str:
    """One of an error's entries as a line: its place, the problem, the mend."""
    place = entry.get("path") or entry.get("name") or entry.get("item") or ""
    problem = entry.get("problem") or entry.get("reason") or ""
    mend = entry.get("mend") or entry.get("allowed") or ""
    rest = {k: v for k, v in entry.items() if k not in _DESCRIBED}
    extra = " ".join(f"{name}={value}" for name, value in rest.items() if value not in {None, ""})
    text = ": ".join(part for part in (str(place), str(problem)) if part)
    return " ".join(part for part in (text, f"({mend})" if mend else "", extra) if part)


_DESCRIBED = frozenset({"path", "name", "item", "problem", "reason", "mend", "allowed", "both"})
_STYLES: Mapping[str, str] = {
    **dict.fromkeys(("running", "published", "pass", "ok", "healthy", "closed", "online"), "green"),
    **dict.fromkeys(
        ("dead", "fail", "problem", "error", "retired", "open", "suspended", "offline", "timeout", "auth_error"), "red"
    ),
    **dict.fromkeys(("draft", "skip", "starting", "restarting", "warning", "deprecated", "half-open"), "yellow"),
}


def _style(cell: Any) -> str:
    return _STYLES.get(cell, "") if isinstance(cell, str) else ""


def duration(seconds: float) -> str:
    """`0.42 s`, `3 min`, `2 h`, `4 d`."""
    for limit, unit, name in ((60, 1.0, "s"), (3600, 60.0, "min"), (86_400, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds:.2f} {name}" if unit == 1 and seconds < 10 else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"
