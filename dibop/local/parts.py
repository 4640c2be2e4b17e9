"""What the local stack consists of: each part's command, environment and sign of readiness."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nats.errors import Error as NatsError

import dibop
from dibop.bus import Bus
from dibop.errors import DibopError
from dibop.local import keys, nats_users, ports
from dibop.local.binaries import find_nats_server, find_redis_server, redis_argv
from dibop.local.home import Home
from dibop.local.ports import HOST
from dibop.local.supervisor import Part, ReadyCheck
from shared.messaging.access.authority import Authority
from shared.messaging.access.permissions import SERVICES

EXAMPLES: Final = Path(dibop.__file__).resolve().parents[1] / "examples"
EGRESS_VARIABLE: Final = "DIBOP_EGRESS_ALLOW"
_DRAIN_SECONDS: Final = 20.0
_PING_WINDOW_SECONDS: Final = 0.1
_GREETING_SECONDS: Final = 0.5


def has_demo() -> bool:
    """True where the examples lie beside the package: in a checkout, not in an installed wheel."""
    return (EXAMPLES / "demo_weather" / "__main__.py").is_file()


def nats_url(assigned: Mapping[str, int]) -> str:
    return f"nats://{HOST}:{assigned[ports.NATS]}"


def redis_url(assigned: Mapping[str, int]) -> str:
    return f"redis://{HOST}:{assigned[ports.REDIS]}/0"


def demo_url(assigned: Mapping[str, int]) -> str:
    return f"http://{HOST}:{assigned[ports.DEMO]}"


def console_url(assigned: Mapping[str, int]) -> str:
    return f"http://{HOST}:{assigned[ports.CONSOLE]}"


def servers(home: Home, assigned: Mapping[str, int], authority: Authority) -> list[Part]:
    """NATS, which lets in the users of `authority` alone, and Redis."""
    nats_users.adopt_streams(home.nats / "jetstream", authority)
    config = nats_users.write_server_config(home, assigned[ports.NATS], authority)
    return [
        Part(
            "nats",
            [str(find_nats_server()), "-c", str(config)],
            home.log_file("nats"),
            _greets(assigned[ports.NATS], b"", b"INFO"),
            address=nats_url(assigned),
            orphaned=signal.SIGTERM,
        ),
        Part(
            "redis",
            redis_argv(find_redis_server(), port=assigned[ports.REDIS], directory=home.redis),
            home.log_file("redis"),
            _greets(assigned[ports.REDIS], b"PING\r\n", b"+PONG"),
            address=redis_url(assigned),
            orphaned=signal.SIGTERM,
        ),
    ]


def demo(home: Home, assigned: Mapping[str, int]) -> Part:
    """The demo weather API."""
    port = assigned[ports.DEMO]
    argv = ["-m", "examples.demo_weather", "--port", str(port), "--api-key-file", str(home.demo_key_file)]
    return Part(
        "demo-weather",
        [sys.executable, *argv],
        home.log_file("demo-weather"),
        _greets(port, b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1."),
        directory=EXAMPLES.parent,
        address=demo_url(assigned),
    )


def registry(home: Home, assigned: Mapping[str, int], bus: Bus) -> Part:
    """It migrates its database before it serves, as the publisher does."""
    return _service("registry", home, bus, {**_shared(home, assigned, "registry"), **database(home, "registry")})


def publisher(home: Home, assigned: Mapping[str, int], bus: Bus) -> Part:
    own = {"DIBOP_SERVICE_TOKEN_FILE": str(home.token_file(keys.PUBLISHER))}
    return _service(
        "publisher", home, bus, {**_shared(home, assigned, "publisher"), **database(home, "publisher"), **own}
    )


def executors(home: Home, assigned: Mapping[str, int], bus: Bus, workers: int) -> list[Part]:
    """The workers, who alone get the private sealing keys."""
    allowed = [os.environ.get(EGRESS_VARIABLE, "")]
    if ports.DEMO in assigned:
        allowed.append(f"{HOST}:{assigned[ports.DEMO]}")
    environment = {
        **_shared(home, assigned, "executor"),
        "DIBOP_REDIS_URL": redis_url(assigned),
        "DIBOP_SEAL_KEYRING_FILE": str(home.key_ring_file),
        "DIBOP_SERVICE_TOKEN_FILE": str(home.token_file(keys.EXECUTOR)),
        EGRESS_VARIABLE: ",".join(entry for entry in allowed if entry.strip()),
    }
    return [
        _service(
            "executor", home, bus, {**environment, "DIBOP_WORKER": f"executor-{number}"}, part=f"executor-{number}"
        )
        for number in range(1, workers + 1)
    ]


def console(home: Home, assigned: Mapping[str, int]) -> Part:
    """The HTTP API and the web pages."""
    environment = {
        **_shared(home, assigned, "console"),
        "DIBOP_LISTEN_HOST": HOST,
        "DIBOP_LISTEN_PORT": str(assigned[ports.CONSOLE]),
        "DIBOP_PUBLIC_URL": console_url(assigned),
        "DIBOP_REDIS_URL": redis_url(assigned),
        "DIBOP_SESSION_KEY_FILE": str(home.session_key_file),
        "DIBOP_SEAL_KEY_FILE": str(home.seal_key_file),
    }
    return Part(
        "console",
        [sys.executable, "-m", "services.console"],
        home.log_file("console"),
        _greets(assigned[ports.CONSOLE], b"GET /health/ready HTTP/1.0\r\n\r\n", b"HTTP/1.1 200"),
        environment=environment,
        address=console_url(assigned),
        stop_seconds=_stop_seconds(),
    )


def database(home: Home, service: str) -> dict[str, str]:
    """The environment that tells a service where its data is."""
    return {"DIBOP_DATABASE_URL": home.database_url(service)}


def _shared(home: Home, assigned: Mapping[str, int], service: str) -> dict[str, str]:
    return {
        "DIBOP_NATS_URL": nats_url(assigned),
        "DIBOP_NATS_CREDS": str(home.nats_creds(service)),
        "DIBOP_NATS_INBOX_PREFIX": SERVICES[service].inbox_prefix,
        "DIBOP_TOKEN_KEY_FILE": str(home.token_keys_file),
    }


def _service(name: str, home: Home, bus: Bus, environment: Mapping[str, str], part: str | None = None) -> Part:
    return Part(
        part or name,
        [sys.executable, "-m", f"services.{name}"],
        home.log_file(part or name),
        _answers_ping(bus, f"dibop-{name}"),
        environment=environment,
        address=shown_url(environment["DIBOP_DATABASE_URL"]) if "DIBOP_DATABASE_URL" in environment else None,
        stop_seconds=_stop_seconds(),
    )


def _stop_seconds() -> float:
    return float(os.environ.get("DIBOP_DRAIN_SECONDS") or _DRAIN_SECONDS) + 5


def _greets(port: int, say: bytes, expect: bytes) -> ReadyCheck:
    async def ready(_: int) -> bool:
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, port)
                try:
                    writer.write(say)
                    return (await reader.read(16)).startswith(expect)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    return ready


def _answers_ping(bus: Bus, service: str) -> ReadyCheck:
    async def ready(pid: int) -> bool:
        try:
            answers = await bus.ping_services(service, window=_PING_WINDOW_SECONDS)
        except (DibopError, NatsError, OSError):
            return False
        return any(answer.get("metadata", {}).get("pid") == str(pid) for answer in answers)

    return ready


def shown_url(url: str) -> str:
    """A database's address without its password."""
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place}"
