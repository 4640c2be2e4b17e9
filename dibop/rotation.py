"""Rotation of the sealing key while executions go on. What is done stands in the key files and in the registry alone.

The order is what keeps every value readable at every moment:

1. a new key is made and written into the ring, where nothing is sealed to it yet;
2. every executor holds it;
3. it becomes the active key of the ring, and then the public key that people seal to;
4. every executor seals to it;
5. executors reseal what is sealed to older keys;
6. the registry takes nothing more for an older key, which it grants only where nothing is left;
7. no executor needs the older key any more, and it leaves the ring.

Each step finds out by itself whether it has been done, so that a rotation that was killed anywhere goes on when it is
begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol, TypeVar

from dibop.admin import Executors, Registry
from dibop.errors import (
    BusyError,
    ConflictError,
    DibopError,
    NoServiceError,
    ReplyTimeoutError,
    SealingKeysError,
)
from dibop.keyring import KeyFiles
from shared.contracts.commands import KeysShown, KeyUse, ResealFailure, ResealKeys, WorkerKeys
from shared.security.sealing import KeyRing

T = TypeVar("T")

WAIT_SECONDS: Final = 120.0
BATCH: Final = 100
_ROUNDS: Final = 3
"""Who has not got the new public key yet may seal to the old one while it is about to be retired."""
_LOOK_SECONDS: Final = 0.3
_MISSED_SECONDS: Final = 15.0
"""How long workers that were there lately, and answer no more, are waited for."""
_PASSING: Final[tuple[type[DibopError], ...]] = (BusyError, NoServiceError, ReplyTimeoutError)


class Told(Protocol):
    """Hears of each step as it ends."""

    def __call__(self, step: str, result: str) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What a rotation has come to. `left` are older keys that are still in use, and what is sealed to them."""

    active: str
    previous: str | None = None
    resealed: int = 0
    failed: list[ResealFailure] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    left: list[KeyUse] = field(default_factory=list)

    @property
    def unresealed(self) -> bool:
        """True where a connection still needs an older key."""
        return any(use.connections or use.tokens for use in self.left)


