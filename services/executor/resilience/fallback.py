"""The shared state while it answers, this worker's own while it does not.

An answer that is 50 ms late is first looked for once more, since it is mostly the loop that was late. Then a second
connection asks whether Redis is there at all. Only where that has no answer within 50 ms either, or where a connection
broke, does the worker go on alone; else it waits on, 250 ms in all.

Back again, it first enters what it has granted alone into the shared logs, and for one further window it holds to both
its own share and the shared limits: others may have been alone for longer, and what they have sent is not entered yet,
or never will be, where they were killed. Those that start within that window find it marked in Redis, and do the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from math import inf
from time import monotonic
from typing import Any, Final

import msgspec
import structlog

from services.executor.resilience.counters import FallbackCounters
from services.executor.resilience.local import LocalState
from services.executor.resilience.on_loss import OnLoss
from services.executor.resilience.patience import GivenUpError, Patience
from services.executor.resilience.types import (
    PLACE,
    Ask,
    Change,
    Confirmation,
    Decision,
    Outcome,
    ScopeKey,
    SharedState,
    StateUnavailableError,
)
from shared.tasks import end, mark_seen

SUSPECT_TICKS: Final = 6
"""An answer that is still missing at the sixth tick of 10 ms has been waited for for 50 ms."""
PING_TICKS: Final = 5
LIMIT_TICKS: Final = 25
SHORT_WAIT_MS: Final = 20
"""What a permit of the shared state may come too early for this worker's own share."""
_START_SECONDS: Final = 2.0
_RETURN_SECONDS: Final = 0.5
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_STEADY_SECONDS: Final = 10.0
"""After so long with Redis, its next loss is a new one, and its return is looked for at once."""
_ANY: Final = ScopeKey("res:{check}:check")
_TIDY_SECONDS: Final = 60.0
_ALL_BACK_SECONDS: Final = _LONGEST_PAUSE + _RETURN_SECONDS
"""So long after the first of the workers all the others are back as well."""
_CLOSED: Final = Decision(
    False,
    refused="circuit-open",
    retry_after_ms=1000,
    cause="Redis is away, and nothing is to be sent without it",
    local=True,
)

_log = structlog.get_logger(__name__)


