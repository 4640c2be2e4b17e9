"""Test runs of drafts: started, followed step by step, shown, listed and cancelled.

run = await Publisher(client, enterprise).start_test(command)
async for step in Publisher(client, enterprise).follow_test(run.slug, run.run_id):
    print(step.name, step.outcome)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from dibop.client import COMMAND_SECONDS, Client, EventStream, Reply
from dibop.errors import NotAllowedError
from shared.contracts import commands as c
from shared.contracts.events import Event

_HEARING_SECONDS: Final = 2.0
"""Where progress is heard, the publisher is asked after so long a silence."""
_FIRST_ASKING_SECONDS: Final = 0.05
_LAST_ASKING_SECONDS: Final = 1.0
"""Where it is not, the publisher is asked again and again: soon at first, then ever less often."""


class TestRuns:
    """The test runs of one owner's drafts; a part of `dibop.admin.Publisher`."""

    def __init__(self, client: Client, enterprise: str) -> None:
        self._client = client
        self.enterprise = enterprise

    async def plan_test(self, slug: str, operations: list[str] | None = None) -> c.TestPlan:
        """Which operations a test would run, and why not the others."""
        return await self._of_tests("plan", c.PlanTest(slug=slug, operations=operations), c.TestPlan)

    async def start_test(self, command: c.StartTest) -> c.TestStarted:
        """Begin a run, which goes on by itself; ConflictError while the caller has one of this connector."""
        return await self._of_tests("start", command, c.TestStarted)

    async def test(self, run_id: str, operation: str | None = None) -> c.TestRun:
        """A run as it stands; with `operation` that step alone, with what it sent and got."""
        return await self._of_tests("show", c.ShowTest(run_id=run_id, operation=operation), c.TestRun)

    async def tests(self, query: c.ListTests) -> c.TestPage:
        """A page of a connector's runs, newest first."""
        return await self._of_tests("list", query, c.TestPage)

    async def cancel_test(self, run_id: str) -> c.TestCancelled:
        """End a run; what it found until then stays evidence."""
        return await self._of_tests("cancel", c.CancelTest(run_id=run_id), c.TestCancelled)

    async def run_test(self, command: c.StartTest) -> c.TestRun:
        """A whole run, from its start to its end."""
        started = await self.start_test(command)
        async for _ in self.follow_test(started.slug, started.run_id):
            pass
        return await self.test(started.run_id)

    async def follow_test(self, slug: str, run_id: str) -> AsyncIterator[c.TestStep]:
        """Each step as it begins (without `outcome`) and as it ends, until the run has ended.

        What happened before comes first. Steps may be told by their end alone. Where the caller may not hear the
        events, the publisher is asked instead.
        """
        following = _Following(run_id)
        async with AsyncExitStack() as stack:
            heard = await self._hear(slug, stack)
            asking = _FIRST_ASKING_SECONDS
            while True:
                run = await self.test(run_id)
                news = following.news(run.steps)
                for step in news:
                    yield step
                if run.state != "running":
                    return
                asking = _FIRST_ASKING_SECONDS if news else min(2 * asking, _LAST_ASKING_SECONDS)
                async for step in following.heard(heard, asking):
                    yield step

    async def _hear(self, slug: str, stack: AsyncExitStack) -> EventStream | None:
        stream = self._client.events(f"connector.{slug}.*", enterprises=(self.enterprise,))
        try:
            return await stack.enter_async_context(stream)
        except NotAllowedError:
            return None

    async def _of_tests(self, verb: str, body: c.Message, reply: type[Reply]) -> Reply:
        return await self._client.command(
            "publisher", self.enterprise, "test", verb, body, reply, timeout=COMMAND_SECONDS
        )


class _Following:
    """What is known of a run's steps."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._known: dict[int, int] = {}
        self._hears = False

    def news(self, steps: list[c.TestStep]) -> list[c.TestStep]:
        """Those of which something new is said, in the order in which it happened."""
        news = sorted((step for step in steps if step.seq > self._known.get(step.number, 0)), key=lambda s: s.seq)
        self._known |= {step.number: step.seq for step in news}
        return news

    async def heard(self, events: EventStream | None, asking_seconds: float) -> AsyncIterator[c.TestStep]:
        """What the events tell, until the publisher should be asked."""
        if events is None:
            await asyncio.sleep(asking_seconds)
            return
        while True:
            try:
                event = await events.next(_HEARING_SECONDS if self._hears else asking_seconds)
            except TimeoutError:
                return
            if event.data.get("run_id") != self._run_id:
                continue
            if event.what != "test_progressed":
                return
            self._hears = True
            missed = self._misses(event)
            for step in self.news([c.TestProgress.model_validate(dict(event.data)).step]):
                yield step
            if missed:
                return

    def _misses(self, event: Event) -> bool:
        """Whether something before this event was not heard."""
        return int(event.data.get("seq", 0)) > max(self._known.values(), default=0) + 1
