"""What routes ask for: the parts, who is asking, whose connector is meant, and a way to ask in the caller's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel

from services.console.bus import PUBLISH_SECONDS, Plane
from services.console.parts import Parts
from services.console.security.callers import Caller
from shared.contracts import commands as c
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM, SLUG_PATTERN, TOKEN_PATTERN
from shared.security.principals import Role

M = TypeVar("M", bound=BaseModel)

ABSENT: Final = frozenset({"not-found", "unknown-connector", "unknown-version"})

SlugPath = Annotated[str, Path(pattern=SLUG_PATTERN, description="The connector's slug.", examples=["openweathermap"])]
NamePath = Annotated[str, Path(pattern=TOKEN_PATTERN, description="The connection's name.", examples=["default"])]
OperationPath = Annotated[
    str, Path(pattern=TOKEN_PATTERN, description="The operation.", examples=["get_current_weather"])
]
OperationQuery = Annotated[str | None, Query(pattern=TOKEN_PATTERN, description="The one that this operation has.")]
OwnerQuery = Annotated[
    str | None,
    Query(
        pattern=TOKEN_PATTERN,
        description="Whose connector is meant: an enterprise, or `platform`. By default the caller's enterprise's, "
        "else the platform's.",
        examples=["platform"],
    ),
]
EnterpriseQuery = Annotated[
    str | None,
    Query(
        pattern=TOKEN_PATTERN, description="The enterprise that is meant, the caller's by default.", examples=["acme"]
    ),
]


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(parts_of)]


async def caller_of(request: Request, parts: PartsOf) -> Caller:
    return await parts.callers.caller(request)


CallerOf = Annotated[Caller, Depends(caller_of)]


@dataclass(frozen=True, slots=True)
class Desk:
    """Asks services in the caller's name. Commands are `<noun>.<verb>`."""

    caller: Caller
    parts: Parts

    @property
    def enterprise(self) -> str:
        return self.caller.principal.enterprise

    @property
    def owners(self) -> list[str]:
        """Where a draft of the caller may be: the own enterprise, then the platform for a Platform Admin."""
        admin = Role.PLATFORM_ADMIN in self.caller.principal.roles
        return [self.enterprise, PLATFORM] if admin and self.enterprise != PLATFORM else [self.enterprise]

    @property
    def widest(self) -> str:
        """Where the caller sees most: the platform, for whoever is its admin."""
        return self.owners[-1]

    async def registry(
        self, enterprise: str, what: str, body: BaseModel, reply: type[M], *, seconds: float | None = None
    ) -> M:
        return await self._ask("registry", enterprise, what, body, reply, seconds=seconds)

    async def publisher(
        self, enterprise: str, what: str, body: BaseModel, reply: type[M], *, seconds: float = PUBLISH_SECONDS
    ) -> M:
        return await self._ask("publisher", enterprise, what, body, reply, seconds=seconds)

    async def executor(
        self, enterprise: str, what: str, body: BaseModel, reply: type[M], *, seconds: float | None = None
    ) -> M:
        return await self._ask("executor", enterprise, what, body, reply, seconds=seconds)

    async def connector(self, slug: str, owner: str | None) -> c.Connector:
        """The connector that is meant; the refusal of the own enterprise where there is none."""
        body, refusal = c.ShowConnector(slug=slug), None
        for enterprise in [owner] if owner else self.owners:
            try:
                return await self.registry(enterprise, "connector.show", body, c.Connector)
            except DibopError as error:
                if error.code not in ABSENT:
                    raise
                refusal = refusal or error
        raise refusal or DibopError("not-found", f"There is no connector {slug!r}.")

    async def owner(self, slug: str, owner: str | None) -> str:
        """Whose draft is meant: as it is named, else whose it is, else the caller's enterprise."""
        if owner:
            return owner
        if len(self.owners) == 1:
            return self.enterprise
        try:
            found = (await self.connector(slug, None)).owner
        except DibopError as error:
            if error.code not in ABSENT:
                raise
            return self.enterprise
        return found if found in self.owners else self.enterprise

    async def _ask(
        self,
        plane: Plane,
        enterprise: str,
        what: str,
        body: BaseModel,
        reply: type[M],
        *,
        seconds: float | None = None,
    ) -> M:
        return await self.parts.bus.ask(self.caller, plane, enterprise, what, body, reply, seconds=seconds)


def desk_of(caller: CallerOf, parts: PartsOf) -> Desk:
    return Desk(caller, parts)


DeskOf = Annotated[Desk, Depends(desk_of)]
