"""How connections do, told as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.console.api import routing, streams
from services.console.api.dependencies import Desk, DeskOf, EnterpriseQuery
from services.console.api.streams import Look
from shared.contracts import commands as c
from shared.contracts.subjects import events

router = routing.router("connections")

_PAGE: Final = 1000
_EVERY_SECONDS: Final = 30.0


class WatchedHealth:
    """The connections of an enterprise, and which of their states were told."""

    def __init__(self, desk: Desk, enterprise: str) -> None:
        self.desk = desk
        self.enterprise = enterprise
        self.first: dict[str, c.Connection] | None = None
        self._told: dict[str, c.ConnectionHealthModel] = {}

    async def read(self) -> dict[str, c.Connection]:
        found: dict[str, c.Connection] = {}
        after: str | None = None
        while True:
            query = c.ListConnections(limit=_PAGE, after=after)
            page = await self.desk.registry(self.enterprise, "connection.list", query, c.ConnectionPage)
            found |= {each.id: each for each in page.connections}
            after = page.next_after
            if after is None:
                return found

    async def look(self) -> Look:
        found, self.first = self.first or await self.read(), None
        news = [each for each in found.values() if self._told.get(each.id) != each.health]
        gone = [identifier for identifier in self._told if identifier not in found]
        self._told = {each.id: each.health for each in found.values()}
        return Look(
            [ServerSentEvent(event="health", data=each) for each in news]
            + [ServerSentEvent(event="gone", data={"id": identifier}) for identifier in gone]
        )


async def _first_look(desk: DeskOf, enterprise: EnterpriseQuery = None) -> WatchedHealth:
    """What may not be read is refused before a stream begins."""
    streams.require_room(desk)
    watching = WatchedHealth(desk, enterprise or desk.enterprise)
    watching.first = await watching.read()
    return watching


@router.get(
    "/health-events",
    response_class=EventSourceResponse,
    summary="How connections do, as it changes (server-sent events)",
)
async def health_events(watching: Annotated[WatchedHealth, Depends(_first_look)]) -> AsyncIterator[ServerSentEvent]:
    """First every connection, then each whose health has changed: `health` with the connection, `gone` with the id of
    one that was deleted. A stream ends after ten minutes at most; browsers open it again by themselves.
    """
    desk = watching.desk
    subject = events(watching.enterprise, "connection.>")
    async for event in streams.follow(desk, subject, watching.look, at_least_every=_EVERY_SECONDS):
        yield event
