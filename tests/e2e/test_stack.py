"""The local stack as its user has it: up, used, down, and nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.polling import wait_until
from tests.support.stack import DIBOP, Stack

pytestmark = pytest.mark.timeout(180)

PARTS = {"nats", "redis", "demo-weather", "registry", "publisher", "executor-1", "executor-2", "console"}
REPOSITORY = Path(__file__).parents[2]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that a test may stop by itself; those that still run at its end are stopped."""
    made: list[Stack] = []

    def make(*arguments: str, workers: int = 2) -> Stack:
        made.append(Stack(tmp_path / f"home-{len(made)}", workers=workers))
        return made[-1].up(*arguments)

    yield make
    for stack in made:
        if stack.run("status", expect=None).returncode == 0:
            stack.down()


def weather(stack: Stack, city: str) -> Any:
    return stack.json("exec", "openweathermap", "get_current_weather", "-p", f"q={city}")


class Foreground:
    """`dibop up` as in a terminal: its output is collected, and Ctrl-C is a SIGINT."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [DIBOP, "up", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.output or self.process.poll() is not None, 90, what=text)
        assert text in self.output, self.output

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(60)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self.lines.extend(stdout)


def test_a_detached_stack_is_used_and_stopped_without_a_trace(stacks: Callable[..., Stack]) -> None:
    stack = stacks()

    status = stack.json("status")
    pids = stack.pids()
    assert status["ready"]
    assert {part["part"] for part in status["parts"]} == PARTS
    assert {part["state"] for part in status["parts"]} == {"running"}
    assert len(alive(pids)) == len(PARTS) + 1
    assert "nats://127.0.0.1:" in stack.run("status").stdout
    assert (stack.home / "context.json").stat().st_mode & 0o077 == 0

    link = stack.json("console")["url"]
    console = next(part["address"] for part in status["parts"] if part["part"] == "console")
    assert link.startswith(f"{console}/sign-in#")
    assert link.partition("#")[2] not in (stack.home / "logs" / "console.log").read_text()

    again = stack.run("up", "--detach", expect=1)
    assert f"process {status['pid']}" in again.stderr

    stack.run("down")
    assert alive(pids) == []
    assert stack.run("status", "--json", expect=1).stdout.count('"running": false') == 1
    assert "No stack runs" in stack.run("down", expect=1).stderr

    stack.up()
    assert {p["part"]: p["address"] for p in stack.json("status")["parts"]} == {
        p["part"]: p["address"] for p in status["parts"]
    }, "addresses are what they were"


def test_two_stacks_run_side_by_side(stacks: Callable[..., Stack]) -> None:
    one, other = stacks(workers=1), stacks(workers=1)

    addresses = [
        {part["address"] for part in stack.json("status")["parts"] if part["address"]} for stack in (one, other)
    ]
    assert addresses[0].isdisjoint(addresses[1])

    one.down()
    assert other.json("status")["ready"]
    assert other.json("connector", "list") == []


def test_a_killed_supervisor_leaves_nothing_and_its_home_can_be_used_again(stacks: Callable[..., Stack]) -> None:
    stack = stacks(workers=1)
    pids = stack.pids()

    os.kill(stack.json("status")["pid"], signal.SIGKILL)

    wait_until(lambda: not alive(pids), 15, what="every part is gone")
    stack.run("status", expect=1)
    stack.up("--demo")
    assert weather(stack, "Paris")["response"]["name"] == "Paris"


def test_ctrl_c_ends_the_foreground_demo_and_it_can_be_run_again(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    for steps in (
        ["draft", "connection", "test", "publish", "execute over NATS"],
        ["done before", "execute over NATS"],
    ):
        foreground = Foreground("--demo", "--home", str(stack.home))
        foreground.wait_for("Ctrl-C stops everything")
        pids = stack.pids()
        for step in (*PARTS, *steps, "London: 11.4 °C", "ready in", "nats://127.0.0.1", "what to type next"):
            assert step in foreground.output

        typed = re.search(r"^  (.* exec openweathermap .*)$", foreground.output, re.MULTILINE)
        assert typed is not None
        done = subprocess.run(typed[1], shell=True, capture_output=True, text=True, check=False, cwd=Path.cwd())
        assert '"name": "Paris"' in done.stdout, done.stderr

        assert foreground.interrupt() == 0
        assert "nothing is left running" in foreground.output
        assert alive(pids) == []


def test_ctrl_c_while_starting_stops_what_was_started(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    foreground = Foreground("--home", str(stack.home))
    foreground.wait_for("streams and buckets")
    pids = stack.pids()

    assert foreground.interrupt() == 0
    assert alive(pids) == []
    assert "ready in" not in foreground.output


def test_a_part_that_cannot_start_ends_the_stack_with_its_log(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", environment={"DIBOP_LOG_LEVEL": "LOUD"})

    for detach in ([], ["--detach"]):
        failed = stack.run("up", *detach, expect=1)

        assert "stack-failed" in failed.stderr
        assert "log_level" in failed.stderr.lower()
        assert "Traceback" not in failed.stderr
        stack.run("status", expect=1)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(stack.home) in " ".join(p.info["cmdline"] or [])]


async def test_a_part_that_dies_is_started_again(stacks: Callable[..., Stack]) -> None:
    stack = stacks(workers=1)

    old = stack.kill("demo-weather")
    await stack.restarted("demo-weather", old)

    assert stack.parts()["demo-weather"]["restarts"] == 1


def test_the_example_service_runs_beside_the_demo(stacks: Callable[..., Stack]) -> None:
    stack = stacks("--demo", workers=1)

    done = subprocess.run(
        [sys.executable, "examples/client_service.py", "--home", str(stack.home), "--every", "0", "--rounds", "2"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.count("London: 11.4 °C") == 2
    assert done.stdout.count("Tokyo: 14.3 °C") == 2
