"""Memory and garbage collection of a worker that has compiled many templates, in a fresh process each time.

`python -m benchmarks.footprint COUNT` measures once, in itself, and prints one JSON line.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import psutil
import rfc8785

from benchmarks import goals, scenario
from benchmarks.comparison import Plan, Progress
from benchmarks.processes import REPOSITORY, RunError
from benchmarks.results import Result, Row, now, this_machine
from benchmarks.stats import figure

NAME: Final = "footprint"
TITLE: Final = "Memory of 10,000 compiled templates"
TEMPLATES: Final = 10_000
OPERATIONS: Final = 8
_REPEATS: Final = 3


class Footprint(msgspec.Struct, frozen=True):
    """One measurement, in CPU time. `collection_seconds` is a full collection with nothing frozen: the worst case."""

    bytes_per_template: float
    collection_seconds: float
    microseconds_per_compile: float


def run(_directory: Path, _plan: Plan, progress: Progress) -> Result:
    """Three fresh processes."""
    taken = []
    for number in range(_REPEATS):
        taken.append(_in_fresh_process())
        progress(f"footprint {number + 1}/{_REPEATS}: {taken[-1].bytes_per_template / 1024:.1f} KB per template")
    memory = [one.bytes_per_template for one in taken]
    collections = [one.collection_seconds for one in taken]
    return Result(
        name=NAME,
        title=TITLE,
        taken_at=now(),
        machine=this_machine(pinned=False),
        settings={"templates": TEMPLATES, "operations of each": OPERATIONS, "processes": _REPEATS},
        rows=[
            Row(
                "compiled plans",
                0,
                {
                    "KB per template": figure([b / 1024 for b in memory]),
                    "full collection ms": figure([s * 1e3 for s in collections]),
                    "compile µs": figure([one.microseconds_per_compile for one in taken]),
                },
            )
        ],
        goals=goals.footprint_goals(memory, collections),
    )


def _in_fresh_process() -> Footprint:
    argv = [sys.executable, "-m", "benchmarks.footprint", str(TEMPLATES)]
    answer = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, check=False)
    if answer.returncode:
        raise RunError(f"footprint ended with exit code {answer.returncode}:\n{answer.stderr.decode()[-3000:]}")
    return msgspec.json.decode(answer.stdout, type=Footprint)


def measure(count: int) -> Footprint:
    """Compile `count` templates as an executor loads them, from the stored bytes, and keep the plans alone."""
    from services.executor.domain.compiling import compile_document

    def stored(number: int) -> bytes:
        return rfc8785.dumps(scenario.catalogue_document(number, OPERATIONS))

    for number in range(50):  # imports, caches and arenas that the first ones pay for
        compile_document(stored(count + number))
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    spent = 0.0
    plans = []
    for number in range(count):
        document = stored(number)
        started = time.process_time()
        plans.append(compile_document(document))
        spent += time.process_time() - started
    gc.collect()
    after = process.memory_info().rss
    started = time.process_time()
    gc.collect()
    collection = time.process_time() - started
    assert len(plans) == count
    return Footprint((after - before) / count, collection, spent / count * 1e6)


if __name__ == "__main__":
    print(msgspec.json.encode(measure(int(sys.argv[1]))).decode())
