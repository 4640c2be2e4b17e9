"""How the platform does, for its operators: services, streams, Redis and NATS."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.console.api import routing
from services.console.api.dependencies import DeskOf
from services.console.api.models import View
from services.console.bus import Bus
from shared.contracts.errors import DibopError
from shared.contracts.unreadable import UNREADABLE
from shared.messaging.bootstrap import stream_configs
from shared.security.principals import Role

router = routing.router("administration")

_WINDOW_SECONDS: Final = 0.3
_ANSWER_SECONDS: Final = 2.0
_FLUSH_SECONDS: Final = 2
_SERVICES: Final = "dibop-"


class ServiceInstance(View):
    """One process that answers requests. `metadata` is what it tells of itself."""

    service: str
    id: str
    version: str
    metadata: dict[str, str]


class StreamState(View):
    """A stream or bucket. `error` says why it could not be looked at."""

    name: str
    messages: int | None = None
    bytes: int | None = None
    consumers: int | None = None
    error: str | None = None


class NatsState(View):
    connected: bool
    server: str | None
    round_trip_ms: float | None


class RedisState(View):
    connected: bool


class SystemStatus(View):
    """What the console sees of the platform now. A service that has several processes stands here several times."""

    services: list[ServiceInstance]
    streams: list[StreamState]
    nats: NatsState
    redis: RedisState


@router.get("/status", summary="Services, streams, Redis and NATS")
async def status(desk: DeskOf) -> SystemStatus:
    """For Platform Admins."""
    if Role.PLATFORM_ADMIN not in desk.caller.principal.roles:
        raise DibopError("forbidden", "How the platform does is for Platform Admins to see.")
    bus, store = desk.parts.bus, desk.parts.store
    services, streams, nats, redis = await asyncio.gather(_services(bus), _streams(bus), _nats(bus), store.ready())
    return SystemStatus(services=services, streams=streams, nats=nats, redis=RedisState(connected=redis))


async def _services(bus: Bus) -> list[ServiceInstance]:
    """Whoever answers `$SRV.PING` within the window."""
    answers: list[ServiceInstance] = []

    async def hear(message: Msg) -> None:
        told = _read(message.data)
        name = str(told.get("name", ""))
        if name.startswith(_SERVICES):
            metadata = {str(key): str(value) for key, value in (told.get("metadata") or {}).items()}
            version = str(told.get("version", ""))
            answers.append(
                ServiceInstance(
                    service=name.removeprefix(_SERVICES), id=str(told.get("id", "")), version=version, metadata=metadata
                )
            )

    try:
        inbox = bus.nc.new_inbox()
        subscription = await bus.nc.subscribe(inbox, cb=hear)
        await bus.nc.publish("$SRV.PING", b"", reply=inbox)
        await asyncio.sleep(_WINDOW_SECONDS)
        await subscription.unsubscribe()
    except NatsError:
        return []
    return sorted(answers, key=lambda each: (each.service, each.id))


async def _streams(bus: Bus) -> list[StreamState]:
    return await asyncio.gather(*(_stream(bus, str(config.name)) for config in stream_configs()))


async def _stream(bus: Bus, name: str) -> StreamState:
    try:
        answer = _read((await bus.nc.request(f"$JS.API.STREAM.INFO.{name}", b"", timeout=_ANSWER_SECONDS)).data)
    except NatsError as error:
        return StreamState(name=name, error=str(error) or type(error).__name__)
    state = answer.get("state")
    if not isinstance(state, dict):
        return StreamState(name=name, error=str((answer.get("error") or {}).get("description", "no answer")))
    return StreamState(
        name=name, messages=state.get("messages"), bytes=state.get("bytes"), consumers=state.get("consumer_count")
    )


async def _nats(bus: Bus) -> NatsState:
    began = time.monotonic()
    try:
        await bus.nc.flush(timeout=_FLUSH_SECONDS)
    except NatsError:
        return NatsState(connected=False, server=None, round_trip_ms=None)
    took = round((time.monotonic() - began) * 1000, 2)
    version = bus.nc.connected_server_version
    return NatsState(connected=True, server=f"{version.major}.{version.minor}.{version.patch}", round_trip_ms=took)


def _read(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except UNREADABLE:
        return {}
