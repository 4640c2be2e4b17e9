"""Pinging many connections at once, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.contracts.commands import PingConnection, Probed
from shared.contracts.errors import DibopError

AT_ONCE = 8


class Pings(Protocol):
    async def ping(self, command: PingConnection) -> Probed: ...


@dataclass(frozen=True, slots=True)
class Pinged:
    """What has come of one ping: what was found, or why nothing could be."""

    connector: str
    connection: str
    found: Probed | None = None
    error: DibopError | None = None

    @property
    def online(self) -> bool:
        return self.found is not None and self.found.outcome == "online"

    @property
    def outcome(self) -> str:
        """The ping's outcome, or the error's code."""
        if self.found is not None:
            return self.found.outcome
        return self.error.code if self.error is not None else "internal"

    @property
    def why(self) -> str:
        """The first step that failed, and its reason; else what could not be found out."""
        if self.error is not None:
            return self.error.detail
        steps = self.found.steps if self.found is not None else []
        return next((f"{each.step}: {each.reason}" for each in steps if each.outcome == "fail"), "")

    def told(self) -> dict[str, Any]:
        """For programs; `error` is a problem document where nothing was found out."""
        found = {} if self.found is None else self.found.model_dump(mode="json")
        error = None if self.error is None else self.error.to_problem()
        return {"connector": self.connector, "connection": self.connection, **found, "error": error}


async def ping_all(
    pings: Pings,
    targets: Sequence[tuple[str, str]],
    *,
    at_once: int = AT_ONCE,
    on_pinged: Callable[[Pinged], None] = lambda _: None,
) -> list[Pinged]:
    """Ping each (connector, connection); the answers come in the order of `targets`, `on_pinged` hears them as they
    come. What one of them ends in keeps none of the others."""
    turn = asyncio.Semaphore(at_once)

    async def one(connector: str, connection: str) -> Pinged:
        async with turn:
            try:
                found = await pings.ping(PingConnection(connector=connector, connection=connection))
                pinged = Pinged(connector, connection, found)
            except DibopError as error:
                pinged = Pinged(connector, connection, error=error)
        on_pinged(pinged)
        return pinged

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*target)) for target in targets]
    return [task.result() for task in tasks]
