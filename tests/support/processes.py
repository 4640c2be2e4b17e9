"""Processes that a test starts, and alone ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.keeper import forget, kill_when_gone
from tests.support.polling import wait_until

HOST = "127.0.0.1"


_PORTS = range(12_000, 32_000)
_given = itertools.count(os.getpid() * 2_003 % len(_PORTS))


def free_port() -> int:
    """A TCP port that was free a moment ago and that nothing gets by chance.

    It lies below the ports that systems give to outgoing connections and to servers that ask for any, and test
    processes at work side by side begin at different places.
    """
    for number in _given:
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise AssertionError("unreachable: the count has no end")


def accepts(port: int) -> bool:
    """True once something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


class ManagedProcess:
    """One child process: its output goes to `log`, and `ready` says when it serves. It outlives no test process."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | int | None = None,
        group: int | None = None,
    ) -> None:
        self._argv = list(argv)
        self._log = log
        self._ready = ready
        self._environment = environment
        self._cwd = cwd
        self._user = user
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: int | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, timeout: float = 90.0) -> None:
        """Start it and wait until it is ready; its output stands in the error when it is not."""
        environment = None if self._environment is None else {**os.environ, **self._environment}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._cwd,
                user=self._user,
                group=self._group,
                extra_groups=None if self._user is None else [],
            )
        self._forget()
        self._kept = kill_when_gone(self._process.pid)
        try:
            wait_until(lambda: not self.running or self._ready(), timeout)
            assert self.running
        except AssertionError:
            self.kill()
            raise AssertionError(f"{self._argv[0]} did not become ready:\n{self.output[-4000:]}") from None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code."""
        assert self._process is not None
        return self._ended(timeout)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, then the exit code; SIGKILL when it does not go."""
        if self._process is None:
            return 0
        if self.running:
            self._process.terminate()
        try:
            return self._ended(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._ended(10)

    def _ended(self, timeout: float) -> int:
        assert self._process is not None
        code = self._process.wait(timeout)
        self._forget()
        return code

    def _forget(self) -> None:
        if self._kept is not None:
            forget(self._kept)
            self._kept = None
