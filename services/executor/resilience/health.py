"""Health of connections: findings of this worker, written into KV `health` and told as events, off the request path."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from services.executor.domain.health import AnyFinding, AuthFinding, Finding, PingFinding, after, health_changed
from services.executor.domain.scope import Scope
from services.executor.resilience.scopes import Hold
from services.executor.resilience.types import Change
from shared.contracts.clock import utc_now
from shared.contracts.events import Event
from shared.contracts.projections import ConnectionEntry, ConnectionHealth, PingHealth, PingOutcome
from shared.contracts.subjects import HEALTH_BUCKET, health_key
from shared.contracts.unreadable import UNREADABLE
from shared.messaging.events import publish_event
from shared.tasks import end

_MAX_FINDINGS: Final = 10_000
_AWAY: Final = frozenset({"offline", "timeout"})
_PING: Final = ":ping"
"""No operation's name."""
_PASSING: Final = (NatsError, OSError, TimeoutError)
_WRONG_SEQUENCE: Final = frozenset({10071, 10164})
"""Codes of JetStream for a write that expects another revision; nats-py names them for updates alone."""
_decode: Final = msgspec.json.Decoder(ConnectionHealth).decode

_log = structlog.get_logger(__name__)


class Known(Protocol):
    """The bucket as this worker sees it."""

    def get(self, key: str) -> ConnectionHealth | None: ...


class Entries(Protocol):
    """Entries of the bucket with the revision that guards them; revision 0 is no entry."""

    async def read(self, key: str) -> tuple[ConnectionHealth | None, int]: ...

    async def write(self, key: str, entry: ConnectionHealth, revision: int) -> bool:
        """False where the entry has changed since `revision`."""
        ...


