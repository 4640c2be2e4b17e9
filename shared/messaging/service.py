"""A service that answers commands: one FastStream broker, its life cycle, and its promises.

Every request gets one reply, whatever it holds and whatever fails. Concurrency is bounded, and so is the
queue behind it: beyond it a request is refused at once with `overloaded`. A request whose reply would go to another
enterprise's inbox is dropped. Ready means that every
subscription has reached the server; the NATS micro service `dibop-<name>` appears then. On SIGTERM
the service stops taking requests, answers those it has taken, and only then goes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar, cast

import nats.micro
import structlog
from faststream.nats import NatsBroker, NatsMessage
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.micro.service import Service as MicroService
from nats.micro.service import ServiceConfig
from pydantic import BaseModel

from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import AUTHORIZATION_HEADER, MAX_REQUEST_BYTES, TRACEPARENT_HEADER
from shared.messaging.broker import make_broker
from shared.messaging.connection import BusClient
from shared.messaging.middleware import Tally, answer_errors
from shared.messaging.replies import encode_reply, request_id_of
from shared.messaging.reply_guard import DroppedRequests
from shared.messaging.validation import read_body
from shared.security.principals import GOOD, Principal, Standing, TokenVerifier
from shared.settings import ServiceSettings
from shared.tasks import end

M = TypeVar("M", bound=BaseModel)
Hook = Callable[[], Awaitable[None]]

_QUEUED_PER_WORKER: Final = 32
_REFUSERS: Final = 64
"""How many more requests are taken at once only to be refused."""
_LAST_REPLIES_SECONDS: Final = 5.0
_CLEAN_UP_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class BusClosedError(Exception):
    """The connection to NATS ended for good, without our doing."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Who sends a command, and in which enterprise (the subject's)."""

    enterprise: str
    principal: Principal
    request_id: str
    traceparent: str | None


Handler = Callable[[CommandContext, M], Awaitable[object]]
"""What answers a command: with a pydantic model, a msgspec struct or a mapping."""


class CommandService:
    """The commands of one plane, `<name>.v1.<enterprise>.<noun>.<verb>`, and the resources behind them."""

    def __init__(self, name: str, settings: ServiceSettings, verifier: TokenVerifier, version: str) -> None:
        self.name = name
        self._settings = settings
        self._verifier = verifier
        self._version = version
        self._tally = Tally()
        self.dropped = DroppedRequests()
        self._work = _Work(name)
        self._subscribers: list[Any] = []
        self._commands: dict[str, type[BaseModel]] = {}
        self._on_start: list[Hook] = []
        self._on_stop: list[Hook] = []
        self._standing_of: Callable[[str], Standing] = _always_good
        self._micro: MicroService | None = None
        self._client: BusClient | None = None
        self.broker: NatsBroker = make_broker(
            settings,
            name=f"dibop-{name}",
            drain_seconds=settings.drain_seconds,
            middlewares=[answer_errors(self._tally, self.dropped)],
            apply_types=False,
            logger=None,
        )

    @property
    def commands(self) -> Mapping[str, type[BaseModel]]:
        """What it answers: the body of each command, by `<noun>.<verb>`."""
        return self._commands

    @property
    def nc(self) -> BusClient:
        """The connection; there is one once `start` has connected, `on_start` hooks included."""
        if self._client is None:
            raise RuntimeError(f"{self.name} is not connected yet: use its connection in an on_start hook or later")
        return self._client

    @property
    def js(self) -> JetStreamContext:
        return self.nc.jetstream()

    def mind(self, standing_of: Callable[[str], Standing]) -> None:
        """Let the people of an enterprise do what `standing_of(enterprise)` allows; without it, all is well."""
        self._standing_of = standing_of

    def on_start(self, hook: Hook) -> Hook:
        """Run `hook` after connecting, before any command is taken; in the order given."""
        self._on_start.append(hook)
        return hook

    def on_stop(self, hook: Hook) -> Hook:
        """Run `hook` once the last command is answered, before disconnecting; in reverse order."""
        self._on_stop.append(hook)
        return hook

    def command(
        self, noun: str, verb: str, model: type[M], *, concurrency: int = 32, max_bytes: int = MAX_REQUEST_BYTES
    ) -> Callable[[Handler[M]], Handler[M]]:
        """Answer `<noun>.<verb>` with the decorated handler.

        At most `concurrency` of it run at once and 32 times as many wait; a body over `max_bytes` is refused.
        """
        workers = asyncio.Semaphore(concurrency)
        capacity = concurrency * (1 + _QUEUED_PER_WORKER)
        taken = 0

        def register(handler: Handler[M]) -> Handler[M]:
            async def answer(message: NatsMessage) -> bytes:
                nonlocal taken
                if taken >= capacity:
                    raise DibopError(
                        "overloaded",
                        f"The {self.name} has {capacity} requests of {noun}.{verb} already. Repeat in a moment.",
                    )
                taken += 1
                try:
                    async with workers:
                        return encode_reply(await self._work.run(self._handle(message, model, max_bytes, handler)))
                finally:
                    taken -= 1

            subscriber = self.broker.subscriber(
                f"{self.name}.{subjects.VERSION}.*.{noun}.{verb}",
                queue=self.name,
                max_workers=capacity + _REFUSERS,
                decoder=_as_it_is,
                title=f"{noun}.{verb}",
            )
            subscriber(answer)
            self._subscribers.append(subscriber)
            self._commands[f"{noun}.{verb}"] = model
            return handler

        return register

    async def start(self) -> None:
        """Connect, prepare the resources, take commands, and only then appear as ready."""
        try:
            self._client = client = cast("BusClient", await self.broker.connect())
            await self._verifier.keys.start()
            for hook in self._on_start:
                await hook()
            await self.broker.start()
            await client.flush()
            self._micro = await nats.micro.add_service(
                client,
                ServiceConfig(name=f"dibop-{self.name}", version=self._version, metadata={"pid": str(os.getpid())}),
            )
            await client.flush()
        except BaseException:
            await self._disconnect()
            raise
        _log.info("Ready", version=self._version)

    async def drain_and_stop(self) -> None:
        """Take no more, answer what was taken (within `drain_seconds`), release the resources, disconnect."""
        _log.info("Draining", seconds=self._settings.drain_seconds)
        try:
            async with asyncio.timeout(self._settings.drain_seconds or None):
                await self._drain()
        except TimeoutError:
            _log.error(
                "Commands were broken off: they did not finish in time; allow more with DIBOP_DRAIN_SECONDS",
                broken_off=self._tally.in_flight,
            )
            await self._break_off()
        except NatsError as error:
            _log.warning("NATS is away while draining; what could not be answered will time out", error=str(error))
        for hook in reversed(self._on_stop):
            try:
                await hook()
            except Exception:  # noqa: BLE001  # the others must still be released
                _log.exception("A resource could not be released")
        await self._disconnect()
        _log.info("Stopped")

    async def _handle(self, message: NatsMessage, model: type[M], max_bytes: int, handler: Handler[M]) -> object:
        address = subjects.parse(message.raw_message.subject)
        principal = await self._verifier.verified(message.headers.get(AUTHORIZATION_HEADER))
        if (standing := self._standing_of(principal.enterprise)) is not GOOD:
            principal = replace(principal, standing=standing)
        context = CommandContext(
            address.enterprise,
            principal,
            request_id=request_id_of(message.headers),
            traceparent=message.headers.get(TRACEPARENT_HEADER),
        )
        return await handler(context, read_body(message.body, model, max_bytes=max_bytes))

    async def _drain(self) -> None:
        """Subscriptions first: FastStream's own stop drops what arrives between its flag and the unsubscribe."""
        if self._micro is not None:
            await self._micro.stop()
        subscriptions = [s.subscription for s in self._subscribers if s.subscription is not None]
        await asyncio.gather(*(subscription.drain() for subscription in subscriptions))
        await self._tally.reached(sum(subscription.delivered for subscription in subscriptions))
        await self.nc.flush()

    async def _break_off(self) -> None:
        """End what is still running; its callers are told."""
        self._work.break_off()
        try:
            async with asyncio.timeout(_LAST_REPLIES_SECONDS):
                await self._tally.reached(self._tally.begun)
        except TimeoutError:
            _log.error("Not every caller could be told", unanswered=self._tally.in_flight)

    async def _disconnect(self) -> None:
        await self._verifier.keys.stop()
        for subscriber in self._subscribers:
            subscriber.subscription = None
        try:
            await self.broker.stop()
        except NatsError as error:
            _log.warning("NATS was away when disconnecting", error=str(error))
        if self._client is not None:
            await self._client.close()


