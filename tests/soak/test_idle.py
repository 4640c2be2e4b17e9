"""A whole stack that nobody uses: its memory stays where it is, and it hardly needs a processor.

`DIBOP_SOAK_MINUTES` says how long it is watched after a minute of warm-up (10 minutes unless told otherwise).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.polling import wait_until

MINUTES = float(os.environ.get("DIBOP_SOAK_MINUTES", "10"))
WARM_UP_SECONDS = 60.0
STEP_SECONDS = 5.0
START_SECONDS = 120.0
MAX_CPU = 0.03
"""Of one core, all processes together."""
MAX_GROWTH = 512 * 1024
"""Bytes a minute, all processes together: far under what a leak per heartbeat gives, over what allocators wander."""


@dataclass(frozen=True)
class Reading:
    """All processes of the stack at one time: resident bytes, CPU seconds used so far, and each one's share."""

    at: float
    memory: int
    cpu: float
    processes: dict[int, str]


def read(root: psutil.Process) -> Reading:
    memory, cpu, processes = 0, 0.0, {}
    for process in [root, *root.children(recursive=True)]:
        with process.oneshot():
            rss, times = process.memory_info().rss, process.cpu_times()
            memory += rss
            cpu += times.user + times.system
            processes[process.pid] = (
                f"{' '.join(process.cmdline())[-60:]}: {rss >> 20} MiB, {times.user + times.system:.1f} s"
            )
    return Reading(time.monotonic(), memory, cpu, processes)


@contextlib.contextmanager
def idle_stack(directory: Path) -> Iterator[psutil.Process]:
    """`dibop up` in its own home; ended as a person ends it, with Ctrl-C."""
    dibop = str(Path(sysconfig.get_path("scripts")) / "dibop")
    home = ["--home", str(directory / "home")]
    log = directory / "up.log"
    with log.open("wb") as sink:
        up = subprocess.Popen([dibop, "up", *home], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)

    def is_up() -> bool:
        assert up.poll() is None, f"dibop up ended with {up.returncode}:\n{log.read_text()[-4000:]}"
        status = subprocess.run([dibop, "status", *home, "--json"], capture_output=True, check=False)
        return status.returncode == 0 and bool(json.loads(status.stdout)["ready"])

    try:
        wait_until(is_up, START_SECONDS, what="dibop status says that the stack is up")
        yield psutil.Process(up.pid)
    finally:
        if up.poll() is None:
            up.send_signal(signal.SIGINT)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            raise


def growth_per_minute(readings: list[Reading]) -> float:
    """The slope of the memory over time, in bytes a minute."""
    slope, _ = statistics.linear_regression([one.at for one in readings], [float(one.memory) for one in readings])
    return slope * 60


def describe(first: Reading, last: Reading, cpu: float, growth: float) -> str:
    """What was seen, process by process, for a person who has to find out which one it was."""
    memory = f"{first.memory >> 20} MiB, then {last.memory >> 20} MiB ({growth / 1024:+.0f} KiB a minute)"
    processes = (
        f"  {first.processes.get(pid, 'not there')}  ->  {last.processes.get(pid, 'gone')}"
        for pid in first.processes | last.processes
    )
    return "\n".join((f"{cpu:.1%} of a core; {memory}", *processes))


@pytest.mark.timeout(int(MINUTES * 60 + WARM_UP_SECONDS + START_SECONDS + 120))
def test_an_idle_stack_does_not_grow_and_hardly_needs_a_processor(tmp_path: Path) -> None:
    # given a stack that has settled
    with idle_stack(tmp_path) as root:
        time.sleep(WARM_UP_SECONDS)
        readings = [read(root)]
        # when nobody uses it
        while readings[-1].at - readings[0].at < MINUTES * 60:
            time.sleep(STEP_SECONDS)
            readings.append(read(root))
    # then no process has come or gone, the processor was left alone, and memory stays
    first, last = readings[0], readings[-1]
    cpu = (last.cpu - first.cpu) / (last.at - first.at)
    growth = growth_per_minute(readings)
    figures = describe(first, last, cpu, growth)
    print(figures)
    assert first.processes.keys() == last.processes.keys(), figures
    assert cpu <= MAX_CPU, figures
    assert growth <= MAX_GROWTH, figures