class FallbackState:
    """One for a worker. `patience` is the one that `shared` waits with; `window` is in seconds, as `clock` is."""

    def __init__(
        self,
        shared: SharedState,
        local: LocalState,
        patience: Patience,
        on_loss: OnLoss,
        *,
        window: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._shared = shared
        self._local = local
        self._patience = patience
        self._on_loss = on_loss
        self._window = window
        self._clock = clock
        self._asked_for: ScopeKey | None = None
        self._lost: ScopeKey | None = None
        self._back_at = self._held_until = -inf
        self._pause = _FIRST_PAUSE
        self._ping: asyncio.Task[None] | None = None
        self._pinged = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.counters = FallbackCounters()
        patience.on_overdue = self._overdue

    @property
    def away(self) -> bool:
        """True while this worker goes without the shared state."""
        return self._lost is not None

    async def start(self) -> None:
        """See that Redis does what is needed; where it does not, the log says why, and this worker begins alone."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._shared.check()
                await self._hold_with_others()
        except TimeoutError:
            self._lose("it does not answer; see whether DIBOP_REDIS_URL is right", _ANY)
        except StateUnavailableError as error:
            self._lose(str(error), _ANY)
        self._run(self._look_again())
        self._run(self._keep_tidy())

    async def stop(self) -> None:
        self._patience.close()
        await end(*self._tasks)

    # ---- the state that the pipeline asks -----------------------------------------------------
    async def acquire(self, ask: Ask) -> Decision:
        """Never raises: where there is no answer, this worker decides."""
        if self._lost is not None:
            return self._alone(ask)
        if self._held_until > self._clock() and (held := self._by_own_share(ask)) is not None:
            return held
        self._asked_for = ask.scope
        try:
            decision = await self._shared.acquire(ask)
        except StateUnavailableError as error:
            self._failed(error, ask.scope)
            return self._alone(ask)
        self._local.heard(ask, decision)
        return decision

    async def confirm(self, ask: Ask, decision: Decision) -> Confirmation:
        """Never raises."""
        if decision.epoch == PLACE:
            self._local.take_back(ask, decision)
            return Confirmation("void")
        if decision.local or self._lost is not None:
            return self._local.confirm(ask, decision)
        self._asked_for = ask.scope
        try:
            return await self._shared.confirm(ask, decision)
        except StateUnavailableError as error:
            self._failed(error, ask.scope)
            return self._local.confirm(ask, decision)

    async def report(
        self, ask: Ask, decision: Decision, outcome: Outcome, *, cooldown_ms: int = 0, cause: str = ""
    ) -> Change | None:
        """Never raises. What this worker decides alone is no change of the circuit that all share."""
        alone = decision.local or self._lost is not None
        self._local.reported(ask, decision, outcome, cooldown_ms=cooldown_ms, cause=cause, alone=alone)
        if self._lost is not None or (decision.local and not cooldown_ms):
            return None
        self._asked_for = ask.scope
        try:
            change = await self._shared.report(ask, decision, outcome, cooldown_ms=cooldown_ms, cause=cause)
        except StateUnavailableError as error:
            self._failed(error, ask.scope)
            return None
        if change is not None:
            self._local.changed(ask, change)
        return change

    def report_later(self, ask: Ask, decision: Decision) -> None:
        self._local.reported(ask, decision, "success")
        if self._lost is None and not decision.local:
            self._shared.report_later(ask, decision)

    # ---- without an answer --------------------------------------------------------------------
    def _alone(self, ask: Ask) -> Decision:
        loss = self._on_loss.of(ask.scope)
        if loss == "local":
            return self._local.acquire(ask)
        if loss == "open":
            return self._local.grant(ask)
        return _CLOSED

    def _by_own_share(self, ask: Ask) -> Decision | None:
        """What this worker's own share says against asking the shared state now; None where nothing does."""
        if self._on_loss.of(ask.scope) != "local":
            return None
        held = self._local.wait(ask, until=self._held_until)
        if held is None:
            return None
        if held.granted and held.wait_ms <= SHORT_WAIT_MS:
            self._local.take_back(ask, held)
            return None
        return msgspec.structs.replace(held, epoch=PLACE if held.granted else 0, local=False)

    def _failed(self, error: StateUnavailableError, scope: ScopeKey) -> None:
        if isinstance(error, GivenUpError):
            self.counters.given_up += 1
        else:
            self._lose(str(error), scope)

    # ---- lost ---------------------------------------------------------------------------------
    def _overdue(self) -> None:
        """At each tick with an answer overdue: ask on a second connection, and see whether that is overdue too."""
        scope = self._asked_for
        if self._lost is not None or scope is None:
            return
        since = self._patience.ticks - self._pinged
        if self._ping is None or since > PING_TICKS:
            self._pinged = self._patience.ticks
            self._ping = self._run(self._shared.ping(scope))
        elif self._ping.done():
            if (error := self._ping.exception()) is not None:
                self._lose(str(error), scope)
        elif since == PING_TICKS:
            self._ping.cancel()
            self._lose("it does not answer, on a second connection neither", scope)

    def _lose(self, reason: str, scope: ScopeKey) -> None:
        if self._lost is not None:
            return
        self._lost, self._ping = scope, None
        self.counters.losses += 1
        _log.error("Redis is away: this worker goes on by itself, as DIBOP_ON_STATE_LOSS says", reason=reason)
        self._patience.give_up_all()
        if self._clock() - self._back_at > _STEADY_SECONDS:
            self._pause = _FIRST_PAUSE
        self._run(self._return(scope))

    async def _return(self, scope: ScopeKey) -> None:
        """Come back as soon as Redis answers, and has what this worker granted alone."""
        while not await self._is_back(scope):  # noqa: ASYNC110 - nobody tells us, so we ask
            await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._back_at = self._clock()
        self._held_until = self._back_at + self._window + _ALL_BACK_SECONDS
        self._lost = None
        _log.warning("Redis is back: limits and circuits are shared again", merged=self.counters.merged)
        with contextlib.suppress(StateUnavailableError):
            await self._merge()  # what was granted while the rest was under way

    async def _is_back(self, scope: ScopeKey) -> bool:
        try:
            async with asyncio.timeout(_RETURN_SECONDS):
                await self._shared.ping(scope)
                await self._shared.check()
                await self._shared.lost(round((self._window + _ALL_BACK_SECONDS) * 1000))
            await self._merge()
        except GivenUpError:
            await self._shared.hang_up()  # the second connection is answered, and the first is not: it leads nowhere
        except (TimeoutError, StateUnavailableError):
            pass
        else:
            return True
        return False

    async def _merge(self) -> None:
        """Enter what was granted alone; what cannot be entered now is left for the next time."""
        unshared = self._local.take_unshared()
        try:
            while unshared:
                await self._shared.merge(unshared[-1].scope, self._local.ages_us(unshared[-1]))
                self.counters.merged += len(unshared.pop().times)
        finally:
            for left in unshared:
                self._local.put_back(left)

    async def _hold_with_others(self) -> None:
        """Where workers have lost Redis lately, hold to this one's share as well for as long as they do."""
        left, now = await self._shared.lost() / 1000, self._clock()
        if left and self._held_until <= now:
            _log.warning("Others have gone without Redis: this worker begins with its share of limits", seconds=left)
        self._held_until = max(self._held_until, now + left)

    async def _look_again(self) -> None:
        """One that was still without Redis when this worker started may have come back only then."""
        await asyncio.sleep(_ALL_BACK_SECONDS)
        if self._lost is None:
            with contextlib.suppress(StateUnavailableError):
                await self._hold_with_others()

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            self._local.forget_idle()

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        mark_seen(task)
