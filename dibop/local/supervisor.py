"""The supervisor: starts parts, waits until they serve, starts again what dies, stops all in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dibop.errors import LocalStackError
from dibop.local.home import PartState
from dibop.local.processes import ProcessId, dies_with_parent

READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_MAX_LOG_BYTES: Final = 10 * 1024 * 1024
_SHOWN_LOG_LINES: Final = 15
_FIRST_BACKOFF_SECONDS: Final = 0.5
_MAX_BACKOFF_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 60.0
"""A part that ran for so long starts again at once when it dies."""

ReadyCheck = Callable[[int], Awaitable[bool]]
"""Given the part's process id, true once it serves."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack. `stop_seconds` is how long it may take to drain.

    `orphaned` is what the kernel sends it if the supervisor ends without stopping it.
    """

    name: str
    argv: Sequence[str]
    log: Path
    ready: ReadyCheck
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    address: str | None = None
    stop_seconds: float = 10.0
    orphaned: signal.Signals = signal.SIGKILL


class SupervisedPart:
    """A part and its current process."""

    def __init__(self, part: Part, changed: Callable[[], None], restarted: Callable[[Part, str], None]) -> None:
        self.part = part
        self.state = "stopped"
        self.restarts = 0
        self._since = time.time()
        self._changed = changed
        self._restarted = restarted
        self._process: asyncio.subprocess.Process | None = None
        self._identity: ProcessId | None = None
        self._keeper: asyncio.Task[None] | None = None

    def snapshot(self) -> PartState:
        return PartState(self.part.name, self.state, self.part.address, self._identity, self._since, self.restarts)

    async def start(self) -> None:
        """Start it, and return once it serves; from then on it is kept running."""
        process = await self._launch()
        self._keeper = asyncio.create_task(self._keep(process), name=f"keep {self.part.name}")

    async def stop(self) -> bool:
        """SIGTERM, wait, SIGKILL if need be; true where it went by itself."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        went = await self._end(signal.SIGTERM)
        self._identity = None
        self._set("stopped")
        return went

    def kill(self) -> None:
        """SIGKILL at once; `stop` still has to be waited for."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _launch(self) -> asyncio.subprocess.Process:
        self._set("starting")
        offset = _prepare_log(self.part.log)
        with self.part.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.part.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.part.directory,
                env={**os.environ, **self.part.environment},
                start_new_session=True,
                preexec_fn=dies_with_parent(self.part.orphaned),
            )
        self._identity = ProcessId.of(self._process.pid)
        self._set("starting")
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self.part.ready(self._process.pid):
                    if self._process.returncode is not None:
                        raise LocalStackError(
                            f"{self.part.name} ended with exit code {self._process.returncode} while starting."
                            f"{_log_since(self.part.log, offset)}"
                        )
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise LocalStackError(
                f"{self.part.name} runs (process {self._process.pid}) and was not ready within {READY_SECONDS:g} s."
                f"{_log_since(self.part.log, offset)}"
            ) from None
        self._set("running")
        return self._process

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            started = time.monotonic()
            code = await process.wait()
            if time.monotonic() - started > _STEADY_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            self.restarts += 1
            what = f"ended with exit code {code}; starting it again in {backoff:g} s"
            _note(self.part.log, what)
            self._restarted(self.part, what)
            self._set("restarting")
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _MAX_BACKOFF_SECONDS)
            try:
                process = await self._launch()
            except (LocalStackError, OSError) as error:
                _note(self.part.log, f"did not start again: {error}")
                await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> bool:
        process = self._process
        if process is None or process.returncode is not None:
            return True
        self._set("stopping")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), self.part.stop_seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            return False
        return True

    def _set(self, state: str) -> None:
        if state != self.state:
            self.state, self._since = state, time.time()
        self._changed()


class Supervisor:
    """The parts of one stack, in groups: those of a group are stopped together, the last group first."""

    def __init__(
        self, *, on_change: Callable[[list[PartState]], None], on_restart: Callable[[Part, str], None]
    ) -> None:
        self._groups: list[list[SupervisedPart]] = []
        self._on_change = on_change
        self._on_restart = on_restart

    async def start(self, groups: Sequence[Sequence[Part]], started: Callable[[Part, float], None]) -> None:
        """Start all parts side by side; `started` is called with each and the seconds it took.

        Raises LocalStackError for the first that does not serve; `stop` has to be called then too.
        """
        new = [[SupervisedPart(part, self._part_changed, self._on_restart) for part in group] for group in groups]
        self._groups += new
        begin = time.monotonic()

        async def one(supervised: SupervisedPart) -> None:
            await supervised.start()
            started(supervised.part, time.monotonic() - begin)

        tasks = [asyncio.create_task(one(supervised)) for group in new for supervised in group]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self, stopped: Callable[[Part, bool], None]) -> None:
        """Stop everything; `stopped` is called with each part and whether it went by itself."""
        for group in reversed(self._groups):
            outcomes = await asyncio.gather(*(supervised.stop() for supervised in group))
            for supervised, went in zip(group, outcomes, strict=True):
                stopped(supervised.part, went)

    def kill(self) -> None:
        for group in self._groups:
            for supervised in group:
                supervised.kill()

    def snapshot(self) -> list[PartState]:
        return [supervised.snapshot() for group in self._groups for supervised in group]

    def _part_changed(self) -> None:
        self._on_change(self.snapshot())


def _prepare_log(path: Path) -> int:
    """Empty a log that has grown too long; the answer is where this run's lines begin."""
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.write_bytes(b"")
    return path.stat().st_size if path.exists() else 0


def _log_since(path: Path, offset: int) -> str:
    text = path.read_bytes()[offset:].decode(errors="replace").strip()
    if not text:
        return f" It wrote nothing to {path}."
    lines = text.splitlines()[-_SHOWN_LOG_LINES:]
    return f" The end of {path}:\n" + "\n".join(f"  {line}" for line in lines)


def _note(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(f"--- {text}\n")
