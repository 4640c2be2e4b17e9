"""Nothing that tests start outlives them, not even where the process that runs them is killed.

A process of its own waits for the end of a pipe that only the test process holds open: whatever was not taken back
by then is run.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import IO

_numbers = itertools.count()


class Keeper:
    """Commands to run once this process is gone."""

    def __init__(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # whoever interrupts the tests does not interrupt it
        )
        assert process.stdin is not None
        self._pipe: IO[str] = process.stdin
        self._process = process

    def say(self, number: int, command: Sequence[str] | None) -> None:
        self._pipe.write(json.dumps([number, command]) + "\n")
        self._pipe.flush()


@cache
def _keeper() -> Keeper:
    return Keeper()


def run_when_gone(*command: str) -> int:
    """Have the command run once this process is gone; the number is for `forget`."""
    number = next(_numbers)
    _keeper().say(number, command)
    return number


def kill_when_gone(pid: int) -> int:
    """Have the process killed once this one is gone; `forget` it where it ended before."""
    return run_when_gone("/bin/sh", "-c", f"kill -9 {pid}")


def forget(number: int) -> None:
    _keeper().say(number, None)


def _keep(messages: IO[str]) -> None:
    commands: dict[int, list[str]] = {}
    for message in messages:
        number, command = json.loads(message)
        if command is None:
            commands.pop(number, None)
        else:
            commands[number] = command
    for command in reversed(commands.values()):
        subprocess.run(command, check=False)


if __name__ == "__main__":
    _keep(sys.stdin)
