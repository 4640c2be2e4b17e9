"""Services in forked processes, which may be told to die before the n-th act of a command.

An act is what stays or what others see: a statement, a commit, a message to the bus; the command's reply is the last.
A service that is forked from a process that has loaded it already starts in a fraction of the time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from nats.aio.client import Client
from sqlalchemy import Engine, event

from shared.messaging.service import CommandService
from tests.support.polling import wait_until

KILLED: Final = -signal.SIGKILL
_forks: Final = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["services.registry.__main__", "services.publisher.__main__", __name__])


@dataclass(frozen=True, slots=True)
class Death:
    """Before act number `act`, from 0, of the first `<noun>.<verb>` that names `mark` somewhere in its body."""

    command: str
    act: int
    mark: str = ""


class ForkedService:
    """`registry` or `publisher` as a process; what it logs stands in `output`."""

    def __init__(self, service: str, environment: Mapping[str, str], *, log: Path, death: Death | None = None) -> None:
        self._log = log
        log.touch()
        self._process: ForkServerProcess = _forks.Process(
            target=_serve, args=(service, dict(environment), str(log), death), daemon=True
        )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self, timeout: float = 30.0) -> None:
        """Return once it is ready."""
        self._process.start()
        try:
            wait_until(lambda: '"event": "Ready"' in self.output or not self._process.is_alive(), timeout)
            assert self._process.is_alive()
        except AssertionError:
            self.kill()
            raise AssertionError(f"{self._log.name}: it did not become ready:\n{self.output[-4000:]}") from None

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code, `KILLED` where it was killed."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"it lives on:\n{self.output[-4000:]}"
        return self._process.exitcode

    async def dies(self) -> None:
        """Return once it is dead. Cancelling this leaves nothing behind."""
        loop, dead = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, dead.set)
        try:
            await dead.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        assert self.wait() == KILLED, self.output[-4000:]

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        if self._process.pid is not None:
            self._process.kill()
            self._process.join(10)


async def outlived(service: ForkedService, asked: asyncio.Task[Any]) -> bool:
    """True where the request was answered, False where the service died over it."""
    death = asyncio.create_task(service.dies())
    done, _ = await asyncio.wait({asked, death}, return_when=asyncio.FIRST_COMPLETED)
    if asked in done:
        death.cancel()
        asked.result()
        return True
    asked.cancel()
    death.result()
    return False


class _Countdown:
    def __init__(self, acts: int) -> None:
        self._left = acts

    def act(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


_counting: ContextVar[_Countdown | None] = ContextVar("counting", default=None)


def _act(*_: object) -> None:
    if (countdown := _counting.get()) is not None:
        countdown.act()


def _serve(service: str, environment: dict[str, str], log: str, death: Death | None) -> None:
    opened = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(opened, stream.fileno())
    os.environ.update(environment)
    if death is not None:
        _arm(death)
    sys.exit(import_module(f"services.{service}.__main__").main([]))


def _arm(death: Death) -> None:
    event.listen(Engine, "before_cursor_execute", _act)
    event.listen(Engine, "commit", _act)
    publish, handle = Client.publish, CommandService._handle
    over: list[Death] = []

    async def counted_publish(self: Client, *args: Any, **kwargs: Any) -> None:
        _act()
        await publish(self, *args, **kwargs)

    async def counted_handle(self: CommandService, message: Any, *args: Any) -> object:
        subject, body = message.raw_message.subject, message.body
        if not over and subject.endswith(f".{death.command}") and death.mark.encode() in body:
            over.append(death)
            _counting.set(_Countdown(death.act))
        return await handle(self, message, *args)

    Client.publish = counted_publish  # type: ignore[method-assign]
    CommandService._handle = counted_handle  # type: ignore[assignment]
