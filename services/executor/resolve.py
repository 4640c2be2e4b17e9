"""From a request's subject and headers to what runs: route lookups that cost one dictionary access once known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol, TypeVar

import msgspec
from nats.errors import Error as NatsError

from services.executor.credentials import Vault
from services.executor.domain.plan import ConnectorPlan, OperationPlan
from services.executor.domain.request import Target
from services.executor.domain.resolution import Ask, Choice, Found, check_headers, choose
from services.executor.domain.scope import Scope
from services.executor.plans import Plans
from services.executor.resilience.scopes import NO_OUTER_RATES, Hold, OuterRates, hold_of
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import (
    CONNECTION_HEADER,
    DEFAULT_CONNECTION,
    DraftExecutionRequest,
    SealedCredentials,
)
from shared.contracts.names import PLATFORM, did_you_mean, is_slug
from shared.contracts.projections import CatalogueEntry, ConnectionEntry

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

RouteKey = tuple[str, str | None, str | None]
"""A request's subject, connection header and version header."""
DRAFT_VERSION: Final = "draft"
_LOOKALIKES: Final = 200
_NAMED: Final = 10
_MENDED_BY_READING: Final = frozenset(
    {"unknown-connector", "unknown-version", "unknown-operation", "unknown-connection", "connection-required"}
)


class Mirror(Protocol[T_co]):
    """A KV bucket's entries in memory."""

    def under(self, prefix: str) -> Iterator[tuple[str, T_co]]: ...
    async def fetch(self, key: str) -> T_co | None:
        """The entry of the mirror, else of the bucket."""
        ...

    async def read(self, key: str) -> T_co | None:
        """The entry of the bucket, whatever the mirror holds."""
        ...


class Look(Protocol):
    """A way of asking a mirror."""

    def __call__(self, mirror: Mirror[T], key: str, /) -> Awaitable[T | None]: ...


class Route(msgspec.Struct, frozen=True, gc=False):
    """Everything about a request that does not differ from one to the next. `connection` is a name."""

    version: str
    connection: str | None
    operation: OperationPlan
    target: Target
    hold: Hold


class Held(msgspec.Struct, frozen=True, gc=False):
    """What a connection's operations are held to, each scope once; `connection` is a name, None for calls without."""

    owner: str
    version: str
    connection: str | None
    holds: tuple[Hold, ...]


