"""A request's turn to send: a slot of the bulkhead and a permit, and all the waiting for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Protocol

from services.executor.domain.classify import Effect
from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.guard import SHORT_WAIT, Guard, Permit
from services.executor.resilience.scopes import Hold
from shared.contracts.errors import DibopError

Sleep = Callable[[float], Awaitable[None]]


class Place(Protocol):
    """A request's place among those that its worker works on. It is given up while the request only waits."""

    def give_up(self) -> None: ...

    def take_back(self) -> None: ...

    def sent(self) -> None:
        """From now on something may have gone out."""
        ...


class _NoPlace:
    def give_up(self) -> None: ...

    def take_back(self) -> None: ...

    def sent(self) -> None: ...


NO_PLACE: Final[Place] = _NoPlace()
"""Of a request that stands in nobody's way."""


class MustWait(Exception):  # noqa: N818 - not an error: the attempt goes on after `Turn.wait_until_due`
    """The permit was void when the connection was ready, and the new one is not due yet."""


class NoPermit(Exception):  # noqa: N818 - not an error: the redirect itself is the result then
    """There is no permit for a redirect within the attempt's time."""


class Turn:
    """One for a request, used for each of its attempts: `take`, send with `before_send`, `leave_slot`, `report`.

    A slot is held from the permit to the last byte, and never while waiting. `attempt_ms` is what one attempt may
    take, `deadline` a time of `monotonic`. Whatever waits raises `rate-limited`, `circuit-open` or
    `deadline-exceeded` where the wait would be in vain.
    """

    __slots__ = ("_attempt_ms", "_bulkhead", "_deadline", "_has_slot", "_hold", "_permit", "_place", "_sleep", "guard")

    def __init__(
        self,
        guard: Guard,
        bulkhead: Bulkhead,
        hold: Hold,
        *,
        attempt_ms: int,
        deadline: float,
        place: Place,
        sleep: Sleep,
    ) -> None:
        self.guard = guard
        self._bulkhead = bulkhead
        self._hold = hold
        self._attempt_ms = attempt_ms
        self._deadline = deadline
        self._place = place
        self._sleep = sleep
        self._permit: Permit | None = None
        self._has_slot = False

    async def take(self) -> None:
        """Return when the attempt may be sent at once."""
        await self._take_slot()
        permit = await self._acquire()
        if permit.due > monotonic():
            await self.wait_until_due()

    async def wait_until_due(self) -> None:
        """Return at the permit's time, or at that of the one that takes its place; with a slot."""
        permit = self._held()
        while (wait := permit.due - monotonic()) > SHORT_WAIT:
            self.leave_slot()
            await self.pause(wait)
            await self._take_slot()
            self._permit = await self.guard.confirm(self._hold, permit)
            if self._permit is not None:
                return
            permit = await self._renew()
        if wait > 0:
            await self._sleep(wait)

    def before_send(self) -> Awaitable[None] | None:
        """On an open connection: a permit that took too long to be used is void, and another is taken."""
        if monotonic() <= self._held().sent_by:
            self._place.sent()
            return None
        return self._send_with_new_permit()

    async def before_redirect(self, end: float) -> None:
        """The same for a redirect, which the external system counts as well; NoPermit where it comes after `end`."""
        wait = await self.guard.acquire_redirect(self._hold, end - monotonic())
        if wait is None:
            raise NoPermit
        if wait > 0:
            await self._sleep(wait)

    async def report(self, effect: Effect, *, cooldown_ms: int = 0, cause: str = "") -> bool:
        """Tell how the attempt went; True where that has opened the circuit.

        There is nothing to tell of one whose time ran out while it asked for another permit.
        """
        permit, self._permit = self._permit, None
        if permit is None:
            return False
        return await self.guard.report(self._hold, permit, effect, cooldown_ms=cooldown_ms, cause=cause)

    def leave_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._bulkhead.leave(self._hold.slots)

    async def end(self) -> None:
        """Leave nothing behind, wherever the turn has come to."""
        self.leave_slot()
        permit, self._permit = self._permit, None
        if permit is not None:
            await self.guard.give_up(permit)

    async def pause(self, seconds: float) -> None:
        """Wait, and stand in nobody's way meanwhile."""
        self._place.give_up()
        try:
            await self._sleep(seconds)
        finally:
            self._place.take_back()

    async def _take_slot(self) -> None:
        bulkhead, slots = self._bulkhead, self._hold.slots
        if bulkhead.take(slots):
            self._has_slot = True
            return
        self.guard.counters.slots_waited += 1
        self._place.give_up()
        try:
            self._has_slot = await bulkhead.wait(slots, self._deadline - monotonic())
        finally:
            self._place.take_back()
        if not self._has_slot:
            raise _no_slot(self._hold, bulkhead.size)

    async def _acquire(self) -> Permit:
        left = self._deadline - monotonic()
        self._permit = permit = await self.guard.acquire(self._hold, attempt_ms=self._attempt_ms, left=left)
        return permit

    async def _renew(self) -> Permit:
        """Another permit for one that has become void."""
        self.guard.counters.permits_void += 1
        permit, self._permit = self._permit, None
        if permit is not None:
            await self.guard.give_up(permit)
        return await self._acquire()

    async def _send_with_new_permit(self) -> None:
        permit = await self._renew()
        wait = permit.due - monotonic()
        if wait > SHORT_WAIT:
            raise MustWait
        if wait > 0:
            await self._sleep(wait)
        self._place.sent()

    def _held(self) -> Permit:
        if self._permit is None:
            raise RuntimeError("there is no permit")
        return self._permit


def _no_slot(hold: Hold, size: int) -> DibopError:
    return DibopError(
        "deadline-exceeded",
        f"This worker had {size} attempts in flight at this connection of connector {hold.target.connector!r} until "
        "the caller's deadline. Nothing was sent; allow more time, or run more workers.",
        outcome="not_sent",
    )
