"""The processes of a run: where each is placed, what each costs, and that none is left behind."""

from __future__ import annotations

import functools
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import msgspec
import psutil

from benchmarks.orders import DECODE_OUTCOME, Order, Outcome

REPOSITORY = Path(__file__).resolve().parents[1]
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class RunError(Exception):
    """A benchmark cannot go on; the message says what happened and shows the process's own words."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The worker under measure, executor or peer, has one core to itself; everything else shares the others."""

    worker: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Self:
        """One core each where processes can be pinned and there are two cores; else nobody is pinned."""
        if not hasattr(os, "sched_setaffinity"):
            return cls(frozenset(), frozenset())
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return cls(frozenset(), frozenset())
        return cls(frozenset(cores[-1:]), frozenset(cores[:-1]))

    @property
    def pinned(self) -> bool:
        return bool(self.worker)


class Measured(Protocol):
    """What costs CPU time and memory."""

    def cpu_seconds(self) -> float:
        """CPU time that it has used since it began, all threads."""
        ...

    def memory_bytes(self) -> int:
        """Resident memory."""
        ...


class Process:
    """A child process, pinned to `cores`, with its output in `log`; one that `talks` is heard on standard output."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        cores: frozenset[int],
        environment: Mapping[str, str] | None = None,
        talks: bool = False,
    ) -> None:
        self._log = log
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else sink,
                stderr=sink,
                cwd=REPOSITORY,
                env=clean_environment() | dict(environment or {}),
                preexec_fn=functools.partial(os.sched_setaffinity, 0, cores) if cores else None,  # noqa: PLW1509
            )
        self._system = psutil.Process(self._popen.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def cpu_seconds(self) -> float:
        """CPU time that it has used since it began, all threads."""
        times = self._system.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """Resident memory."""
        return int(self._system.memory_info().rss)

    def write_line(self, line: bytes) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(line + b"\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise self.failure("ended") from None

    def read_line(self, timeout: float) -> bytes:
        """The next line that it prints."""
        assert self._popen.stdout is not None
        if not select.select([self._popen.stdout], [], [], timeout)[0]:
            raise self.failure(f"said nothing for {timeout:g} s")
        line = self._popen.stdout.readline()
        if not line:
            raise self.failure("ended")
        return line.rstrip(b"\n")

    def failure(self, what: str) -> RunError:
        words = self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""
        return RunError(f"{self._log.stem} {what}. Its last words:\n{words.strip() or '(none)'}")

    def wait_until(self, ready: Callable[[], bool], timeout: float = _START_SECONDS) -> None:
        """Wait for the process to be ready; say why it is not."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise self.failure(f"ended with exit code {self._popen.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {timeout:g} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        self._popen.terminate()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@dataclass(frozen=True, slots=True)
class Group:
    """Processes that are measured as one."""

    processes: Sequence[Measured]

    def cpu_seconds(self) -> float:
        """Of all of them together."""
        return sum(process.cpu_seconds() for process in self.processes)

    def memory_bytes(self) -> int:
        """Of all of them together; what they share is counted for each."""
        return sum(process.memory_bytes() for process in self.processes)


class Runner(Process):
    """A child that answers orders: a peer, or callers of the executor."""

    def __init__(self, module: str, *arguments: str, log: Path, cores: frozenset[int]) -> None:
        super().__init__([sys.executable, "-m", module, *arguments], log=log, cores=cores, talks=True)
        self.read_line(_START_SECONDS)

    def begin(self, order: Order) -> None:
        self.write_line(msgspec.json.encode(order))

    def outcome(self, order: Order) -> Outcome:
        return DECODE_OUTCOME(self.read_line(order.seconds + 60.0))


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the product: a run must not depend on them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DIBOP_")}


def settle(processes: Sequence[Measured], *, timeout: float = 5.0) -> None:
    """Wait until the processes are idle, so that what one variant left to do does not count for the next."""
    deadline = time.monotonic() + timeout
    before = sum(process.cpu_seconds() for process in processes)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = sum(process.cpu_seconds() for process in processes)
        if now - before <= 0.01:
            return
        before = now
