"""The publisher's wiring: the one place where its parts meet and connections are made."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.publisher.bus import CatalogueBucket, ExecutorsClient, RegistryClient, serve
from services.publisher.handlers.auditing import AuditForwarder
from services.publisher.handlers.ports import Ports
from services.publisher.handlers.saga import MoveRunner, Point, Reached
from services.publisher.handlers.test_runner import DraftTester
from services.publisher.progress import BusProgress
from services.publisher.settings import PublisherSettings
from services.publisher.store import SqlStore, SqlTestRuns
from shared.contracts.subjects import CATALOGUE_BUCKET, ENTERPRISES_BUCKET, EVENTS_STREAM
from shared.messaging.bootstrap import key_value_stream, wait_for_bus
from shared.messaging.enterprises import Enterprises
from shared.messaging.relay import OutboxRelay
from shared.messaging.service import CommandService, run_until_signalled
from shared.persistence.engine import Database
from shared.persistence.migrate import prepare
from shared.security.principals.setup import required_verifier

MIGRATIONS: Final = Path(__file__).parent / "migrations"
STREAMS: Final = (EVENTS_STREAM, key_value_stream(CATALOGUE_BUCKET), key_value_stream(ENTERPRISES_BUCKET))
_KILLED: Final = 137


async def run(settings: PublisherSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    database = Database.open(settings.database_url)
    try:
        await prepare(database, MIGRATIONS, migrates=settings.migrate_at_start)
        await run_until_signalled(build(settings, database))
    finally:
        await database.close()


def build(settings: PublisherSettings, database: Database) -> CommandService:
    """The publisher over a migrated database, not started yet."""
    verifier = required_verifier(settings, "publisher")
    if not os.access(settings.service_token_file, os.R_OK):
        raise ValueError(
            f"The publisher's own token cannot be read from {settings.service_token_file}. "
            "Correct DIBOP_SERVICE_TOKEN_FILE, or let this process read the file."
        )
    service = CommandService("publisher", settings, verifier, version("dibop-connectors"))
    progress = BusProgress(lambda: service.nc)
    ports = Ports(
        store=SqlStore(database),
        runs=SqlTestRuns(database),
        registry=RegistryClient(lambda: service.nc, settings.service_token_file, settings.registry_timeout_seconds),
        executors=ExecutorsClient(lambda: service.nc, settings.service_token_file),
        catalogue=CatalogueBucket(lambda: service.nc),
        progress=progress,
    )
    runner = MoveRunner(ports.store, ports.registry, ports.catalogue, reached=_reached(settings.fault_point))
    forwarder = AuditForwarder(ports.store, ports.registry)
    database.on_commit(forwarder.wake)
    test_runner = DraftTester(ports, seconds=settings.test_seconds)
    serve(service, settings, ports, runner, test_runner)
    enterprises = Enterprises(lambda: service.nc)
    service.mind(enterprises.standing)

    @service.on_start
    async def prepare() -> None:
        await wait_for_bus(service.nc, STREAMS)
        await enterprises.start()
        relay = OutboxRelay(database, service.js)
        relay.start()
        forwarder.start()
        progress.start()
        await runner.start()
        await test_runner.start()
        parts = (enterprises, relay, forwarder, progress, runner, test_runner)
        for release in (part.stop for part in parts):
            service.on_stop(release)

    return service


def _reached(fault_point: Point | None) -> Reached:
    """What a move's progress is told to: nothing, or the sudden death that a crash test asks for."""

    def reached(point: Point) -> None:
        if point is fault_point:
            os._exit(_KILLED)

    return reached