class Runnable(Protocol):
    """What `run_until_signalled` runs."""

    @property
    def name(self) -> str: ...
    @property
    def nc(self) -> BusClient: ...
    async def start(self) -> None: ...
    async def drain_and_stop(self) -> None: ...


async def run_until_signalled(service: Runnable) -> None:
    """Start, serve until SIGTERM or SIGINT, drain, return. BusClosedError when NATS ends the connection for good."""
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    starting = asyncio.create_task(service.start())
    waiting = asyncio.create_task(signalled.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await end(starting, again_seconds=_CLEAN_UP_SECONDS)
            _log.info("Stopped before it was ready")
            return
        await starting
        closed = asyncio.create_task(service.nc.closed.wait())
        await asyncio.wait({closed, waiting}, return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        await service.drain_and_stop()
        if not signalled.is_set():
            raise BusClosedError(
                f"The NATS server ended the connection of {service.name} for good. Check its user and credentials "
                "(DIBOP_NATS_CREDS), then start it again."
            )
    finally:
        waiting.cancel()


class _Work:
    """Handlers that run, each in a task of its own, so that they can be broken off and their callers told."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._tasks: set[asyncio.Task[object]] = set()
        self._broken_off = False

    async def run(self, handling: Coroutine[Any, Any, object]) -> object:
        if self._broken_off:
            handling.close()
            raise DibopError("overloaded", f"The {self._service} is stopping and has not begun this. Repeat it.")
        task = asyncio.create_task(handling)
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._broken_off:
                raise
            raise DibopError(
                "deadline-exceeded",
                f"The {self._service} had to stop before this was finished; whether it was carried out is not known. "
                "Look before repeating it.",
                outcome="unknown",
            ) from None
        finally:
            self._tasks.discard(task)

    def break_off(self) -> None:
        self._broken_off = True
        for task in self._tasks:
            task.cancel()


def _always_good(_enterprise: str) -> Standing:
    return GOOD


async def _as_it_is(message: NatsMessage) -> NatsMessage:
    return message
