"""One probe: an access token where one is needed, one request, and what both have shown."""

from __future__ import annotations

from time import monotonic
from typing import Final, Protocol

import msgspec
import structlog

from services.executor.attempts import Sender
from services.executor.domain.plan import ConnectorPlan, OperationPlan, ResiliencePlan
from services.executor.domain.request import Target, build_request
from services.executor.domain.schemas import SchemaCache
from services.executor.domain.scope import Scope
from services.executor.oauth.bearer import Bearer
from services.executor.oauth.tokens import Tokens
from services.executor.probing.steps import Asked, Evidence, steps_of
from services.executor.probing.watching import Watchable, WatchingTransport
from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.guard import Guard
from services.executor.resilience.scopes import Hold, OuterRates, hold_of, probe_hold
from services.executor.resilience.turn import NO_PLACE
from services.executor.resilience.types import StateUnavailableError
from services.executor.transport.egress import literal_address
from services.executor.transport.interface import HttpRequest, TransportError
from services.executor.transport.wire import BadRequest, split_url
from shared.contracts.commands import Circuit, Probed
from shared.contracts.errors import DibopError
from shared.contracts.template.address import AddressError, parse_fixed_url
from shared.security.redaction import keep_out

ATTEMPT_SECONDS: Final = 10.0
"""What the request of a probe may take; less where the template says so."""
WHOLE_SECONDS: Final = 30.0
"""The whole: access token, turn, and request."""
_PLAIN: Final = "the base URL"
_NOT_FOUND_OUT: Final = frozenset({"pool", "request"})
"""Phases that say nothing of the external system."""
_ANSWERED: Final = frozenset({"too_large", "decode"})

_log = structlog.get_logger(__name__)


class Desk(Protocol):
    """Where circuits and cooldowns are looked at."""

    async def look(self, hold: Hold) -> Circuit: ...


class Probe(msgspec.Struct, frozen=True):
    """What is probed: a connection, or a draft with its test credentials."""

    scope: Scope
    plan: ConnectorPlan
    target: Target