class HealthRecorder:
    """Takes findings at once, and writes them in order. Whoever else finds the same writes the same, once."""

    def __init__(self, known: Known, entries: Entries, tell: Callable[[Event], Awaitable[object]]) -> None:
        self._known = known
        self._entries = entries
        self._tell = tell
        self._findings: deque[AnyFinding] = deque(maxlen=_MAX_FINDINGS)
        self._there = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._noted: set[tuple[str, str, int]] = set()
        self._turned_away: set[str] = set()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write_all())

    async def stop(self, seconds: float) -> None:
        """Write what is still to be written, within `seconds`."""
        if self._writer is None:
            return
        if not await self.written(seconds):
            _log.warning("Findings about health are lost", count=len(self._findings))
        await end(self._writer)

    async def written(self, seconds: float) -> bool:
        """Wait until nothing is left to be written; False where that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def changed(self, hold: Hold, change: Change) -> None:
        """A circuit has opened or closed."""
        if hold.health:
            opened = change.circuit == "open"
            self._add(Finding(hold.target, hold.circuit, opened, change.epoch, change.cause if opened else ""))

    def succeeded(self, hold: Hold, epoch: int) -> None:
        """An attempt that was no probe has succeeded while its circuit was in the state of `epoch`.

        The first one makes a connection healthy. Where the entry still says that the circuit is open, the state was
        lost, or the worker that closed it: the success says so in its stead.
        """
        key = hold.health
        if not key or not epoch:
            return
        entry = self._known.get(key)
        if entry is not None and entry.ping is not None and entry.ping.outcome in _AWAY:
            self._answered(hold.target, entry.ping)
        if entry is None or not (entry.circuits or entry.auth):
            if self._is_noted(key, hold.circuit, 0):
                return
        else:
            circuit = entry.circuits.get(hold.circuit)
            if circuit is None or not circuit.open or circuit.epoch >= epoch:
                return
        self._add(Finding(hold.target, hold.circuit, False, epoch))

    def found_open(self, hold: Hold, epoch: int, cause: str) -> None:
        """A circuit stands open since the change of `epoch`.

        Whoever has opened it tells so as well, unless it was lost before it could: then this is told in its stead.
        """
        key = hold.health
        if not key:
            return
        entry = self._known.get(key)
        circuit = entry.circuits.get(hold.circuit) if entry is not None else None
        if (circuit is None or circuit.epoch < epoch) and not self._is_noted(key, hold.circuit, epoch):
            self._add(Finding(hold.target, hold.circuit, True, epoch, cause))

    def pinged(self, scope: Scope, outcome: PingOutcome, credentials: int, cause: str) -> None:
        """A ping has ended."""
        if scope.connection is not None and not scope.draft:
            self._add(PingFinding(scope, outcome, credentials, _now_us(), cause))

    def has_credentials(self, entry: ConnectionEntry) -> None:
        """A connection has these credentials now: what a ping found of older ones holds no longer.

        Every worker sees it, and finds the same.
        """
        known = self._known.get(health_key(entry.enterprise, entry.id))
        ping = known.ping if known is not None else None
        if ping is not None and ping.outcome == "auth_error" and ping.credentials < entry.credentials:
            scope = Scope(entry.enterprise, entry.owner, entry.connector, entry.id, name=entry.name)
            self._add(PingFinding(scope, None, entry.credentials, ping.epoch + 1))

    def _answered(self, scope: Scope, ping: PingHealth) -> None:
        """The external system of which a ping had no answer has given one."""
        if not self._is_noted(health_key(scope.enterprise, scope.connection or ""), _PING, ping.epoch):
            self._add(PingFinding(scope, None, ping.credentials, ping.epoch + 1))

    def refused(self, scope: Scope, credentials: int, cause: str) -> None:
        """The token endpoint has refused a connection; `credentials` is the entry's count of them."""
        if scope.connection is None or scope.draft:
            return
        self._turned_away.add(health_key(scope.enterprise, scope.connection))
        self._add(AuthFinding(scope, True, credentials, _now_us(), cause))

    def granted(self, scope: Scope, credentials: int) -> None:
        """The token endpoint has given a connection a token: news where it had been refused."""
        if scope.connection is None or scope.draft:
            return
        key = health_key(scope.enterprise, scope.connection)
        entry = self._known.get(key)
        if key in self._turned_away or (entry is not None and entry.auth is not None and entry.auth.refused):
            self._turned_away.discard(key)
            self._add(AuthFinding(scope, False, credentials, _now_us()))

    def _is_noted(self, key: str, circuit: str, epoch: int) -> bool:
        """True where the same is among the findings already."""
        noted = (key, circuit, epoch)
        if noted in self._noted:
            return True
        self._noted.add(noted)
        return False

    def _add(self, finding: AnyFinding) -> None:
        self._findings.append(finding)
        self._empty.clear()
        self._there.set()

    async def _write_all(self) -> None:
        while True:
            while self._findings:
                finding = self._findings[0]
                await self._record_surely(finding)
                if self._findings and self._findings[0] is finding:
                    self._findings.popleft()
            self._noted.clear()
            self._empty.set()
            self._there.clear()
            await self._there.wait()

    async def _record_surely(self, finding: AnyFinding) -> None:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_PASSING), wait=wait_exponential_jitter(multiplier=0.05, max=2.0)
            ):
                with attempt:
                    await self._record(finding)
        except Exception:  # noqa: BLE001 - one finding that cannot be written must not stop the others
            _log.exception("A finding about health cannot be written", connection=finding.scope.connection)

    async def _record(self, finding: AnyFinding) -> None:
        """Tell the event, then write: what a crash leaves undone is found again and told with the same id."""
        key = health_key(finding.scope.enterprise, finding.scope.connection or "")
        while True:
            before, revision = await self._entries.read(key)
            changed = after(before, finding, utc_now())
            if changed is None:
                return
            event = health_changed(before, changed, finding)
            if event is not None:
                await self._tell(event)
            if await self._entries.write(key, changed, revision):
                return


class HealthBucket:
    """`Entries` of the real bucket."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._kv: KeyValue | None = None

    async def read(self, key: str) -> tuple[ConnectionHealth | None, int]:
        if self._kv is None:
            self._kv = await self._js.key_value(HEALTH_BUCKET)
        try:
            found = await self._kv.get(key)
        except KeyNotFoundError as error:
            entry = error.entry
            return None, (entry.revision or 0) if entry is not None else 0
        try:
            return _decode(found.value or b""), found.revision or 0
        except UNREADABLE:
            _log.exception("An entry of health cannot be read, and is written anew", key=key)
            return None, found.revision or 0

    async def write(self, key: str, entry: ConnectionHealth, revision: int) -> bool:
        if self._kv is None:
            self._kv = await self._js.key_value(HEALTH_BUCKET)
        try:
            await self._kv.update(key, msgspec.json.encode(entry), last=revision)
        except KeyWrongLastSequenceError:
            return False
        return True

    async def remove(self, key: str, revision: int) -> bool:
        """False where the entry has changed since `revision`."""
        if self._kv is None:
            self._kv = await self._js.key_value(HEALTH_BUCKET)
        try:
            await self._kv.delete(key, last=revision)
        except BadRequestError as error:
            if error.err_code not in _WRONG_SEQUENCE:
                raise
            return False
        return True


def _now_us() -> int:
    return time.time_ns() // 1000


def recorder(js: JetStreamContext, known: Known, entries: Entries) -> HealthRecorder:
    async def tell(event: Event) -> object:
        return await publish_event(js, event)

    return HealthRecorder(known, entries, tell)
