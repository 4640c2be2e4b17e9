"""A local stack from first to last: home, keys, ports, servers, databases, services; and back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

from dibop import __version__
from dibop.bus import Bus
from dibop.context import Context
from dibop.errors import LocalStackError
from dibop.local import keys, nats_users, parts, ports
from dibop.local.binaries import MissingProgramError
from dibop.local.home import Home, HomeLock, PartState, StackState
from dibop.local.processes import ProcessId
from dibop.local.supervisor import Part, Supervisor
from shared.files import write_private

_LEFTOVER_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 10.0


class Reporter(Protocol):
    """Told of each step as it ends."""

    def step(self, name: str, result: str, seconds: float | None = None) -> None: ...


class LocalStack:
    """Every part on this machine, from `start` to `stop`, which leaves no process behind."""

    def __init__(self, home: Home, *, workers: int, report: Reporter) -> None:
        self.home = home
        self.ports: dict[str, int] = {}
        self._workers = workers
        self._report = report
        self._supervisor = Supervisor(on_change=self._write_state, on_restart=self._report_restart)
        self._lock = HomeLock(home)
        self._ready = False
        self._since = time.time()
        self._bus: Bus | None = None

    async def start(self) -> None:
        """Return once every part serves. Whatever happens, `stop` has to be called after it.

        Raises LocalStackError where the home is in use, a port is lost, or a part does not start.
        """
        self.home.prepare()
        self._lock.__enter__()
        await self._start()

    async def stop(self) -> None:
        """Drain and stop everything: the console, executors, publisher, registry, demo, then Redis and NATS."""
        self._ready = False
        if self._bus is not None:
            await self._bus.close()
        stopping = asyncio.ensure_future(self._supervisor.stop(self._report_stopped))
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            self._supervisor.kill()
            await stopping
            raise
        finally:
            self._lock.__exit__(None, None, None)

    async def _start(self) -> None:
        with self._timed("home") as result:
            await _end_leftovers(self.home)
            keys.ensure(self.home)
            authority = nats_users.ensure(self.home)
            self.ports = ports.assign(self.home, _ports())
            self._write_state([])
            result.append(str(self.home.root))
        try:
            servers = parts.servers(self.home, self.ports, authority)
        except MissingProgramError as error:
            raise LocalStackError(str(error)) from error
        await self._supervisor.start([[server] for server in servers], self._report_started)
        self._write_context()
        self._bus = Bus(nats_users.operator_context(self.home, environment={}), name="dibop-supervisor")
        await self._bus.open(_CONNECT_SECONDS)
        with self._timed("streams and buckets") as result:
            result.append(await bootstrap(self._bus))
        await self._supervisor.start(self._services(self._bus), self._report_started)
        self._ready = True
        self._write_state(self._supervisor.snapshot())

    def _services(self, bus: Bus) -> list[list[Part]]:
        """Started side by side, stopped group by group from the last: who takes work drains first."""
        return [
            [parts.demo(self.home, self.ports)] if ports.DEMO in self.ports else [],
            [parts.registry(self.home, self.ports, bus)],
            [parts.publisher(self.home, self.ports, bus)],
            parts.executors(self.home, self.ports, bus, self._workers),
            [parts.console(self.home, self.ports)],
        ]

    def _write_context(self) -> None:
        context = Context(
            nats_url=parts.nats_url(self.ports),
            nats_creds=self.home.nats_creds(nats_users.CLIENT_CREDS),
            nats_inbox_prefix=nats_users.CLIENT.inbox_prefix,
            enterprise=keys.ENTERPRISE,
            token_file=self.home.token_file(keys.ADMIN),
            seal_key_file=self.home.seal_key_file,
            console_url=parts.console_url(self.ports),
        )
        write_private(self.home.context_file, context.dump())

    def _write_state(self, states: list[PartState]) -> None:
        state = StackState(ProcessId.own(), __version__, self._ready, self._since, states)
        state.write(self.home)

    def _report_started(self, part: Part, seconds: float) -> None:
        self._report.step(part.name, part.address or "ready", seconds)

    def _report_restart(self, part: Part, what: str) -> None:
        self._report.step(part.name, what)

    def _report_stopped(self, part: Part, went: bool) -> None:
        self._report.step(part.name, "stopped" if went else f"killed: it did not stop in {part.stop_seconds:g} s")

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[list[str]]:
        result: list[str] = []
        begin = time.monotonic()
        yield result
        self._report.step(name, " ".join(result), time.monotonic() - begin)


def _ports() -> list[str]:
    demo = [ports.DEMO] if parts.has_demo() else []
    return [ports.NATS, ports.REDIS, *demo, ports.CONSOLE]


async def bootstrap(bus: Bus) -> str:
    """Make and update streams and buckets; the answer says what was done."""
    from shared.messaging.bootstrap import BootstrapError
    from shared.messaging.bootstrap import bootstrap as make_streams

    try:
        changes = await make_streams(bus.jetstream())
    except BootstrapError as error:
        raise LocalStackError(str(error)) from error
    return ", ".join(str(change) for change in changes) or "unchanged"


async def _end_leftovers(home: Home) -> None:
    """Processes of a supervisor that was killed are on their way out; wait, then end those that are left."""
    state = StackState.left_behind(home)
    if state is None:
        return
    left = [part.process for part in state.parts if part.process is not None]
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    while any(process.alive for process in left):
        if time.monotonic() > deadline:
            for process in left:
                process.signal(signal.SIGKILL)
        await asyncio.sleep(0.02)
    home.state_file.unlink(missing_ok=True)


def part_row(state: PartState) -> dict[str, Any]:
    """A part as `dibop status --json` prints it; `uptime_seconds` is of the present state."""
    alive = state.process is not None and state.process.alive
    return {
        "part": state.name,
        "state": state.state if alive or state.state != "running" else "dead",
        "pid": state.process.pid if state.process else None,
        "address": state.address,
        "uptime_seconds": round(time.time() - state.since, 1) if state.since else None,
        "restarts": state.restarts,
    }