class Prober:
    """One for a worker."""

    def __init__(
        self,
        transport: Watchable,
        *,
        guard: Guard,
        bulkhead: Bulkhead,
        tokens: Tokens,
        desk: Desk,
        schemas: SchemaCache,
        outer: OuterRates,
        max_bytes: int,
    ) -> None:
        self._transport = transport
        self._guard = guard
        self._bulkhead = bulkhead
        self._tokens = tokens
        self._desk = desk
        self._schemas = schemas
        self._outer = outer
        self._max_bytes = max_bytes

    async def probe(self, probe: Probe) -> Probed:
        """Find out how the external system does.

        Raises `rate-limited` and `overloaded` where nothing could be found out, since nothing was sent.
        """
        begun = monotonic()
        plan, target = probe.plan, probe.target
        keep_out(target.secrets)
        await self._check_cooldown(probe)
        operation, request, asked = self._request(plan, target)
        evidence = Evidence(
            asked=asked,
            name=f"the health check {operation.name}" if asked == "health check" else _PLAIN,
            encrypted=request.url[:6].lower() == "https:",
            literal=_is_literal(request.url),
            auth=plan.auth.kind,
        )
        bearer = None
        if target.tokens is not None:
            bearer = Bearer(self._tokens, target.tokens, deadline=begun + WHOLE_SECONDS, place=NO_PLACE)
            signed, token_ms, refused = await _signed(bearer, request)
            evidence = msgspec.structs.replace(evidence, token_ms=token_ms, token_error=refused)
            if signed is None:
                # Without a token there is still to be seen whether the system is there.
                operation, request, bearer = _plain(plan.resilience), _plain_request(target), None
                evidence = msgspec.structs.replace(evidence, asked="base URL", name=_PLAIN)
            else:
                request = signed
        evidence = await self._send(probe, operation, request, bearer, evidence, deadline=begun + WHOLE_SECONDS)
        outcome, steps = steps_of(evidence)
        return Probed(outcome=outcome, steps=steps, duration_ms=round((monotonic() - begun) * 1000, 3))

    async def _send(
        self,
        probe: Probe,
        operation: OperationPlan,
        request: HttpRequest,
        bearer: Bearer | None,
        evidence: Evidence,
        *,
        deadline: float,
    ) -> Evidence:
        watching = WatchingTransport(self._transport)
        sender = Sender(watching, self._guard, self._bulkhead, max_bytes=self._max_bytes)
        hold = probe_hold(probe.scope, probe.plan.resilience, self._outer)
        status, error = None, None
        try:
            sent = await sender.send(request, operation, hold, limit=None, deadline=deadline, renewal=bearer)
            status = sent.response.status
        except DibopError as failure:
            error = failure.__cause__ if isinstance(failure.__cause__, TransportError) else None
            if error is None or error.phase in _NOT_FOUND_OUT:
                raise
            if error.phase in _ANSWERED:
                status, error = error.status, None
        return msgspec.structs.replace(
            evidence,
            times=dict(watching.times),
            sent_at=watching.sent_at,
            answered_at=watching.answered_at,
            status=status,
            error=error,
        )

    def _request(self, plan: ConnectorPlan, target: Target) -> tuple[OperationPlan, HttpRequest, Asked]:
        """The health check with its sample values; where there is none that can be asked, the base URL."""
        check = plan.health_check
        operation = plan.operations.get(check.operation) if check is not None else None
        if check is None or operation is None or not operation.idempotent:
            return _plain(plan.resilience), _plain_request(target), "base URL"
        try:
            request = build_request(operation, target, check.sample, {}, idempotency_key=None, schemas=self._schemas)
        except DibopError as error:
            if error.code != "invalid-parameters":
                raise
            return _plain(plan.resilience), _plain_request(target), "base URL"
        once = msgspec.structs.replace(operation, resilience=_once(operation.resilience))
        return once, request, "health check"

    async def _check_cooldown(self, probe: Probe) -> None:
        """Send nothing while the external system has asked to be left alone."""
        hold = hold_of(probe.scope, _plain(probe.plan.resilience), self._outer)
        try:
            circuit = await self._desk.look(hold)
        except StateUnavailableError as error:
            _log.info("A probe goes out without having seen whether there is a cooldown", reason=str(error))
            return
        if circuit.cooldown_ms > 0:
            raise DibopError(
                "rate-limited",
                f"The external system of connector {probe.scope.connector!r} has asked to be left alone "
                f"({circuit.cooldown_cause or 'cooldown'}). Nothing was sent; repeat after retry_after_ms.",
                retry_after_ms=circuit.cooldown_ms,
                outcome="not_sent",
            )


async def _signed(bearer: Bearer, request: HttpRequest) -> tuple[HttpRequest | None, float, DibopError | None]:
    """The request with an access token, how long that took, and why there is none."""
    begun = monotonic()
    signed, refused = None, None
    try:
        signed = await bearer.sign(request)
    except DibopError as error:
        refused = error
    return signed, round((monotonic() - begun) * 1000, 3), refused


def _once(resilience: ResiliencePlan) -> ResiliencePlan:
    return msgspec.structs.replace(
        resilience, max_retries=0, timeout_seconds=min(resilience.timeout_seconds, ATTEMPT_SECONDS)
    )


def _plain(resilience: ResiliencePlan) -> OperationPlan:
    """A GET of the base URL as an operation."""
    return OperationPlan(
        name="",
        method="GET",
        literals=("",),
        path_names=(),
        parameters=(),
        body_encoding=None,
        idempotent=True,
        idempotency_header=None,
        response_schema=None,
        resilience=_once(resilience),
    )


def _plain_request(target: Target) -> HttpRequest:
    query = target.credentials.query
    url = f"{target.base}?{query}" if query else target.base
    return HttpRequest("GET", url, list(target.credentials.headers), None, target.certificate)


def _is_literal(url: str) -> bool:
    try:
        return literal_address(parse_fixed_url(split_url(url)[0]).host) is not None
    except (AddressError, BadRequest):
        return False
