"""Executions at a steady concurrency, each remembered with its times and its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from dibop.client import Client
from shared.contracts.errors import DibopError


@dataclass(frozen=True)
class Outcome:
    """One execution: monotonic begin and end in seconds; `error` is a code, or None for a 2xx result."""

    begin: float
    end: float
    error: str | None


@dataclass
class Load:
    """Keeps `concurrency` executions in flight for as long as it is entered."""

    client: Client
    connector: str
    operation: str
    parameters: Mapping[str, Any]
    concurrency: int
    deadline: float = 5.0
    connection: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    _running: bool = True
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._caller()) for _ in range(self.concurrency)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        await asyncio.gather(*self._tasks)

    @property
    def succeeded(self) -> int:
        return sum(outcome.error is None for outcome in self.outcomes)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error is not None]

    async def _caller(self) -> None:
        while self._running:
            begin = time.monotonic()
            try:
                result = await self.client.execute(
                    self.connector,
                    self.operation,
                    parameters=self.parameters,
                    deadline=self.deadline,
                    connection=self.connection,
                )
                error = None if result.ok else f"status {result.status_code}"
            except DibopError as refused:
                error = refused.code
            self.outcomes.append(Outcome(begin, time.monotonic(), error))
            if error is not None:
                await asyncio.sleep(0.05)  # a refused caller does not spin
