"""The test runs of this process, and those that another one left behind.

A run that goes on beats: by that its own process hears that somebody has ended it, and the others that its process
is alive. One whose beats have stood still for a while is marked as interrupted, by whoever sees it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from services.publisher.domain import runs
from services.publisher.domain.runs import Run
from services.publisher.handlers import test_records
from services.publisher.handlers.ports import Ending, Ports
from services.publisher.handlers.test_steps import Going, Job, RunEndedError
from shared.contracts.clock import utc_now
from shared.contracts.commands import TestState, TestStep
from shared.contracts.errors import DibopError
from shared.tasks import end, mark_seen, unbroken

MOST_AT_ONCE: Final = 64
_BEAT_SECONDS: Final = 1.0
_LEASE_SECONDS: Final = 5.0
_STOPPED: Final = "The publisher stopped before the run had ended. Start it again."
_LOST: Final = "The publisher that was at the run is gone. Start it again."
_BROKEN: Final = "Something broke in the publisher; its log has the run's id. Start the run again."

_log = structlog.get_logger(__name__)


class DraftTester:
    """Brings runs to their end, each in a task of its own; `seconds` bounds one."""

    def __init__(
        self,
        ports: Ports,
        *,
        seconds: float,
        beat_seconds: float = _BEAT_SECONDS,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        self._ports = ports
        self._seconds = seconds
        self._beat_seconds = beat_seconds
        self._lease_seconds = lease_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, Run] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._seen: dict[str, tuple[int, float]] = {}
        self._keeper: asyncio.Task[None] | None = None

    def require_room(self) -> None:
        """Refuse one more where there are too many."""
        if len(self._tasks) >= MOST_AT_ONCE:
            raise DibopError(
                "overloaded", f"The publisher has {MOST_AT_ONCE} test runs under way. Repeat when one has ended."
            )

    def begin(self, job: Job) -> None:
        """Let a run that is kept already go on by itself."""
        task = asyncio.create_task(self._run(job), name=f"test run {job.run.id}")
        self._tasks[job.run.id], self._runs[job.run.id] = task, job.run
        task.add_done_callback(lambda _: self._forget(job.run.id))

    def leave(self, identifier: str) -> None:
        """Stop what is under way here of a run that has ended."""
        task = self._tasks.get(identifier)
        if task is not None:
            ending = asyncio.create_task(end(task))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def start(self) -> None:
        """Look after runs from now on."""
        await self._look_for_lost()
        self._keeper = asyncio.create_task(self._keep(), name="test runs")

    async def stop(self) -> None:
        """Mark what is under way as interrupted."""
        if self._keeper is not None:
            await end(self._keeper)
        left = list(self._runs.values())
        await end(*self._tasks.values(), *self._ending)
        for run in left:
            await self.break_off(run, "interrupted", _STOPPED)

    async def break_off(self, run: Run, state: TestState, reason: str, *, ended_by: str | None = None) -> Run | None:
        """End a run before its last step; None where it had ended. What had not been done is skipped."""

        def ending(kept: Run, steps: list[TestStep]) -> Ending:
            ended, left = runs.broken_off(kept, steps, state=state, reason=reason, at=utc_now())
            told = test_records.completed(ended, left)
            return Ending(ended, left, told, test_records.audit(ended, ended_by=ended_by))

        return await self._ports.runs.end(run.owner, run.id, ending)

    async def _run(self, job: Job) -> None:
        try:
            await Going(job, self._ports, seconds=self._seconds).to_the_end()
        except RunEndedError:
            _log.info("A test run was ended", connector=job.run.slug, owner=job.run.owner, run_id=job.run.id)
        except Exception:  # noqa: BLE001  # whatever broke, the run has an end
            _log.exception("A test run broke", connector=job.run.slug, owner=job.run.owner, run_id=job.run.id)
            await self.break_off(job.run, "interrupted", _BROKEN)

    def _forget(self, identifier: str) -> None:
        task = self._tasks.pop(identifier)
        self._runs.pop(identifier, None)
        mark_seen(task)  # what a run that broke could not even tell is found by its beats

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            try:
                await unbroken(self._beat())
            except Exception:  # noqa: BLE001  # the database may be back in a moment
                _log.exception("Test runs could not be looked after")

    async def _beat(self) -> None:
        for identifier, run in list(self._runs.items()):
            if not await self._ports.runs.beat(run):
                self.leave(identifier)
        await self._look_for_lost()

    async def _look_for_lost(self) -> None:
        now = time.monotonic()
        seen: dict[str, tuple[int, float]] = {}
        for run, beats in await self._ports.runs.under_way():
            if run.id in self._tasks:
                continue
            known = self._seen.get(run.id)
            seen[run.id] = known if known is not None and known[0] == beats else (beats, now)
            if now - seen[run.id][1] >= self._lease_seconds:
                _log.warning("A test run was interrupted", connector=run.slug, owner=run.owner, run_id=run.id)
                await self.break_off(run, "interrupted", _LOST)
        self._seen = seen