class Rotation:
    """One rotation. `wait_seconds` is how long executors may take to read the ring, or the registry to be back."""

    def __init__(
        self,
        files: KeyFiles,
        executors: Executors,
        registry: Registry,
        told: Told,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._files = files
        self._executors = executors
        self._registry = registry
        self._told = told
        self._wait_seconds = wait_seconds

    async def run(self, *, new: bool = False, keep_old: bool = False, forget_test_credentials: bool = False) -> Outcome:
        """Rotate, or finish the rotation that was begun.

        With `new`, begin another one whatever is left of earlier ones. With `keep_old`, older keys stay in the ring,
        for people who have not got the new public key yet.
        """
        with self._files.locked():
            ring = self._files.load()
            if new or not self._is_unfinished(ring):
                ring = ring.with_next()
                self._files.write_ring(ring)
                self._told("new key", str(ring.next))
            outcome = Outcome(active=ring.next or ring.active)
            if ring.next is not None:
                outcome.previous = ring.active
                ring = await self._switch(ring)
            if self._files.public_kid() != ring.active:
                self._files.write_public(ring)
                self._told("public key", f"{ring.active} in {self._files.public}")
            await self._everybody(lambda worker: worker.active == ring.active, f"seals to {ring.active}")
            for _ in range(_ROUNDS):
                await self._reseal(ring, outcome)
                if not keep_old:
                    await self._retire_all(outcome, forget_test_credentials=forget_test_credentials)
                outcome.left = await self._left(ring)
                if not outcome.unresealed:
                    break
            return outcome

    async def retire(self, kid: str, *, forget_test_credentials: bool = False) -> None:
        """Take one older key out of the ring; ConflictError, which says what is sealed to it, while something is."""
        with self._files.locked():
            ring = self._files.load()
            if kid in {ring.active, ring.next}:
                raise SealingKeysError(f"{kid!r} is the key that executors seal to. Rotate first: 'dibop keys rotate'.")
            if kid not in ring.keys:
                raise SealingKeysError(
                    f"The ring {self._files.ring} has no key {kid!r}. It has: {', '.join(ring.keys)}."
                )
            await self._retire(ring, kid, forget_test_credentials=forget_test_credentials)

    def _is_unfinished(self, ring: KeyRing) -> bool:
        return ring.next is not None or bool(ring.retired) or self._files.public_kid() != ring.active

    async def _switch(self, ring: KeyRing) -> KeyRing:
        """Make the key to come the active one, once everybody could open what is sealed to it."""
        kid = str(ring.next)
        await self._everybody(lambda worker: kid in worker.keys, f"holds {kid}")
        await self._patiently(lambda: self._registry.note_key_rotation(kid, ring.active))
        switched = ring.switched()
        self._files.write_ring(switched)
        self._told("active key", f"{kid}, after {ring.active}")
        return switched

    async def _everybody(self, is_so: Callable[[WorkerKeys], bool], what: str) -> None:
        """Wait until every worker has answered, and answered so."""
        begin = monotonic()
        while True:
            shown = await self._patiently(self._executors.keys)
            waited = monotonic() - begin
            complete = len(shown.workers) >= shown.expected or waited >= _MISSED_SECONDS
            if complete and shown.workers and all(is_so(worker) for worker in shown.workers):
                self._told("executors", f"each of {len(shown.workers)} {what}")
                return
            if waited >= self._wait_seconds:
                raise SealingKeysError(_not_everybody(shown, is_so, what, waited))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _reseal(self, ring: KeyRing, outcome: Outcome) -> None:
        """Until nothing is left that can be resealed, by what the registry knows."""
        patience = _Patience(self._wait_seconds)
        while not patience.at_end:
            done = await self._patiently(
                lambda: self._executors.reseal(ResealKeys(kid=ring.active, limit=BATCH)),
                passing=(*_PASSING, ConflictError),
            )
            outcome.resealed += done.resealed
            outcome.failed = done.failed
            if done.resealed:
                patience = _Patience(self._wait_seconds)
                self._told("resealed", f"{outcome.resealed} connections, {done.remaining} to do")
            elif done.failed and not done.remaining:
                return
            if not any(use.connections or use.tokens for use in await self._left(ring)):
                return
            if not done.resealed:
                await asyncio.sleep(_LOOK_SECONDS)

    async def _left(self, ring: KeyRing) -> list[KeyUse]:
        """Older keys that something is sealed to."""
        uses = await self._patiently(self._registry.key_uses)
        return [
            use for use in uses if use.kid != ring.active and (use.connections or use.tokens or use.test_credentials)
        ]

    async def _retire_all(self, outcome: Outcome, *, forget_test_credentials: bool) -> None:
        for kid in self._files.load().retired:
            try:
                await self._retire(self._files.load(), kid, forget_test_credentials=forget_test_credentials)
            except ConflictError as error:
                self._told("still in use", error.detail)
            else:
                outcome.retired.append(kid)

    async def _retire(self, ring: KeyRing, kid: str, *, forget_test_credentials: bool) -> None:
        await self._patiently(lambda: self._registry.retire_key(kid, forget_test_credentials=forget_test_credentials))
        await self._everybody(lambda worker: not worker.in_use.get(kid), f"needs {kid} no more")
        self._files.write_ring(ring.without(kid))
        self._told("retired", kid)

    async def _patiently(
        self, ask: Callable[[], Awaitable[T]], *, passing: tuple[type[DibopError], ...] = _PASSING
    ) -> T:
        """Ask until there is an answer: a service that is restarted meanwhile is no reason to stop half-way."""
        patience = _Patience(self._wait_seconds)
        while True:
            try:
                return await ask()
            except passing:
                if patience.at_end:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)


class _Patience:
    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    @property
    def at_end(self) -> bool:
        return monotonic() >= self._end


def _not_everybody(shown: KeysShown, is_so: Callable[[WorkerKeys], bool], what: str, waited: float) -> str:
    others = [worker.worker for worker in shown.workers if not is_so(worker)]
    who = f"{', '.join(others)} did not say" if others else "no executor said"
    return (
        f"After {waited:.0f} s {who} that it {what}. Have every executor read the present key ring "
        "(DIBOP_SEAL_KEYRING_FILE), then repeat the command: it goes on from here."
    )
