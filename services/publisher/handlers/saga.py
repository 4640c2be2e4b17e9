"""The way of a move: recorded, applied at the registry, catalogue written, done.

Every step may be repeated, and what has been reached is stored before the next step begins. So whatever
breaks, the way goes on from the stored state: after a while where a service is away, at the next start
where this process died. Only a refusal by the registry ends it, and only before the change is made.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.publisher.domain.moves import Move, MoveState, Refusal, Release, Withdrawal, named
from services.publisher.handlers import telling
from services.publisher.handlers.ports import Catalogue, Registry, Store
from shared.contracts.commands import AddVersion, CatalogueEntryModel, SetVersionState
from shared.contracts.errors import DibopError, ErrorCode
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.tasks import end

REFUSALS: Final[frozenset[ErrorCode]] = frozenset(
    {
        "invalid-request",
        "invalid-template",
        "not-found",
        "already-exists",
        "conflict",
        "not-publishable",
        "enterprise-suspended",
        "unknown-connector",
        "unknown-version",
    }
)
"""The registry's answers that say for certain that nothing was changed. All others may pass."""

_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 15.0
_ADOPT_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class Point(StrEnum):
    """The places between two steps, where a process may die and another must take over."""

    RECORDED = "recorded"
    APPLIED = "applied"
    NOTED = "noted"
    CATALOGUE_WRITTEN = "catalogue-written"
    DONE = "done"


Reached = Callable[[Point], None]
"""Told of every point that a move reaches; tests die in it."""


class MoveRunner:
    """Brings moves to their end, each in one task; whoever asks for the same one joins that task."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        catalogue: Catalogue,
        *,
        reached: Reached = lambda _: None,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._registry = registry
        self._catalogue = catalogue
        self._reached = reached
        self._first_wait_seconds = first_wait_seconds
        self._tasks: dict[str, asyncio.Task[Move]] = {}
        self._trouble: dict[str, str] = {}
        self._adopting: asyncio.Task[None] | None = None

    def run(self, identifier: str) -> asyncio.Task[Move]:
        """The task that ends with the move done or failed."""
        task = self._tasks.get(identifier)
        if task is None:
            task = asyncio.create_task(self._to_the_end(identifier), name=f"move {identifier}")
            self._tasks[identifier] = task
            task.add_done_callback(lambda _: self._forget(identifier))
        return task

    async def start(self, *, adopt_seconds: float = _ADOPT_SECONDS) -> None:
        """Go on with what is open, now and every `adopt_seconds`: a replica that died may not come back."""
        await self.resume()
        self._adopting = asyncio.create_task(self._adopt(adopt_seconds), name="move adopter")

    async def resume(self) -> None:
        """Go on with every move that is open; another process may be at the same one."""
        for move in await self._store.open_moves():
            if move.id not in self._tasks:
                _log.info("Resuming a move", **_labels(move), state=move.state.value)
                self.run(move.id)

    async def stop(self) -> None:
        """Leave the open ones to the next start."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks.values()]
        if self._adopting is not None:
            tasks.append(self._adopting)
        await end(*tasks)

    def trouble(self, identifier: str) -> str | None:
        """What the last attempt ran into, for a move that is not at its end."""
        return self._trouble.get(identifier)

    async def _adopt(self, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.resume()
            except Exception:  # noqa: BLE001  # the database may be away; the next round looks again
                _log.exception("Open moves could not be looked up")

    async def _to_the_end(self, identifier: str) -> Move:
        attempts = AsyncRetrying(
            wait=wait_exponential_jitter(
                multiplier=self._first_wait_seconds, max=_LONGEST_WAIT_SECONDS, jitter=self._first_wait_seconds
            ),
            retry=retry_if_exception_type(Exception),
            before_sleep=lambda state: self._note_trouble(identifier, state),
            reraise=True,
        )
        return await attempts(self._advance, identifier)

    async def _advance(self, identifier: str) -> Move:
        move = await self._store.move(identifier)
        if move.state is MoveState.RECORDED:
            move = await self._apply(move)
        if move.state is MoveState.APPLIED:
            move = await self._project(move)
        return move

    async def _apply(self, move: Move) -> Move:
        self._reached(Point.RECORDED)
        try:
            answer = await self._at_registry(move)
        except DibopError as error:
            if error.code not in REFUSALS:
                raise
            refusal = Refusal(error.code, f"{move.title} was refused by the registry: {error.detail}")
            await self._store.fail_move(move.id, refusal, telling.audit(move, failed_because=refusal.detail))
            _log.warning("A move failed", **_labels(move), reason=refusal.detail)
        else:
            self._reached(Point.APPLIED)
            await self._store.note_applied(move.id, _entry(answer))
            self._reached(Point.NOTED)
        return await self._store.move(move.id)

    async def _at_registry(self, move: Move) -> CatalogueEntryModel:
        match move.content:
            case Release() as release:
                adding = _add_version(move, release)
                return await self._registry.add_version(move.owner, adding, request_id=move.request_id)
            case Withdrawal() as withdrawal:
                setting = _set_state(move, withdrawal)
                return await self._registry.set_version_state(move.owner, setting, request_id=move.request_id)

    async def _project(self, move: Move) -> Move:
        if move.entry is None:
            raise RuntimeError(f"move {move.id} is {move.state} and has no catalogue entry")
        await self._catalogue.put(move.entry)
        self._reached(Point.CATALOGUE_WRITTEN)
        await self._store.finish_move(move.id, telling.events(move), telling.audit(move))
        self._reached(Point.DONE)
        _log.info("Moved", **_labels(move))
        return await self._store.move(move.id)

    def _note_trouble(self, identifier: str, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._trouble[identifier] = error.detail if isinstance(error, DibopError) else type(error).__name__
        _log.warning(
            "A move waits",
            move=identifier,
            attempt=state.attempt_number,
            seconds=round(state.upcoming_sleep, 2),
            reason=str(error),
            exc_info=None if isinstance(error, DibopError | OSError) else error,
        )

    def _forget(self, identifier: str) -> None:
        self._tasks.pop(identifier, None)
        self._trouble.pop(identifier, None)


def _add_version(move: Move, release: Release) -> AddVersion:
    return AddVersion(
        publication_id=move.id,
        slug=move.slug,
        version=release.version,
        digest=release.digest,
        scope=release.scope,
        revision=release.revision,
        source=release.source,
        actor=move.actor,
        notes=move.notes,
    )


def _set_state(move: Move, withdrawal: Withdrawal) -> SetVersionState:
    return SetVersionState(
        move_id=move.id,
        slug=move.slug,
        versions=list(withdrawal.versions),
        state=withdrawal.state,
        successor=withdrawal.successor,
        date=dt.date.fromisoformat(withdrawal.date) if withdrawal.date else None,
        actor=move.actor,
        notes=move.notes,
    )


def _entry(answer: CatalogueEntryModel) -> CatalogueEntry:
    return CatalogueEntry(
        slug=answer.slug,
        owner=answer.owner,
        generation=answer.generation,
        versions=[CatalogueVersion(v.version, v.digest, v.state, v.published_at, v.terms) for v in answer.versions],
    )


def _labels(move: Move) -> dict[str, str]:
    match move.content:
        case Release(version=version):
            versions = version
        case Withdrawal(versions=several):
            versions = named(several)
    return {
        "move": move.id,
        "kind": move.kind.value,
        "connector": move.slug,
        "owner": move.owner,
        "versions": versions,
    }
