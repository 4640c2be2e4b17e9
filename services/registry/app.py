"""Wiring: the one place that makes the registry's connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog

from services.registry.buckets import NatsBuckets, NatsProjections
from services.registry.bus import HealthMirror, serve
from services.registry.handlers import calls, drift, enterprises, projections, test_credentials
from services.registry.hearing import call_events, enterprise_events
from services.registry.settings import RegistrySettings
from services.registry.store import SqlStore
from shared.contracts.subjects import (
    CALLS_STREAM,
    CONNECTIONS_BUCKET,
    ENTERPRISES_BUCKET,
    EVENTS_STREAM,
    HEALTH_BUCKET,
    TEMPLATES_BUCKET,
)
from shared.messaging.bootstrap import key_value_stream, object_stream, wait_for_bus
from shared.messaging.connection import connect
from shared.messaging.enterprises import Enterprises
from shared.messaging.relay import OutboxRelay
from shared.messaging.service import CommandService, run_until_signalled
from shared.persistence.engine import Database
from shared.persistence.migrate import prepare, require_head
from shared.security.principals.setup import required_verifier
from shared.tasks import end

MIGRATIONS: Final = Path(__file__).parent / "migrations"
STREAMS: Final = (
    EVENTS_STREAM,
    CALLS_STREAM,
    key_value_stream(CONNECTIONS_BUCKET),
    key_value_stream(ENTERPRISES_BUCKET),
    key_value_stream(HEALTH_BUCKET),
    object_stream(TEMPLATES_BUCKET),
)
_REBUILD_WAIT_SECONDS: Final = 10.0

log = structlog.get_logger("registry")


async def run(settings: RegistrySettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    database = Database.open(settings.database_url)
    try:
        await prepare(database, MIGRATIONS, migrates=settings.migrate_at_start)
        await run_until_signalled(build(settings, database))
    finally:
        await database.close()


async def rebuild(settings: RegistrySettings) -> int:
    """Have everything that executors read be as the database says; the answer says how many entries were not."""
    database = Database.open(settings.database_url)
    try:
        await require_head(database, MIGRATIONS)
        nc = await connect(settings, name="dibop-registry-rebuild", wait_seconds=_REBUILD_WAIT_SECONDS)
        try:
            return await drift.rebuild_all(SqlStore(database), NatsBuckets(nc.jetstream))
        finally:
            await nc.close()
    finally:
        await database.close()


def build(settings: RegistrySettings, database: Database) -> CommandService:
    """The registry over a migrated database, not started yet."""
    verifier = required_verifier(settings, "registry")
    service = CommandService("registry", settings, verifier, version("dibop-connectors"))
    store = SqlStore(database)
    written = NatsProjections(lambda: service.js)
    health = HealthMirror(lambda: service.nc)
    serve(service, store, written, NatsBuckets(lambda: service.js), health)
    standings = Enterprises(lambda: service.nc)
    service.mind(standings.standing)
    listeners = (
        enterprise_events(lambda: service.js, lambda told, event: enterprises.hear(store, written, told, event)),
        call_events(lambda: service.js, lambda told: calls.keep(store, told)),
    )
    tasks: list[asyncio.Task[None]] = []
    relays: list[OutboxRelay] = []

    async def start() -> None:
        await wait_for_bus(service.nc, STREAMS)
        await asyncio.gather(projections.finish(store, written), health.start(), standings.start())
        await test_credentials.sweep(store)
        relay = OutboxRelay(database, service.js)
        relay.start()
        relays.append(relay)
        for listener in listeners:
            listener.start()
        for what, work, seconds in (
            ("projections", lambda: projections.finish(store, written), settings.projection_repair_seconds),
            ("call log", lambda: calls.sweep(store, days=settings.call_log_days), settings.call_log_sweep_seconds),
            ("expiry", lambda: test_credentials.sweep(store), settings.test_credentials_sweep_seconds),
        ):
            tasks.append(asyncio.create_task(_repeat(what, work, seconds)))

    async def stop() -> None:
        await end(*tasks)
        for listener in listeners:
            await listener.stop()
        for relay in relays:
            await relay.stop()
        await health.stop()
        await standings.stop()

    service.on_start(start)
    service.on_stop(stop)
    return service


async def _repeat(what: str, work: Callable[[], Awaitable[object]], every_seconds: float) -> None:
    """Do `work` again and again: what failed while the process went on, as when NATS was away, is done later."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await work()
        except Exception:  # whatever it was, the next round tries again
            log.exception("what is done from time to time failed, and will be tried again", what=what)
