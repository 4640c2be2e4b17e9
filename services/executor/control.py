"""Operators' commands to the executors: `circuit.show` and `circuit.reset`, answered by whichever worker is free.

Nothing here is on the path of executions. The token is verified by the executor itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from services.executor.audit import AuditTrail
from services.executor.callers import Callers
from services.executor.domain.resolution import Ask
from services.executor.resilience.circuits import CircuitDesk
from services.executor.resilience.types import StateUnavailableError
from services.executor.resolve import Held, Resolver
from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit, Circuit, Circuits, CircuitsReset, ResetCircuits, ShowCircuits
from shared.contracts.errors import DibopError
from shared.contracts.execution import AUTHORIZATION_HEADER, MAX_REQUEST_BYTES, REQUEST_ID_HEADER
from shared.contracts.subjects import CONTROL_PATTERN, EXECUTORS_QUEUE, parse
from shared.messaging.replies import as_dibop_error, encode_reply, problem_bytes, request_id_of
from shared.messaging.validation import read_body
from shared.security.principals import Action, Principal, authorise

T = TypeVar("T")
C = TypeVar("C", ShowCircuits, ResetCircuits)
R = TypeVar("R", Circuits, CircuitsReset)

_AT_ONCE: Final = 32
_MOST_AUDITED: Final = 50
"""An audit entry names so many circuits at most."""

_log = structlog.get_logger(__name__)


class Caller(msgspec.Struct, frozen=True):
    """Who commands, for which enterprise (the subject's), in which request."""

    principal: Principal
    enterprise: str
    request_id: str


class Controls(msgspec.Struct, frozen=True):
    """What the commands work with."""

    resolver: Resolver
    desk: CircuitDesk
    audit: AuditTrail


async def show(caller: Caller, query: ShowCircuits, controls: Controls) -> Circuits:
    """How the circuits of a connection stand."""
    authorise(caller.principal, Action.READ, caller.enterprise)
    held = await _held(caller, query, controls)
    return await _look(caller, query, held, controls)


async def reset(caller: Caller, command: ResetCircuits, controls: Controls) -> CircuitsReset:
    """Close circuits, end cooldowns, and leave an audit entry: at once, or once the registry is back."""
    authorise(caller.principal, Action.MANAGE_CONNECTIONS, caller.enterprise)
    held = await _held(caller, command, controls)
    before = await _look(caller, command, held, controls)
    for hold in held.holds:
        await _reached(controls.desk.reset(hold))
    return CircuitsReset(before=before, audit=await controls.audit.write(caller.enterprise, _entry(caller, before)))


async def _held(caller: Caller, query: ShowCircuits, controls: Controls) -> Held:
    return await controls.resolver.held(
        Ask(caller.enterprise, query.connector, query.operation or "", connection=query.connection)
    )


async def _look(caller: Caller, query: ShowCircuits, held: Held, controls: Controls) -> Circuits:
    return Circuits(
        enterprise=caller.enterprise,
        owner=held.owner,
        connector=query.connector,
        connection=held.connection,
        version=held.version,
        circuits=[await _reached(controls.desk.look(hold)) for hold in held.holds],
    )


async def _reached(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except StateUnavailableError as error:
        raise DibopError(
            "overloaded",
            f"The Redis that holds circuits and limits cannot be asked: {error} Until it can, each worker decides by "
            "itself. Repeat when Redis is back.",
        ) from error


def _entry(caller: Caller, before: Circuits) -> AppendAudit:
    changed = [_told(each) for each in before.circuits if each.state != "closed" or each.failures or each.cooldown_ms]
    return AppendAudit(
        id=str(uuid.uuid4()),
        at=utc_now(),
        actor=caller.principal.subject,
        action="circuit.reset",
        noun="circuit",
        identifier=f"{before.connector}.{before.connection}" if before.connection else before.connector,
        details={
            "connector": before.connector,
            "owner": before.owner,
            "connection": before.connection,
            "operations": [each.operation for each in before.circuits if each.operation][:_MOST_AUDITED],
            "before": changed[:_MOST_AUDITED],
        },
        request_id=caller.request_id,
    )


def _told(circuit: Circuit) -> dict[str, Any]:
    return circuit.model_dump(include={"operation", "state", "failures", "cause", "cooldown_ms", "cooldown_cause"})


class Control:
    """The subjects of these commands: 32 at work at once, others are `overloaded`; one reply for each."""

    def __init__(self, nc: Client, callers: Callers, controls: Controls) -> None:
        self._nc = nc
        self._callers = callers
        self._controls = controls
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Return once the server knows the subscription."""
        self._subscription = await self._nc.subscribe(CONTROL_PATTERN, queue=EXECUTORS_QUEUE, cb=self._take)
        await self._nc.flush()

    async def drain(self, seconds: float) -> None:
        """Take no more; answer what was taken, within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                if self._subscription is not None:
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # no annotation in nats-py
                await asyncio.gather(*self._tasks)
        except (NatsError, TimeoutError) as error:
            _log.warning("Operators' commands are ended unfinished", error=str(error) or type(error).__name__)
            for task in self._tasks:
                task.cancel()
        await self._controls.audit.stop()

    async def _take(self, message: Msg) -> None:
        if not message.reply:
            return
        task = asyncio.create_task(self._serve(message, full=len(self._tasks) >= _AT_ONCE))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Msg, *, full: bool) -> None:
        request_id = request_id_of(message.headers)
        headers = {REQUEST_ID_HEADER: request_id, "content-type": "application/json"}
        try:
            body = encode_reply(await self._answer(message, request_id, full=full))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets its one reply
            body, headers = problem_bytes(as_dibop_error(error, request_id), request_id)
        try:
            await self._nc.publish(message.reply, body, headers=headers)
        except (NatsError, OSError, ValueError) as error:
            _log.error("A reply could not be sent", subject=message.subject, error=str(error) or type(error).__name__)

    async def _answer(self, message: Msg, request_id: str, *, full: bool) -> Circuits | CircuitsReset:
        if full:
            raise DibopError(
                "overloaded", f"This worker has {_AT_ONCE} operators' commands already. Repeat in a moment."
            )
        address = parse(message.subject)
        authorization = (message.headers or {}).get(AUTHORIZATION_HEADER)
        if authorization is None:
            raise DibopError("unauthenticated", "The request carries no Authorization header. Send 'Bearer <token>'.")
        caller = Caller(self._callers.principal(authorization), address.enterprise, request_id)
        if address.second == "show":
            return await self._run(show, caller, message.data, ShowCircuits)
        if address.second == "reset":
            return await self._run(reset, caller, message.data, ResetCircuits)
        raise DibopError(
            "invalid-request", f"Executors have no command circuit.{address.second[:40]}. There are show and reset."
        )

    async def _run(
        self, handle: Callable[[Caller, C, Controls], Awaitable[R]], caller: Caller, body: bytes, command: type[C]
    ) -> R:
        return await handle(caller, read_body(body, command, max_bytes=MAX_REQUEST_BYTES), self._controls)
