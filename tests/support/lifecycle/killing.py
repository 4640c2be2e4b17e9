"""Registry and publisher as processes that are killed at random moments, while commands come without end.

Each connector has a commander, who repeats a command until it is answered for certain, so that the model still knows
what has to stand, be told and be logged: everything once, whichever answers were lost.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.contracts.errors import DibopError
from tests.support.connectors import connection
from tests.support.lifecycle import drafting, moving, resting
from tests.support.lifecycle.content import Content
from tests.support.lifecycle.names import Names
from tests.support.lifecycle.people import HOME, KIM, PAT, PLATFORM, Person
from tests.support.lifecycle.state import RefusedError, State, Version
from tests.support.lifecycle.world import Answer, World, watched
from tests.support.processes import ManagedProcess
from tests.support.tokens import Tokens

SLUGS: Final = ("crm", "erp", "dms")
_REPOSITORY: Final = Path(__file__).parents[3]
_PASSING: Final = frozenset({"overloaded", "deadline-exceeded"})
"""Whether the command was carried out is not known, or it was not: it is repeated."""
_ANSWER_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.02
_NAMES: Final = Names(0)
_LIFE_SECONDS: Final = 0.7
"""At most so long a service lives that has just been started."""


@dataclass
class Services:
    """The two processes, over one NATS and their databases."""

    environments: Mapping[str, Mapping[str, str]]
    directory: Path
    running: dict[str, ManagedProcess] = field(default_factory=dict)
    _starts: Iterator[int] = field(default_factory=itertools.count)

    async def start(self, name: str) -> None:
        process = ManagedProcess(
            [sys.executable, "-m", f"services.{name}"],
            log=self.directory / f"{name}-{next(self._starts)}.log",
            ready=lambda: '"event": "Ready"' in process.output,
            environment=self.environments[name],
            cwd=_REPOSITORY,
        )
        self.running[name] = process
        await asyncio.to_thread(process.start)

    def kill(self, name: str) -> None:
        self.running[name].kill()

    async def stop(self) -> None:
        for process in self.running.values():
            await asyncio.to_thread(process.stop)


@dataclass
class Commander:
    """Moves one connector of the platform, and makes and deletes a connection to it, at random and for ever."""

    world: World
    state: State
    slug: str
    chance: random.Random
    words: int = 0
    commands: int = 0
    repeated: int = 0

    async def command(self, until: Callable[[], bool]) -> None:
        await self._publish()
        while not until():
            await self.chance.choice(
                [self._publish, self._roll_back, self._withdraw, self._connect, self._disconnect]
            )()

    async def _publish(self) -> None:
        self.words += 1
        content = Content(words=self.words, operations=self.chance.choice([("now",), ("later", "now")]))
        base = len(self.state.drafts.get(self._place, [])) or None
        body = {"document": content.document(self._real), "base_revision": base}
        await self._do(PAT, "registry.draft.save", body, drafting.save, self._place, content, base)
        await self._test(content)
        publish = {"scope": "catalogue"}
        await self._do(
            PAT,
            "publisher.connector.publish",
            publish,
            moving.publish,
            self._place,
            "catalogue",
            None,
            reviews_platform=False,
        )

    async def _test(self, content: Content) -> None:
        """Until a run has passed: one whose publisher is killed is broken off."""
        moving.test(self.state, PAT, self._place, ())
        body = {"slug": self._real, "parameters": {each: {"q": "x"} for each in content.operations}}
        while True:
            started = await self._platform("test.start", body)
            run = started if isinstance(started, DibopError) else await self._ended(started["run_id"])
            if not isinstance(run, DibopError) and run["state"] == "passed":
                return
            await asyncio.sleep(_PAUSE_SECONDS)
            listed = await self._platform("test.list", {"slug": self._real})
            for each in [] if isinstance(listed, DibopError) else listed["runs"]:
                if each["state"] == "running":
                    await self._platform("test.cancel", {"run_id": each["run_id"]})

    async def _ended(self, run: str) -> Answer | DibopError:
        """The run once it stands still: ended, or without a publisher that shows it."""
        deadline = asyncio.get_running_loop().time() + _ANSWER_SECONDS
        while True:
            shown = await self._platform("test.show", {"run_id": run})
            late = asyncio.get_running_loop().time() > deadline
            if isinstance(shown, DibopError) or shown["state"] != "running" or late:
                return shown
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _platform(self, what: str, body: dict[str, Any]) -> Answer | DibopError:
        return await self.world.ask(PAT, PLATFORM, f"publisher.v1.{PLATFORM}.{what}", body, _ANSWER_SECONDS)

    async def _roll_back(self) -> None:
        name = self._any().name
        await self._do(
            PAT, "publisher.connector.rollback", {"version": name}, moving.roll_back, self._place, name, None
        )

    async def _withdraw(self) -> None:
        wanted = self.chance.choice(["deprecated", "unpublished", "retired"])
        name = self._any().name if self.chance.random() < 0.8 else None
        body = {"version": name}
        what = f"publisher.connector.{moving.VERBS[wanted]}"
        await self._do(PAT, what, body, moving.withdraw, self._place, wanted, name, None, None)

    async def _connect(self) -> None:
        body = connection(self._home, PLATFORM, connector=self._real, version_policy="^1").model_dump()
        args = ((HOME, self.slug), PLATFORM, "default", "^1", body["id"])
        await self._do(KIM, "registry.connection.create", body, drafting.connect, *args)

    async def _disconnect(self) -> None:
        body = {"connector": self._real, "name": "default"}
        await self._do(KIM, "registry.connection.delete", body, drafting.disconnect, (HOME, self.slug), "default")

    async def _do(
        self, person: Person, what: str, body: dict[str, Any], foretell: Callable[..., Answer], *args: Any, **named: Any
    ) -> None:
        """Repeat the command until it is answered for certain; AssertionError for another outcome than foretold."""
        plane, _, command = what.partition(".")
        enterprise, home = (PLATFORM, PLATFORM) if person is PAT else (self._home, self._home)
        sent = body if "connection" in command else {"slug": self._real, **body}
        self.commands += 1
        lost = False
        while True:
            answer = await self.world.ask(person, home, f"{plane}.v1.{enterprise}.{command}", sent, _ANSWER_SECONDS)
            if not isinstance(answer, DibopError) or answer.code not in _PASSING:
                break
            lost = True
            await asyncio.sleep(_PAUSE_SECONDS)
        self.repeated += lost
        codes: tuple[str, ...] = ()
        try:
            foretold = foretell(self.state, person, *args, **named)
        except RefusedError as refused:
            codes, foretold = refused.codes, {}
        if codes:
            assert isinstance(answer, DibopError), f"{what} {body} must be refused with {codes}: {answer}"
            assert answer.code in codes, f"{what} {body}: {codes} instead of {answer}"
            return
        if lost and isinstance(answer, DibopError):
            assert (what, answer.code) == ("registry.connection.delete", "not-found"), f"{what} {body}: {answer}"
            return
        assert not isinstance(answer, DibopError), f"{what} {body} must be done: {answer}"
        unsure = {"changed", "owner", "versions"} if lost else {"owner"}
        for name in foretold.keys() - unsure:
            assert answer[name] == foretold[name], f"{what} {body}: {answer} instead of {foretold}"

    def _any(self) -> Version:
        return self.chance.choice(self.state.of(self._place))

    @property
    def _place(self) -> tuple[str, str]:
        return PLATFORM, self.slug

    @property
    def _real(self) -> str:
        return _NAMES.real(self.slug)

    @property
    def _home(self) -> str:
        return _NAMES.real(HOME)


async def live_through_kills(
    nats_url: str, tokens: Tokens, directory: Path, *, kills: int, chance: random.Random
) -> tuple[int, int]:
    """Kill one of the two `kills` times; how many commands were given, and how many of them more than once."""
    async with watched(nats_url, tokens, directory) as world:
        services = Services(world.environments, directory)
        try:
            for name in world.environments:
                await services.start(name)
            state, over = State(), asyncio.Event()
            commanders = [Commander(world, state, slug, chance) for slug in SLUGS]
            async with asyncio.TaskGroup() as group:
                for commander in commanders:
                    group.create_task(commander.command(over.is_set))
                for _ in range(kills):
                    await asyncio.sleep(chance.uniform(0, _LIFE_SECONDS))
                    name = chance.choice(list(world.environments))
                    services.kill(name)
                    await services.start(name)
                over.set()
            await resting.check(world, state, _NAMES, sure=False)
            await resting.nothing_drifts(world)
        finally:
            await services.stop()
        return sum(each.commands for each in commanders), sum(each.repeated for each in commanders)
