"""Projections, compared with the registry's database and mended, for Platform Admins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from dibop.client import Client
from shared.contracts import commands as c
from shared.contracts.names import PLATFORM

PARTS: Final[tuple[c.ProjectionPart, ...]] = ("templates", "catalogue", "connections", "enterprises")
"""In the order in which they are mended: what is named comes before what names it."""
_PAGE_SECONDS: Final = 60.0


class Projections:
    """What executors read, part by part, page by page; it may be left at any page and begun again."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def check(self, part: c.ProjectionPart) -> AsyncIterator[c.ProjectionPage]:
        """Pages of what was looked at and what differs; nothing is changed."""
        async for page in self._pages("check", c.CheckProjection(part=part)):
            yield page

    async def rebuild(self, part: c.ProjectionPart) -> AsyncIterator[c.ProjectionPage]:
        """The same, with every difference mended."""
        async for page in self._pages("rebuild", c.RebuildProjection(part=part)):
            yield page

    async def _pages(self, verb: str, query: c.CheckProjection) -> AsyncIterator[c.ProjectionPage]:
        after: str | None = None
        while True:
            body = query.model_copy(update={"after": after})
            page = await self._client.command(
                "registry", PLATFORM, "projection", verb, body, c.ProjectionPage, timeout=_PAGE_SECONDS
            )
            yield page
            after = page.next_after
            if after is None:
                return
