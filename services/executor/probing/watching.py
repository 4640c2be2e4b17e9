"""A transport that opens a connection for each request, and writes down when each step of that was done."""

from __future__ import annotations

from collections.abc import Awaitable
from time import monotonic
from typing import Protocol

from services.executor.transport.attempt import Milestone, Watch
from services.executor.transport.interface import BeforeSend, HttpRequest, HttpResponse


class Watchable(Protocol):
    """The transport underneath; see `AiohttpTransport.send`."""

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the interface's
        max_bytes: int,
        before_send: BeforeSend | None = None,
        watch: Watch | None = None,
    ) -> HttpResponse: ...


class WatchingTransport:
    """A `Transport` for one probe. `times` are of `monotonic`, by milestone, of its last request."""

    def __init__(self, transport: Watchable) -> None:
        self._transport = transport
        self.times: dict[Milestone, float] = {}
        self.sent_at: float | None = None
        self.answered_at: float | None = None

    async def send(
        self,
        request: HttpRequest,
        *,
        timeout: float,  # noqa: ASYNC109 - the interface's
        max_bytes: int,
        before_send: BeforeSend | None = None,
    ) -> HttpResponse:
        self.times.clear()
        self.sent_at = self.answered_at = None

        async def sending() -> None:
            waiting: Awaitable[None] | None = before_send() if before_send is not None else None
            if waiting is not None:
                await waiting
            self.sent_at = monotonic()

        try:
            return await self._transport.send(
                request, timeout=timeout, max_bytes=max_bytes, before_send=sending, watch=self._passed
            )
        finally:
            self.answered_at = monotonic()

    async def aclose(self) -> None:
        """Leave the transport underneath to its owner."""

    def _passed(self, milestone: Milestone) -> None:
        self.times[milestone] = monotonic()
