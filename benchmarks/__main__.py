"""`python -m benchmarks`: run the benchmarks, or `report` what they left in `benchmarks/results/`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from rich.console import Console

from benchmarks import calls, catalogue, execution, footprint, report, resilience, results, startup
from benchmarks.comparison import Plan, Progress, say
from benchmarks.processes import RunError
from benchmarks.results import Result

Benchmark = Callable[[Path, Plan, Progress], Result]

BENCHMARKS: Final[dict[str, Benchmark]] = {
    execution.NAME: execution.run,
    resilience.NAME: resilience.run,
    footprint.NAME: footprint.run,
    catalogue.NAME: catalogue.run,
    calls.NAME: calls.run,
    startup.NAME: startup.run,
}
BY_DEFAULT: Final = (execution.NAME, resilience.NAME, footprint.NAME, catalogue.NAME, calls.NAME)
FULL: Final = Plan(rounds=5, seconds=3.0, warm_up=0.5)
QUICK: Final = Plan(rounds=3, seconds=0.5, warm_up=0.2)


def main() -> int:
    """Exit code 0 also where a goal is missed: a benchmark tells, it does not judge. 1 where it could not run."""
    options = _options()
    if options.command == "report":
        found = results.load_all(order=BENCHMARKS)
        report.write_document(found)
        _show(found, Console(width=200 if not sys.stdout.isatty() else None))
        return 0
    _quiet_logs()
    plan = QUICK if options.quick else FULL
    taken = []
    for name in options.only or BY_DEFAULT:
        say(f"benchmark {name}")
        try:
            with tempfile.TemporaryDirectory(prefix="dibop-bench-") as directory:
                result = BENCHMARKS[name](Path(directory), plan, say)
        except RunError as error:
            say(f"benchmark {name} has no result: {error}")
            return 1
        taken.append(result)
        if not options.quick:
            say(f"written: benchmarks/results/{results.save(result).name}")
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode(taken) + b"\n")
    else:
        _show(taken, Console(width=200 if not sys.stdout.isatty() else None))
    return 0


def _quiet_logs() -> None:
    """Standard output is for results; of the product's code that runs in this process, warnings are enough."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _show(taken: list[Result], console: Console) -> None:
    for result in taken:
        report.show(result, console)
    line = report.summary(taken)
    console.print(line, style="bold red" if line.startswith("MISS") else "bold green", markup=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "report"], default="run")
    parser.add_argument(
        "--only", action="append", choices=list(BENCHMARKS), help="run this one; may be repeated. startup runs only so"
    )
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works; nothing is written")
    parser.add_argument("--json", action="store_true", help="the results as JSON on standard output")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