class Resolver:
    """Finds routes and remembers them until catalogue or connections change."""

    def __init__(
        self,
        catalogue: Mirror[CatalogueEntry],
        connections: Mirror[ConnectionEntry],
        plans: Plans,
        vault: Vault,
        outer: OuterRates = NO_OUTER_RATES,
        *,
        max_routes: int = 50_000,
    ) -> None:
        self._outer = outer
        self._catalogue = catalogue
        self._connections = connections
        self._plans = plans
        self._vault = vault
        self._max_routes = max_routes
        self._routes: dict[RouteKey, Route] = {}
        self._keys: dict[str, set[RouteKey]] = {}
        self._changes = 0
        self._defaults: dict[str, str] = {}

    def known(self, key: RouteKey) -> Route | None:
        return self._routes.get(key)

    def forget_connector(self, key: str) -> None:
        """The catalogue's entry with this key has changed."""
        self._forget_routes(_connector_of(key))

    def connection_changed(self, key: str, entry: ConnectionEntry | None) -> None:
        """The connection with this key is as `entry` says, or gone: what was opened for it is not kept."""
        self._mind_default(key, entry)
        self._vault.forget(key)
        self._forget_routes(_connector_of(key))

    def _mind_default(self, key: str, entry: ConnectionEntry | None) -> None:
        connector, _, name = key.rpartition(".")
        if entry is not None and entry.default:
            self._defaults[connector] = name
        elif self._defaults.get(connector) == name:
            del self._defaults[connector]

    def start(self) -> None:
        """Know the default connections that are there; of changes `connection_changed` tells."""
        for key, entry in self._connections.under(""):
            self._mind_default(key, entry)

    async def resolve(self, key: RouteKey) -> Route:
        """Find the route; what the mirror does not know is read from the buckets once before it is unknown."""
        ask = read_ask(key)
        check_headers(ask)
        changes = self._changes
        route = await self._surely(ask, self._route)
        if changes == self._changes:
            self._keep(key, ask.connector, route)
        return route

    async def held(self, ask: Ask) -> Held:
        """What the connection that `ask` means is held to; all of it where `ask.operation` is empty."""
        check_headers(ask)
        return await self._surely(ask, self._held)

    async def connected(self, ask: Ask) -> Target:
        """The target of a connection's requests, as the buckets have it now; not for the path of executions."""
        return (await self.connected_plan(ask))[2]

    async def connected_plan(self, ask: Ask) -> tuple[Choice, ConnectorPlan, Target, Scope]:
        """The same with what it follows from."""
        check_headers(ask)
        choice = self._choose(ask, await self._found(ask, _read))
        plan = await self._plans.get(choice.version.digest)
        target = self._vault.target_of(plan, choice.version.digest, ask.enterprise, choice.connection)
        return choice, plan, target, _scope(ask, choice)

    async def offered(self, ask: Ask, version: str) -> tuple[ConnectionEntry, ConnectorPlan]:
        """A connection and the plan of a version that its policy takes, as the buckets have them now."""
        found = await self._found(ask, _read)
        terms = msgspec.structs.replace(found.connection, terms="") if found.connection is not None else None
        choice = self._choose(ask, msgspec.structs.replace(found, connection=terms))
        if found.connection is None or choice.version.version != version:
            raise DibopError(
                "conflict",
                f"The connection's version policy takes {choice.version.version} by now, and the consent is to "
                f"{version[:40]}. Look at what it needs now: dibop connection show {ask.connector}",
            )
        return found.connection, await self._plans.get(choice.version.digest)

    async def drafted(self, owner: str, connector: str, digest: str, credentials: SealedCredentials | None) -> Target:
        """The target of a draft's tests."""
        return self._vault.test_target(await self._draft(connector, digest), owner, owner, credentials)

    async def draft_plan(
        self, owner: str, connector: str, digest: str, credentials: SealedCredentials | None
    ) -> tuple[ConnectorPlan, Target, Scope]:
        """A draft's document, where its tests go, and what they count against."""
        plan = await self._draft(connector, digest)
        session = credentials.id if credentials is not None else None
        scope = Scope(owner, owner, plan.slug, session, draft=True)
        return plan, self._vault.test_target(plan, owner, owner, credentials), scope

    async def resolve_draft(self, subject: str, draft: DraftExecutionRequest) -> Route:
        """The route of a draft's test, from the document and the credentials that the request carries."""
        ask = read_ask((subject, None, None))
        if draft.owner != ask.enterprise:
            raise DibopError(
                "forbidden",
                f"A draft of {draft.owner[:80]!r} cannot be tested for {ask.enterprise!r}. "
                "Send it to its owner's subject.",
            )
        plan = await self._draft(ask.connector, draft.digest)
        operation = _operation(plan, ask, DRAFT_VERSION)
        target = self._vault.test_target(plan, ask.enterprise, draft.owner, draft.credentials)
        session = draft.credentials.id if draft.credentials is not None else None
        scope = Scope(ask.enterprise, draft.owner, plan.slug, session, draft=True)
        return Route(DRAFT_VERSION, None, operation, target, hold_of(scope, operation, self._outer))

    async def _draft(self, connector: str, digest: str) -> ConnectorPlan:
        plan = await self._plans.get(digest)
        if plan.slug != connector:
            raise DibopError(
                "invalid-request",
                f"The document {digest} is of connector {plan.slug!r}, and the request names {connector[:80]!r}. "
                "Send the digest of the connector's own draft.",
            )
        return plan

    async def _surely(self, ask: Ask, make: Callable[[Ask, Found], Awaitable[T]]) -> T:
        try:
            return await make(ask, await self._found(ask, _fetch))
        except DibopError as error:
            if error.code not in _MENDED_BY_READING or not is_slug(ask.connector):
                raise
        try:
            return await make(ask, await self._found(ask, _read))
        except DibopError as error:
            raise self._explained(error, ask) from None

    def _explained(self, error: DibopError, ask: Ask) -> DibopError:
        """Where there are connections and none is the default, which there are."""
        names = sorted(self._connection_names(ask)) if error.code == "connection-required" else []
        if not names:
            return error
        return DibopError(
            "connection-required",
            f"{ask.enterprise!r} has connections to {ask.connector!r}, and none is the default: "
            f"{', '.join(names[:_NAMED])}. Name one in {CONNECTION_HEADER}, or make it the default: "
            f"dibop connection default {ask.connector} {names[0]}",
        )

    async def _held(self, ask: Ask, found: Found) -> Held:
        choice = self._choose(ask, found)
        plan = await self._plans.get(choice.version.digest)
        version, scope = choice.version.version, _scope(ask, choice)
        operations = [_operation(plan, ask, version)] if ask.operation else list(plan.operations.values())
        holds = {hold.scope.prefix: hold for hold in (hold_of(scope, each, self._outer) for each in operations)}
        return Held(choice.owner, version, scope.name or None, tuple(sorted(holds.values(), key=lambda h: h.circuit)))

    def _choose(self, ask: Ask, found: Found) -> Choice:
        return choose(
            ask, found, connectors=lambda: self._connector_names(ask), connections=lambda: self._connection_names(ask)
        )

    async def _route(self, ask: Ask, found: Found) -> Route:
        choice = self._choose(ask, found)
        plan = await self._plans.get(choice.version.digest)
        operation = _operation(plan, ask, choice.version.version)
        target = self._vault.target_of(plan, choice.version.digest, ask.enterprise, choice.connection)
        scope = _scope(ask, choice)
        hold = hold_of(scope, operation, self._outer)
        return Route(choice.version.version, scope.name or None, operation, target, hold)

    async def _found(self, ask: Ask, look: Look) -> Found:
        if not is_slug(ask.connector):
            return Found(None, None, None)
        try:
            return Found(
                await look(
                    self._connections, subjects.connection_key(ask.enterprise, ask.connector, self._name_of(ask))
                ),
                await look(self._catalogue, subjects.catalogue_key(ask.enterprise, ask.connector)),
                await look(self._catalogue, subjects.catalogue_key(PLATFORM, ask.connector)),
            )
        except (NatsError, OSError) as error:
            raise DibopError(
                "internal", "The catalogue could not be read, so nothing was sent. Repeat in a moment."
            ) from error

    def _name_of(self, ask: Ask) -> str:
        """The connection that is named, else the one that is marked as the default, else the one called so."""
        if ask.connection is not None:
            return ask.connection
        return self._defaults.get(f"{ask.enterprise}.{ask.connector}", DEFAULT_CONNECTION)

    def _keep(self, key: RouteKey, connector: str, route: Route) -> None:
        if len(self._routes) >= self._max_routes:
            self._routes.clear()
            self._keys.clear()
        self._routes[key] = route
        self._keys.setdefault(connector, set()).add(key)

    def _forget_routes(self, connector: str) -> None:
        self._changes += 1
        for key in self._keys.pop(connector, ()):
            self._routes.pop(key, None)

    def _connection_names(self, ask: Ask) -> Iterator[str]:
        prefix = subjects.connection_key(ask.enterprise, ask.connector, "")
        return (entry.name for _, entry in self._connections.under(prefix))

    def _connector_names(self, ask: Ask) -> list[str]:
        """Names that look like what was asked for, else some: comparing all of a large catalogue would take long."""
        names = sorted(
            {entry.slug for owner in (ask.enterprise, PLATFORM) for _, entry in self._catalogue.under(f"{owner}.")}
        )
        start, length = ask.connector[:1], len(ask.connector)
        alike = [name for name in names if name[0] == start and abs(len(name) - length) <= 3]
        return (alike or names)[:_LOOKALIKES]


