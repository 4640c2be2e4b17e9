"""What runs beside the callers: the upstream, real NATS (and Redis), and one executor with a published connector.

Registry and publisher are left out: their projections, which are all that an executor reads, are written here.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import nats
import rfc8785
from nats.errors import Error as NatsError

from benchmarks import scenario
from benchmarks.processes import Group, Measured, Placement, Process, Runner
from benchmarks.results import now
from dibop.local.binaries import find_nats_server, find_redis_server, nats_config, redis_argv
from shared.contracts import subjects
from shared.contracts.execution import DEFAULT_CONNECTION
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry, CatalogueVersion, ConnectionEntry
from shared.files import write_private
from shared.messaging.bootstrap import bootstrap
from shared.messaging.objects import Documents
from shared.security.sealing import KeyRing, SealContext

HOST: Final = "127.0.0.1"
_VERSION: Final = "1.0.0"
_EXECUTOR_SERVICE: Final = "dibop-executor"


@dataclass(frozen=True, slots=True)
class Stack:
    """The running processes; `callers` share the requests in flight. `executor` is all of them, if there are more."""

    upstream_url: str
    nats_port: int
    executor: Measured
    callers: list[Runner]
    servers: dict[str, Measured]


@contextmanager
def upstream_server(directory: Path, placement: Placement) -> Iterator[tuple[str, Process]]:
    """The base URL of the upstream, and its process."""
    argv = [sys.executable, "-m", "benchmarks.upstream"]
    with Process(argv, log=directory / "upstream.log", cores=placement.others, talks=True) as process:
        port = int(process.read_line(30.0))
        yield f"http://{HOST}:{port}", process


@contextmanager
def redis_process(directory: Path, placement: Placement) -> Iterator[tuple[int, Process]]:
    """The port of a Redis that serves, and its process."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    argv = redis_argv(find_redis_server(), port=port, directory=directory)
    with Process(argv, log=directory / "redis.log", cores=placement.others) as server:
        server.wait_until(lambda: _accepts(port))
        yield port, server


@contextmanager
def stack(
    directory: Path,
    placement: Placement,
    *,
    upstream: tuple[str, Process],
    callers: int = 2,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Everything that an execution passes through. The executors have the worker's core to themselves.

    `settings` are environment variables of theirs, besides those that they need.
    """
    url, upstream_process = upstream
    directory.mkdir(parents=True, exist_ok=True)
    nats_port = free_port()
    config = directory / "nats.conf"
    config.write_text(nats_config(port=nats_port, store=directory / "jetstream"))
    ring = KeyRing.generate()
    ring_file = directory / "ring.json"
    write_private(ring_file, ring.dump())
    others = placement.others
    nats_url = f"nats://{HOST}:{nats_port}"
    nats_argv = [str(find_nats_server()), "-c", str(config)]
    with ExitStack() as running:
        nats_server = running.enter_context(Process(nats_argv, log=directory / "nats.log", cores=others))
        redis_port, redis_server = running.enter_context(redis_process(directory, placement))
        nats_server.wait_until(lambda: _accepts(nats_port))
        asyncio.run(_publish(nats_url, url, ring))
        environment = {
            "DIBOP_NATS_URL": nats_url,
            "DIBOP_REDIS_URL": f"redis://{HOST}:{redis_port}/0",
            "DIBOP_RATE_WINDOW_MS": str(scenario.RATE_WINDOW_MS),
            "DIBOP_SEAL_KEYRING_FILE": str(ring_file),
            "DIBOP_EGRESS_ALLOW": url.removeprefix("http://"),
            **(settings or {}),
        }
        executors = [
            running.enter_context(
                Process(
                    [sys.executable, "-m", "services.executor"],
                    log=directory / f"executor-{number}.log",
                    cores=placement.worker,
                    environment=environment,
                )
            )
            for number in range(workers)
        ]
        executors[0].wait_until(lambda: asyncio.run(_serving(nats_url)) == workers)
        runners = [
            running.enter_context(
                Runner("benchmarks.callers", HOST, str(nats_port), log=directory / f"callers-{n}.log", cores=others)
            )
            for n in range(callers)
        ]
        servers: dict[str, Measured] = {"NATS": nats_server, "Redis": redis_server, "upstream": upstream_process}
        yield Stack(url, nats_port, executors[0] if workers == 1 else Group(executors), runners, servers)


async def _publish(nats_url: str, base_url: str, ring: KeyRing) -> None:
    """Write what registry and publisher would have written: document, catalogue entry, connection."""
    nc = await nats.connect(nats_url)
    try:
        js = nc.jetstream()
        await bootstrap(js)
        digest = await Documents(js).put(rfc8785.dumps(scenario.template_document(base_url)))
        version = CatalogueVersion(_VERSION, digest, "published", now())
        await _put(
            js,
            subjects.CATALOGUE_BUCKET,
            subjects.catalogue_key(PLATFORM, scenario.CONNECTOR),
            CatalogueEntry(scenario.CONNECTOR, PLATFORM, 1, [version]),
        )
        await _put(
            js,
            subjects.CONNECTIONS_BUCKET,
            subjects.connection_key(scenario.ENTERPRISE, scenario.CONNECTOR, DEFAULT_CONNECTION),
            connection(base_url, ring),
        )
    finally:
        await nc.close()


def connection(origin: str, ring: KeyRing) -> ConnectionEntry:
    """The default connection, with the API key sealed as the command line seals it."""
    identifier = str(uuid.uuid4())
    context = SealContext("connection", scenario.ENTERPRISE, PLATFORM, scenario.CONNECTOR, identifier, origin)
    return ConnectionEntry(
        id=identifier,
        enterprise=scenario.ENTERPRISE,
        connector=scenario.CONNECTOR,
        owner=PLATFORM,
        name=DEFAULT_CONNECTION,
        generation=1,
        version_policy="^1",
        origin=origin,
        kid=ring.active,
        values={},
        sealed=ring.sealing_key.seal_all({"api_key": scenario.API_KEY}, context),
    )


async def _put(js: Any, bucket: str, key: str, entry: msgspec.Struct) -> None:
    store = await js.key_value(bucket)
    await store.put(key, msgspec.json.encode(entry))


async def _serving(nats_url: str) -> int:
    """How many executors answer the ping of NATS micro services, which they do when they are ready."""
    ready = 0
    try:
        nc = await nats.connect(nats_url, max_reconnect_attempts=0, connect_timeout=1)
    except (NatsError, OSError, TimeoutError):
        return 0
    try:
        inbox = nc.new_inbox()
        answers = await nc.subscribe(inbox)
        await nc.publish(f"$SRV.PING.{_EXECUTOR_SERVICE}", b"", reply=inbox)
        while not (await answers.next_msg(timeout=0.5)).headers:
            ready += 1
    except (NatsError, OSError, TimeoutError):
        pass
    finally:
        await nc.close()
    return ready


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0
