"""Telling of a stack's steps: as lines for people, or as JSON lines for the process that waits for it."""

from __future__ import annotations

import json
import os
from typing import Any

from dibop.cli import output


class Lines:
    """One line for each step, its time at the end."""

    def step(self, name: str, result: str, seconds: float | None = None) -> None:
        took = "" if seconds is None else f"{seconds:6.2f} s"
        output.say(f"  {name:<24} {result:<58} {took}".rstrip())


class Pipe(Lines):
    """Lines for the log, and JSON lines into a pipe until `ready` or `failed`, or until nobody reads any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def step(self, name: str, result: str, seconds: float | None = None) -> None:
        super().step(name, result, seconds)
        self._send({"name": name, "result": result, "seconds": seconds})

    def ready(self) -> None:
        self._send({"ready": True})
        self.close()

    def failed(self, problem: dict[str, Any]) -> None:
        self._send({"failed": problem})
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _send(self, message: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            self.close()