def _scope(ask: Ask, choice: Choice) -> Scope:
    connection = choice.connection
    if connection is None:
        return Scope(ask.enterprise, choice.owner, ask.connector, None)
    return Scope(ask.enterprise, choice.owner, ask.connector, connection.id, name=connection.name)


def read_ask(key: RouteKey) -> Ask:
    """What a request names, or `invalid-request`."""
    subject, connection, version = key
    address = subjects.parse(subject)
    return Ask(address.enterprise, address.first, address.second, connection, version)


def _connector_of(key: str) -> str:
    """The connector in a bucket's key, `<owner or enterprise>.<connector>…`."""
    return key.partition(".")[2].partition(".")[0]


async def _fetch(mirror: Mirror[T], key: str) -> T | None:
    return await mirror.fetch(key)


async def _read(mirror: Mirror[T], key: str) -> T | None:
    return await mirror.read(key)


def _operation(plan: ConnectorPlan, ask: Ask, version: str) -> OperationPlan:
    operation = plan.operations.get(ask.operation)
    if operation is None:
        raise DibopError(
            "unknown-operation",
            f"Version {version} of connector {plan.slug!r} has no operation {ask.operation[:80]!r}. "
            f"{did_you_mean(ask.operation, plan.operations, 'operation')}",
        )
    return operation
