"""Processes: an identity that outlives no process, and children that outlive no supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_START_TIME_FIELD: Final = 19
"""Of /proc/<pid>/stat, counted after the command name (proc(5), field 22)."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process and when it began, so that a number given out again is not taken for the old process."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, _start_time(pid) or 0)

    @classmethod
    def own(cls) -> ProcessId:
        return cls.of(os.getpid())

    @property
    def alive(self) -> bool:
        if _start_time(self.pid) != self.started:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return not _is_zombie(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.alive:
            os.kill(self.pid, number)


def dies_with_parent(number: signal.Signals) -> Callable[[], None]:
    """What a child runs before its program: on Linux the kernel sends it `number` when its parent ends."""
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def prepare() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(number))
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _start_time(pid: int) -> int | None:
    """Clock ticks from boot to the process's start; 0 where the system has no /proc, None for no such process."""
    if not Path("/proc/self/stat").exists():
        return 0
    fields = _stat(pid)
    return int(fields[_START_TIME_FIELD]) if fields else None


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] == "Z"
