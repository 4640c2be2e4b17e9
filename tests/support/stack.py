"""A whole local stack of one's own, started and used as a person would: by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from dibop.bus import Bus
from dibop.client import Client
from dibop.local.home import Home, StackState
from dibop.local.nats_users import operator_context
from dibop.local.stack import part_row
from tests.support.keeper import forget, run_when_gone
from tests.support.polling import eventually, wait_until

DIBOP: Final = str(Path(sys.executable).with_name("dibop"))
_COMMAND_SECONDS: Final = 120
_RESTART_SECONDS: Final = 60


class Stack:
    """`dibop up --detach` in a home of its own. `environment` is what every process of it gets besides ours."""

    def __init__(self, home: Path, *, workers: int = 2, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self._workers = workers
        self._environment = {**os.environ, "DIBOP_HOME": str(home), **(environment or {})}
        self._kept: int | None = None

    def up(self, *arguments: str) -> Stack:
        if self._kept is None:
            self._kept = run_when_gone(DIBOP, "down", "--home", str(self.home))
        self.run("up", "--detach", "--workers", str(self._workers), *arguments)
        return self

    def down(self) -> None:
        """Stop it, and see that every process of it is gone."""
        processes = [psutil.Process(pid) for pid in self.pids() if psutil.pid_exists(pid)]
        self.run("down")
        if self._kept is not None:
            forget(self._kept)
            self._kept = None
        left = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert not left, f"left running: {left}"

    def run(
        self, *arguments: str, stdin: str | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; AssertionError, with what it printed, where its exit code is not `expect`."""
        done = subprocess.run(
            [DIBOP, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"dibop {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str, stdin: str | None = None, expect: int | None = 0) -> Any:
        """Run one command with `--json` and read what it prints."""
        return json.loads(self.run(*arguments, "--json", stdin=stdin, expect=expect).stdout)

    def client(self, **overrides: Any) -> Client:
        return Client.connect(self.home, **overrides)

    def operator(self) -> Bus:
        """A connection, to be opened, of who may look into streams."""
        return Bus(operator_context(Home(self.home), environment={}), name="operator")

    def parts(self) -> dict[str, dict[str, Any]]:
        """Each part by name, as `dibop status --json` tells of it; read without the cost of a command."""
        state = StackState.read(Home(self.home))
        assert state is not None, f"no stack runs in {self.home}"
        return {part.name: part_row(part) for part in state.parts}

    def pids(self) -> list[int]:
        """The supervisor's and all parts' process ids."""
        status = self.json("status")
        return [pid for pid in (status["pid"], *(part["pid"] for part in status["parts"])) if pid]

    def kill(self, part: str) -> int:
        """SIGKILL one part; the answer is the process id it had."""
        pid: int = self.parts()[part]["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    def runs_again(self, part: str, old_pid: int) -> bool:
        """True once the part serves in another process than `old_pid`."""
        now = self.parts()[part]
        return bool(now["state"] == "running" and now["pid"] != old_pid)

    def wait_for_restart(self, part: str, old_pid: int) -> None:
        wait_until(lambda: self.runs_again(part, old_pid), _RESTART_SECONDS, what=f"{part} runs again")

    async def restarted(self, part: str, old_pid: int) -> None:
        """`wait_for_restart` for tests whose load goes on meanwhile."""
        await eventually(lambda: self.runs_again(part, old_pid), _RESTART_SECONDS, what=f"{part} runs again")

    def draft(self, document: Mapping[str, Any], *, directory: Path) -> None:
        """Save a template as the platform's draft."""
        file = directory / f"{document['slug']}.json"
        file.write_text(json.dumps(document))
        self.run("connector", "apply", str(file), "--owner", "platform")

    def test(self, document: Mapping[str, Any], *arguments: str) -> None:
        """Test every operation of a draft, by name."""
        operations = [word for entry in document["operations"] for word in ("--operation", entry["operation"])]
        self.run("connector", "test", document["slug"], *operations, *arguments)

    def publish(
        self, document: Mapping[str, Any], *, directory: Path, credentials: Mapping[str, str] | None = None
    ) -> None:
        """Take a template from draft to catalogue, and connect to it where there are credentials."""
        slug = document["slug"]
        secrets = directory / f"{slug}.credentials.json"
        secrets.write_text(json.dumps(dict(credentials or {})))
        given = ["--credentials-file", str(secrets)] if credentials else []
        self.draft(document, directory=directory)
        self.test(document, *given)
        self.run("connector", "publish", slug, "--scope", "catalogue")
        if credentials:
            self.run("connection", "create", slug, *given)
