"""Limits and circuits in Redis, where all workers share them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, cast

import msgspec
import structlog
from redis.exceptions import AskError, NoScriptError, ResponseError

from services.executor.resilience import scripts
from services.executor.resilience.coalescing import Line
from services.executor.resilience.connection import LostError, packed
from services.executor.resilience.nodes import ASKING, Nodes
from services.executor.resilience.scripts import Command, Reply, Scripts, Timing
from services.executor.resilience.trouble import unavailable
from services.executor.resilience.types import (
    Ask,
    Change,
    Confirmation,
    Decision,
    Limits,
    Outcome,
    ScopeKey,
    Standing,
    StateUnavailableError,
)

_log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.05
_PING: Final = packed("PING")
_MOST_REDIRECTIONS: Final = 4
_MOST_TOGETHER: Final = 256
"""Attempts that one call of a script decides: Redis does nothing else meanwhile."""
_CHECK: Final = Ask(ScopeKey("res:{check}:check"), Limits(1_000, 1, 1_000), max_wait_ms=0, lease_ms=1_000)

Wait = Callable[[asyncio.Future[Any]], Awaitable[Any]]
"""How an answer of Redis is waited for."""


async def _for_ever(said: asyncio.Future[Any]) -> Any:
    return await said


class _Untold(msgspec.Struct, frozen=True, gc=False):
    """Successes of a scope that were not told yet. However many: in a row they reset the count once."""

    ask: Ask
    epoch: int


_Alike = tuple[ScopeKey, Limits, tuple[tuple[ScopeKey, int], ...], int]
_Waiting = tuple[Ask, asyncio.Future[Decision]]


class RedisState:
    """The shared state. One instance serves a worker; it connects when it is first asked, and again after a break.

    `wait` waits for answers, and may give one up by cancelling it. It may still come: a probe that it grants is freed
    then.
    """

    def __init__(
        self, url: str, *, timing: Timing | None = None, texts: Scripts | None = None, wait: Wait = _for_ever
    ) -> None:
        self._nodes = Nodes(url)
        self._wait = wait
        self._timing = timing or Timing()
        self._scripts = texts or scripts.load_scripts()
        self._together: dict[_Alike, list[_Waiting]] = {}
        self._untold: dict[str, _Untold] = {}
        self._flush: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def check(self) -> None:
        """See that Redis does all that is needed; StateUnavailableError says plainly why it would not."""
        await self.ping(_CHECK.scope)
        timing = msgspec.structs.replace(self._timing, keep_ms=1_000, window_ms=1_000)
        await self._run(scripts.acquire_command(self._scripts, timing, _CHECK, 0))
        await self._run(scripts.confirm_command(self._scripts, timing, _CHECK, Decision(True)))
        await self._run(scripts.reset_command(self._scripts, timing, _CHECK.scope))

    async def ping(self, scope: ScopeKey) -> None:
        """See on a second connection that the Redis of `scope` answers."""
        try:
            answer = await self._nodes.beside(scope.prefix).say(_PING)
        except LostError as error:
            raise unavailable(str(error)) from error
        if isinstance(answer, ResponseError):
            raise unavailable(str(answer))

    async def acquire(self, ask: Ask) -> Decision:
        """See `State.acquire`. Those who ask for the same in one turn of the loop are answered by one call."""
        decision: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        if not self._together:
            asyncio.get_running_loop().call_soon(self._ask_together)
        alike = (ask.scope, ask.limits, ask.outer, ask.lease_ms)
        self._together.setdefault(alike, []).append((ask, decision))
        return cast("Decision", await self._wait(decision))

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        """See `State.confirm`."""
        return scripts.read_confirmation(
            await self._run(scripts.confirm_command(self._scripts, self._timing, ask, decision))
        )

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        """See `State.report`. What would change nothing is not sent."""
        cooldown_ms = max(cooldown_ms, 0)
        if not cooldown_ms and (not ask.limits.threshold or (outcome == "neutral" and not decision.probe)):
            return None
        command = self._report(ask, decision.epoch, outcome, cooldown_ms=cooldown_ms, cause=cause)
        return scripts.read_change(await self._run(command), cause)

    def report_later(self, ask: Ask, decision: Decision) -> None:
        """See `State.report_later`."""
        if not ask.limits.threshold or not decision.epoch:
            return
        prefix = ask.scope.prefix
        earlier = self._untold.get(prefix)
        if earlier is not None and earlier.epoch != decision.epoch:
            self._tell([self._success(earlier)])
        self._untold[prefix] = _Untold(ask, decision.epoch)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._tell_all)

    async def reset(self, scope: ScopeKey) -> Change | None:
        """Close the circuit of `scope` and end its cooldown; the change, where it was not closed."""
        return scripts.read_change(await self._run(scripts.reset_command(self._scripts, self._timing, scope)), "")

    async def inspect(self, scope: ScopeKey, logs: Sequence[ScopeKey]) -> Standing:
        """How `scope` stands, and what was granted in `logs`, in their order; all have one connector."""
        return scripts.read_standing(await self._run(scripts.inspect_command(self._scripts, self._timing, scope, logs)))

    async def merge(self, scope: ScopeKey, ages_us: Sequence[int]) -> None:
        """Enter permits that a worker granted by itself into the log of a limit.

        `ages_us`: how long ago each was due, in microseconds, negative where it is still to come.
        """
        await self._run(scripts.merge_command(self._scripts, self._timing, scope, ages_us))

    async def lost(self, hold_ms: int = 0) -> int:
        """For how many more milliseconds it counts that workers have gone without Redis.

        With `hold_ms` it counts for so long at least: say so after going without it.
        """
        return scripts.read_lost(await self._run(scripts.lost_command(self._scripts, _CHECK.scope, hold_ms)))

    async def hang_up(self) -> None:
        """Drop the connections, and all answers that are still to come; the next question makes new ones."""
        await self._nodes.close()

    async def close(self) -> None:
        """Tell what is untold, and disconnect."""
        self._tell_all()
        if self._background:
            await asyncio.wait(self._background, timeout=FLUSH_SECONDS * 10)
        for task in self._background:
            task.cancel()
        await self._nodes.close()

    def _report(self, ask: Ask, epoch: int, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = "") -> Command:
        untold = self._untold.pop(ask.scope.prefix, None)
        return scripts.report_command(
            *(self._scripts, self._timing, ask, epoch, outcome),
            told=untold.epoch if untold else 0,
            cooldown_ms=cooldown_ms,
            cause=cause,
        )

    def _success(self, untold: _Untold) -> Command:
        return scripts.report_command(
            *(self._scripts, self._timing, untold.ask, untold.epoch, "success"), told=0, cooldown_ms=0, cause=""
        )

    def _tell_all(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        untold, self._untold = self._untold, {}
        if untold:
            self._tell([self._success(one) for one in untold.values()])

    def _tell(self, commands: list[Command]) -> None:
        """Send reports that nobody waits for."""
        said = [(command, line := self._line(command), line.say(_wire(command))) for command in commands]
        self._in_background(self._settle(said))

    def _ask_together(self) -> None:
        together, self._together = self._together, {}
        for asked in together.values():
            waiting = [(ask, decision) for ask, decision in asked if not decision.done()]
            for first in range(0, len(waiting), _MOST_TOGETHER):
                self._ask(waiting[first : first + _MOST_TOGETHER])

    def _ask(self, waiting: list[_Waiting]) -> None:
        (ask, _), *others = waiting
        untold = self._untold.pop(ask.scope.prefix, None)
        told = untold.epoch if untold else 0
        command = scripts.acquire_command(*(self._scripts, self._timing, ask, told), [other for other, _ in others])
        line = self._line(command)

        def then(answer: Any) -> None:
            if isinstance(answer, bytes):
                self._hand_out(waiting, _read(answer))
            else:
                self._in_background(self._ask_again(waiting, command, line, answer))

        line.send(_wire(command), then)

    async def _ask_again(self, waiting: list[_Waiting], command: Command, line: Line, answer: Any) -> None:
        try:
            self._hand_out(waiting, await self._finish(command, line, answer, _for_ever))
        except StateUnavailableError as error:
            for _, decision in waiting:
                if not decision.done():
                    decision.set_exception(error)
                    decision.exception()

    def _hand_out(self, waiting: list[_Waiting], reply: Reply) -> None:
        for (ask, awaited), decision in zip(waiting, scripts.read_decisions(reply, waiting[0][0]), strict=True):
            if not awaited.done():
                awaited.set_result(decision)
            elif decision.probe:
                # Given up, and granted all the same: the permit is spent, and the probe is freed.
                self._tell([self._report(ask, decision.epoch, "neutral")])

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _settle(self, said: list[tuple[Command, Line, asyncio.Future[Any]]]) -> None:
        for command, line, answer in said:
            try:
                await self._finish(command, line, await self._answer(answer, self._wait), self._wait)
            except StateUnavailableError as error:
                _log.debug("reports_untold", reason=str(error))

    def _line(self, command: Command) -> Line:
        return self._nodes.line(command.keys[0])

    async def _run(self, command: Command) -> Reply:
        line = self._line(command)
        return await self._finish(command, line, await self._answer(line.say(_wire(command)), self._wait), self._wait)

    async def _answer(self, said: asyncio.Future[Any], wait: Wait) -> Any:
        """The answer, a LostError being one."""
        try:
            return await wait(said)
        except LostError as error:
            return error

    async def _finish(self, command: Command, line: Line, answer: Any, wait: Wait) -> Reply:
        """The reply, after what Redis wants first: the script's text, or another node."""
        for _ in range(_MOST_REDIRECTIONS):
            if isinstance(answer, NoScriptError):
                answer = await self._answer(line.say(_wire(command, with_text=True)), wait)
            elif isinstance(answer, AskError):
                line = await self._nodes.redirected(answer)
                line.say(ASKING)
                answer = await self._answer(line.say(_wire(command)), wait)
            else:
                break
        if isinstance(answer, LostError) and self._nodes.clustered:
            self._in_background(self._nodes.discover())
        if not isinstance(answer, bytes):
            raise unavailable(str(answer))
        return _read(answer)


def _read(answer: bytes) -> Reply:
    reply = scripts.unpack(answer)
    if reply[1]:
        _log.warning("scope_repaired", keys=scripts.repaired_keys(reply), found="what no worker had written")
    return reply


def _wire(command: Command, *, with_text: bool = False) -> bytes:
    script = command.script
    head = ("EVAL", script.source) if with_text else ("EVALSHA", script.sha)
    return packed(*head, len(command.keys), *command.keys, *command.arguments)
