"""Scopes and their keys: whose limits, circuit and slots an operation counts against."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from services.executor.domain.plan import OperationPlan, ResiliencePlan
from services.executor.domain.scope import Scope
from services.executor.resilience.types import Limits, ScopeKey
from shared.contracts.subjects import health_key

PLATFORM_LIMIT: Final = "platform"
ENTERPRISE_LIMIT: Final = "enterprise:"
EVERY_CONNECTOR: Final = "*"
_RATE: Final = re.compile(r"(?P<connector>\*|[a-z][a-z0-9_-]*\.[a-z][a-z0-9-]*)=(?P<rate>[1-9][0-9]{0,6})")
_PLAIN: Final = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
_WITHOUT: Final = "-"


class Hold(msgspec.Struct, frozen=True, gc=False):
    """What one operation of one connection is held to; the same for all of its requests.

    `circuit` is the operation's name where it has limits of its own, else empty; `connection` is then the connection's
    scope. `slots` names the bulkhead; `health` is the key of the connection's health, empty where it has none. `part`
    is what of the connector is held, where that is not its operations.
    """

    target: Scope
    circuit: str
    scope: ScopeKey
    limits: Limits
    outer: tuple[tuple[ScopeKey, int], ...]
    connection: ScopeKey | None
    slots: str
    health: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """What is held, as people know it."""
        connector = f"connector {self.target.connector!r}"
        if self.part:
            return f"{self.part} of {connector}"
        return f"operation {self.circuit!r} of {connector}" if self.circuit else connector


class OuterRates(msgspec.Struct, frozen=True, gc=False):
    """Limits that operators set on top of the templates': attempts a minute by `<owner>.<connector>` or `*`.

    `enterprise` holds for each enterprise by itself, `platform` for all of them together.
    """

    enterprise: Mapping[str, int] = msgspec.field(default_factory=dict)
    platform: Mapping[str, int] = msgspec.field(default_factory=dict)

    def stacked(self, target: Scope) -> tuple[tuple[ScopeKey, int], ...]:
        """The outer limits of a scope. A draft's tests count against none."""
        if target.draft:
            return ()
        connector = f"{target.owner}.{target.connector}"
        enterprise, platform = (
            rates.get(connector, rates.get(EVERY_CONNECTOR, 0)) for rates in (self.enterprise, self.platform)
        )
        stacked = []
        if enterprise:
            stacked.append((_key(target, ENTERPRISE_LIMIT + target.enterprise), enterprise))
        if platform:
            stacked.append((_key(target, PLATFORM_LIMIT), platform))
        return tuple(stacked)


NO_OUTER_RATES: Final = OuterRates()


def read_rates(text: str) -> dict[str, int]:
    """Rates from `<owner>.<connector>=<attempts a minute>`, comma-separated; ValueError for anything else."""
    rates = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _RATE.fullmatch(item)
        if match is None:
            raise ValueError(f"{item!r} is not a rate. Write <owner>.<connector>=<attempts a minute>, or *=<number>.")
        rates[match["connector"]] = int(match["rate"])
    return rates


def hold_of(target: Scope, operation: OperationPlan, outer: OuterRates) -> Hold:
    """What `operation` is held to at `target`.

    An operation that overrides rate, threshold or recovery has a list and a circuit of its own. Where it leaves the
    rate as it is, the attempts count in the connection's list as well as ever.
    """
    plan, own = operation.resilience, operation.scoped
    rate, stacked = plan.rate_limit_per_minute, outer.stacked(target)
    connection = _key(target, _suffix(target))
    if own and not operation.rated and rate:
        stacked, rate = ((connection, rate), *stacked), 0
    return Hold(
        target=target,
        circuit=operation.name if own else "",
        scope=_key(target, f"{_suffix(target)}:op:{operation.name}") if own else connection,
        limits=_limits(plan, rate),
        outer=stacked,
        connection=connection if own else None,
        slots=connection.prefix,
        health=health_key(target.enterprise, target.connection) if target.connection and not target.draft else "",
    )


def probe_hold(target: Scope, resilience: ResiliencePlan, outer: OuterRates) -> Hold:
    """What a probe of `target` is held to: the rate limits of its operations, and no circuit."""
    connection, stacked, rate = _key(target, _suffix(target)), outer.stacked(target), resilience.rate_limit_per_minute
    return Hold(
        target=target,
        circuit="",
        scope=_key(target, f"{_suffix(target)}:probe"),
        limits=Limits(0, 0, round(resilience.circuit_breaker_recovery_seconds * 1000)),
        outer=((connection, rate), *stacked) if rate else stacked,
        connection=connection,
        slots=connection.prefix,
        part="the ping",
    )


def token_hold(target: Scope, resilience: ResiliencePlan) -> Hold:
    """What requests to the token endpoint of `target` are held to: apart from its operations, and from its health."""
    scope = _key(target, f"{_suffix(target)}:oauth")
    return Hold(
        target=target,
        circuit="",
        scope=scope,
        limits=_limits(resilience),
        outer=(),
        connection=None,
        slots=scope.prefix,
        part="the token endpoint",
    )


def _limits(plan: ResiliencePlan, rate: int | None = None) -> Limits:
    return Limits(
        plan.rate_limit_per_minute if rate is None else rate,
        plan.circuit_breaker_threshold,
        round(plan.circuit_breaker_recovery_seconds * 1000),
    )


def _key(target: Scope, suffix: str) -> ScopeKey:
    """The connector in braces is the hash tag: one script may touch all of a connector's keys on a cluster."""
    return ScopeKey(f"res:{{{target.owner}.{target.connector}}}:{suffix}")


def _suffix(target: Scope) -> str:
    connection = target.connection or _WITHOUT
    if not target.draft:
        return f"{target.enterprise}.{connection}"
    if not _PLAIN.match(connection):
        connection = hashlib.sha256(connection.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"draft.{target.enterprise}.{connection}"
