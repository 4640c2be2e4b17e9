"""Enterprises and how they stand with the platform, for Platform Admins."""

from __future__ import annotations

from dibop.client import Client, Reply
from shared.contracts import commands as c
from shared.contracts.names import PLATFORM

_PAGE = 1000


class Enterprises:
    """What was told of enterprises, and telling it as another service of the platform would."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self, query: c.ListEnterprises | None = None) -> list[c.Enterprise]:
        """Those that the query asks for, page by page; without one, all there are."""
        rows: list[c.Enterprise] = []
        asked = query or c.ListEnterprises()
        after: str | None = None
        while True:
            body = asked.model_copy(update={"limit": _PAGE, "after": after})
            page = await self._ask("list", body, c.EnterprisePage)
            rows += page.enterprises
            after = page.next_after
            if after is None:
                return rows

    async def show(self, identifier: str) -> c.Enterprise:
        """How one stands; NotFoundError where nothing was told of it."""
        return await self._ask("show", c.ShowEnterprise(id=identifier), c.Enterprise)

    async def change(self, command: c.ChangeEnterprise) -> c.Enterprise:
        """Tell what happened to an enterprise; every service goes by it within moments."""
        return await self._ask("change", command, c.Enterprise)

    async def _ask(self, verb: str, body: c.Message, reply: type[Reply]) -> Reply:
        return await self._client.command("registry", PLATFORM, "enterprise", verb, body, reply)
