"""Wiring of an executor: the one place that makes its connections, and tells its life from start to drain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog
from nats.errors import Error as NatsError

from services.executor.attempts import Sender
from services.executor.audit import AuditTrail
from services.executor.bus import Intake
from services.executor.callers import Callers
from services.executor.calls import CallLog
from services.executor.control import Control, Controls
from services.executor.control.ports import Keys
from services.executor.credentials import Vault
from services.executor.domain.compiling import compile_document
from services.executor.domain.schemas import SchemaCache
from services.executor.fleet import METADATA, FleetKeys, keys_of
from services.executor.handlers import Ports
from services.executor.keys import LiveRing
from services.executor.oauth.assembly import OAuth
from services.executor.oauth.older_keys import OlderTokens
from services.executor.parts import ResponseParts
from services.executor.plans import Plans
from services.executor.probing import Prober
from services.executor.registry import RegistryClient
from services.executor.resealing import Resealer
from services.executor.resilience.assembly import Resilience
from services.executor.resolve import Resolver
from services.executor.settings import ExecutorSettings
from services.executor.status import WorkerService
from services.executor.transport.aiohttp_transport import AiohttpTransport
from services.executor.transport.egress import EgressPolicy
from services.executor.uses import UseLog
from shared.contracts.execution import MAX_PAYLOAD_BYTES, REPLY_RESERVE_BYTES
from shared.contracts.projections import CatalogueEntry, ConnectionEntry
from shared.contracts.subjects import (
    CALLS_STREAM,
    CATALOGUE_BUCKET,
    CONNECTIONS_BUCKET,
    ENTERPRISES_BUCKET,
    EVENTS_STREAM,
    HEALTH_BUCKET,
    RESPONSES_STREAM,
    TEMPLATES_BUCKET,
)
from shared.messaging.bootstrap import key_value_stream, object_stream, wait_for_bus
from shared.messaging.connection import BusClient, connect
from shared.messaging.enterprises import Enterprises
from shared.messaging.kv import KvMirror
from shared.messaging.objects import Documents
from shared.security.principals.setup import token_verifier

T = TypeVar("T")

_STREAMS: Final = (
    key_value_stream(CATALOGUE_BUCKET),
    key_value_stream(CONNECTIONS_BUCKET),
    key_value_stream(ENTERPRISES_BUCKET),
    key_value_stream(HEALTH_BUCKET),
    object_stream(TEMPLATES_BUCKET),
    RESPONSES_STREAM,
    EVENTS_STREAM,
    CALLS_STREAM,
)

_STOP_SECONDS: Final = 2.0
_log = structlog.get_logger(__name__)


class Executor:
    """One worker. `start` returns when it is ready; `drain_and_stop` when nothing of it is left.

    `on_loaded` is called once everything is loaded, just before the worker appears as ready.
    """

    name = "executor"

    def __init__(self, settings: ExecutorSettings, *, on_loaded: Callable[[], None] | None = None) -> None:
        self._settings = settings
        self._on_loaded = on_loaded
        self._ring = _load(LiveRing, settings.seal_keyring_file)
        self._enterprises = Enterprises(lambda: self.nc)
        self._callers = Callers(token_verifier(settings), self._enterprises.standing)
        self._client: BusClient | None = None
        self._transport: AiohttpTransport | None = None
        self._mirrors: list[KvMirror[Any]] = []
        self._resilience: Resilience | None = None
        self._oauth: OAuth | None = None
        self._audit: AuditTrail | None = None
        self._uses: UseLog | None = None
        self._calls: CallLog | None = None
        self._intake: Intake | None = None
        self._control: Control | None = None
        self._micro: WorkerService | None = None

    @property
    def nc(self) -> BusClient:
        """The connection; there is one once `start` has connected."""
        if self._client is None:
            raise RuntimeError("the executor is not connected yet")
        return self._client

    async def start(self) -> None:
        """Connect, fill the mirrors, take requests, and only then appear as ready."""
        settings = self._settings
        self._client = await connect(settings, name="dibop-executor", drain_seconds=settings.drain_seconds)
        await wait_for_bus(self.nc, _STREAMS)
        await self._callers.start()
        self._transport = AiohttpTransport(
            EgressPolicy.parse(settings.egress_allow),
            max_connections=settings.max_in_flight,
            ca_file=settings.egress_ca_file,
            proxy=settings.proxy(),
        )
        self._audit = AuditTrail(self.nc, settings.service_token_file)
        self._uses = UseLog(self._audit, settings.worker_name)
        self._uses.start()
        self._resilience = Resilience(self.nc, settings)
        await self._resilience.start()
        ports = await self._ports(self._transport, self._resilience)
        if settings.call_log:
            self._calls = CallLog(self.nc.jetstream(), settings.worker_name)
            self._calls.start()
        self._intake = Intake(
            self.nc,
            ports,
            self._callers,
            max_in_flight=settings.max_in_flight,
            queue_size=settings.queue_size,
            calls=self._calls,
        )
        await self._intake.start()
        controls = self._controls(ports, self._resilience, self._audit)
        self._control = Control(self.nc, self._callers, controls)
        await self._control.start()
        if self._on_loaded is not None:
            self._on_loaded()
        self._micro = WorkerService(
            self.nc,
            self._intake.counters,
            self._told,
            self._told_keys,
            version=version("dibop-connectors"),
            worker=settings.worker,
        )
        await self._micro.start()
        _log.info("Ready", worker=settings.worker, connectors=len(self._mirrors[0]), connections=len(self._mirrors[1]))

    async def drain_and_stop(self) -> None:
        """Take no more, answer what was taken within `drain_seconds`, then let go of everything."""
        _log.info("Draining", seconds=self._settings.drain_seconds)
        try:
            if self._micro is not None:
                await self._micro.stop()
        except NatsError as error:
            _log.warning("NATS is away while draining", error=str(error))
        if self._control is not None:
            await self._control.drain(_STOP_SECONDS)
        if self._intake is not None:
            await self._intake.drain(self._settings.drain_seconds)
        if self._calls is not None:
            await self._calls.stop(_STOP_SECONDS)
        if self._uses is not None:
            await self._uses.stop()
        if self._audit is not None:
            await self._audit.stop()
        if self._ring is not None:
            await self._ring.stop()
        for mirror in self._mirrors:
            await mirror.stop()
        await self._enterprises.stop()
        await self._callers.stop()
        await self._let_go()
        _log.info("Stopped")

    async def _let_go(self) -> None:
        for part in (self._oauth, self._resilience):
            if part is not None:
                await part.stop(_STOP_SECONDS)
        if self._transport is not None:
            await self._transport.aclose()
        if self._client is not None:
            await _disconnect(self._client)

    async def _ports(self, transport: AiohttpTransport, resilience: Resilience) -> Ports:
        settings, nc = self._settings, self.nc
        js = nc.jetstream()

        def connector_changed(key: str, _entry: CatalogueEntry | None) -> None:
            resolver.forget_connector(key)

        def connection_changed(key: str, entry: ConnectionEntry | None) -> None:
            resolver.connection_changed(key, entry)
            resilience.leftovers.connection_changed(key, entry)
            if entry is not None:
                resilience.health.has_credentials(entry)

        catalogue = KvMirror(nc, CATALOGUE_BUCKET, _decoder(CatalogueEntry), on_change=connector_changed)
        connections = KvMirror(nc, CONNECTIONS_BUCKET, _decoder(ConnectionEntry), on_change=connection_changed)
        self._mirrors = [catalogue, connections]
        vault = Vault(self._ring, on_use=self._uses.tell if self._uses is not None else None)
        plans = Plans(Documents(js), compile_document, settings.plan_cache_size)
        resolver = Resolver(catalogue, connections, plans, vault, resilience.outer_rates)
        await asyncio.gather(catalogue.start(), connections.start(), self._enterprises.start())
        resolver.start()
        resilience.mind(connections)
        if self._ring is not None:
            self._ring.start()
        self._oauth = OAuth(
            nc, settings, transport=transport, resilience=resilience, connections=connections, ring=self._ring
        )
        return Ports(
            resolver=resolver,
            sender=Sender(transport, resilience.guard, resilience.bulkhead, max_bytes=settings.max_response_bytes),
            schemas=SchemaCache(),
            parts=ResponseParts(js),
            tokens=self._oauth.tokens,
            max_reply_bytes=min(nc.max_payload, MAX_PAYLOAD_BYTES) - REPLY_RESERVE_BYTES,
            hides_echoes=settings.hide_echoed_credentials,
            suspended=self._enterprises.suspended,
        )

    def _controls(self, ports: Ports, resilience: Resilience, audit: AuditTrail) -> Controls:
        if self._oauth is None or self._transport is None:
            raise RuntimeError("the executor has no OAuth2 or no transport yet")
        registry = RegistryClient(self.nc, self._settings.service_token_file)
        prober = Prober(
            self._transport,
            guard=resilience.guard,
            bulkhead=resilience.bulkhead,
            tokens=ports.tokens,
            desk=resilience.desk,
            schemas=ports.schemas,
            outer=resilience.outer_rates,
            max_bytes=self._settings.max_response_bytes,
        )
        return Controls(
            ports.resolver,
            resilience.desk,
            audit,
            self._oauth.exchanger,
            registry,
            prober,
            resilience.health,
            self._keys(resilience, registry),
            self._ring,
        )

    def _keys(self, resilience: Resilience, registry: RegistryClient) -> Keys | None:
        if self._ring is None:
            return None
        return Keys(
            FleetKeys(self.nc, lambda: resilience.workers),
            Resealer(self._ring, self._mirrors[1], registry, OlderTokens(self._settings.redis_url)),
        )

    def _told(self) -> dict[str, dict[str, Any]]:
        parts = {"resilience": self._resilience, "oauth": self._oauth, "calls": self._calls}
        return {name: part.status() for name, part in parts.items() if part is not None}

    def _told_keys(self) -> dict[str, str]:
        worker = self._settings.worker or str(os.getpid())
        connections = (entry for _, entry in self._mirrors[1].under(""))
        return {METADATA: keys_of(worker, self._ring, connections).model_dump_json()}


def _load(read: Callable[[Path], T], path: Path | None) -> T | None:
    return None if path is None else read(path)


def _decoder(kind: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(kind).decode


async def _disconnect(client: BusClient) -> None:
    try:
        await client.flush()
    except (NatsError, OSError, ValueError) as error:
        _log.warning("NATS is away; the last replies may be lost", error=str(error) or type(error).__name__)
    await client.close()
