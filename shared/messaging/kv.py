"""KV buckets: a mirror in memory that stays true, and writes that never go back in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from shared.contracts.unreadable import UNREADABLE
from shared.messaging.connection import BusClient
from shared.tasks import end

T = TypeVar("T")

_SNAPSHOT_SECONDS: Final = 10.0
_CHECK_SECONDS: Final = 30.0
_PASSING: Final = (NatsError, OSError, TimeoutError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Which bucket it is, and the revision that was written last."""

    made: datetime | None
    revision: int


class KvMirror(Generic[T]):
    """A bucket's entries, decoded, in a local dictionary that a watch keeps up to date.

    `decode` reads one value and may raise anything for one that it cannot read: that entry is logged and left
    out. `on_change(key, value or None)` is called, in the event loop, for each change after `start`.

    A watch goes silent when its server restarts and may miss deletions: after every reconnect the
    mirror takes a new snapshot and swaps it in, so that keys deleted meanwhile go. It does the same where a look
    every `check_seconds` finds that the bucket was made anew, which a watch never notices, or that the watch has
    not told what was written before the last look.
    """

    def __init__(
        self,
        nc: BusClient,
        bucket: str,
        decode: Callable[[bytes], T],
        *,
        on_change: Callable[[str, T | None], None] | None = None,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self._nc = nc
        self._bucket = bucket
        self._decode = decode
        self._on_change = on_change
        self._check_seconds = check_seconds
        self._followed = _Bucket(None, 0)
        self._told = 0
        self._entries: dict[str, T] = {}
        self._stale = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        self._watcher: KeyValue.KeyWatcher | None = None
        self._forget: Callable[[], None] = lambda: None
        self._kv: KeyValue | None = None

    async def start(self) -> None:
        """Return once every entry that the bucket has is here. Waits while the bucket is away."""
        self._forget = self._nc.on_reconnect(self._stale.set)
        await self._resync()
        self._keeper = asyncio.create_task(self._keep_true())

    async def stop(self) -> None:
        self._forget()
        if self._keeper is not None:
            await end(self._keeper)
        await self._end_watch()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> T | None:
        """The entry as the mirror has it."""
        return self._entries.get(key)

    def under(self, prefix: str) -> Iterator[tuple[str, T]]:
        """Entries whose keys begin with `prefix` (end it with a dot to mean whole tokens), a copy's worth."""
        return ((key, value) for key, value in list(self._entries.items()) if key.startswith(prefix))

    async def fetch(self, key: str) -> T | None:
        """The entry of the mirror, else what the bucket itself says: for a key that has only just been written."""
        return self._entries[key] if key in self._entries else await self.read(key)

    async def read(self, key: str) -> T | None:
        """What the bucket itself says now, whatever the mirror holds."""
        kv = await self._opened()
        try:
            entry = await kv.get(key)
        except KeyNotFoundError:
            return None
        return self._read(key, entry.value)

    async def _keep_true(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._check_seconds):
                    await self._stale.wait()
            except TimeoutError:
                if not await self._has_lost_track():
                    continue
                _log.warning("The mirror has lost track of its bucket and reads it anew", bucket=self._bucket)
            await self._resync()

    async def _has_lost_track(self) -> bool:
        try:
            now = await self._look()
        except _PASSING:
            return False  # the next look tells, or a reconnect
        before, self._followed = self._followed, now
        return now.made != before.made or self._told < before.revision

    async def _look(self) -> _Bucket:
        info = (await (await self._opened()).status()).stream_info
        return _Bucket(info.created, info.state.last_seq)

    async def _resync(self) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_PASSING),
            wait=wait_exponential_jitter(multiplier=0.05, max=1.0, jitter=0.05),
            before_sleep=self._tell_retry,
        ):
            with attempt:
                self._stale.clear()
                await self._end_watch()
                async with asyncio.timeout(_SNAPSHOT_SECONDS):
                    self._followed = await self._look()
                    self._told = self._followed.revision
                    watcher, snapshot = await self._snapshot()
                self._swap(snapshot)
                self._follower = asyncio.create_task(self._follow(watcher))

    async def _snapshot(self) -> tuple[KeyValue.KeyWatcher, dict[str, T]]:
        kv = await self._opened()
        self._watcher = watcher = await kv.watchall()
        snapshot: dict[str, T] = {}
        async for entry in watcher:
            if entry is None:
                break
            value = self._told_of(entry)
            if value is not None:
                snapshot[entry.key] = value
        return watcher, snapshot

    def _swap(self, snapshot: dict[str, T]) -> None:
        before, self._entries = self._entries, snapshot
        if self._on_change is None or self._keeper is None:
            return
        for key in before.keys() - snapshot.keys():
            self._on_change(key, None)
        for key, value in snapshot.items():
            if before.get(key) != value:
                self._on_change(key, value)

    async def _follow(self, watcher: KeyValue.KeyWatcher) -> None:
        async for entry in watcher:
            if entry is None:
                continue
            value = self._told_of(entry)
            if value is None:
                self._entries.pop(entry.key, None)
            else:
                self._entries[entry.key] = value
            if self._on_change is not None:
                self._on_change(entry.key, value)

    def _told_of(self, entry: KeyValue.Entry) -> T | None:
        self._told = max(self._told, entry.revision or 0)
        return self._read(entry.key, entry.value) if entry.operation is None else None

    def _read(self, key: str, value: bytes | None) -> T | None:
        try:
            return self._decode(value or b"")
        except Exception as error:  # noqa: BLE001  # whatever a foreign writer left there must not stop the mirror
            _log.error("An entry cannot be read and is left out", bucket=self._bucket, key=key, error=str(error))
            return None

    async def _opened(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._nc.jetstream().key_value(self._bucket)
        return self._kv

    async def _end_watch(self) -> None:
        if self._follower is not None:
            await end(self._follower)
            self._follower = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            try:
                await watcher.stop()  # type: ignore[no-untyped-call]
            except _PASSING:
                _log.debug("The watch was over already", bucket=self._bucket)

    def _tell_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _log.warning(
            "The mirror waits for its bucket", bucket=self._bucket, attempt=state.attempt_number, error=str(error)
        )


async def put_if_newer(kv: KeyValue, key: str, value: bytes, generation_of: Callable[[bytes], int]) -> bool:
    """Write `value` unless the bucket has its generation or a higher one; True where it was written.

    What stands there and cannot be read gives way.
    """
    generation = generation_of(value)
    while True:
        try:
            current = await kv.get(key)
        except KeyNotFoundError:
            try:
                await kv.create(key, value)
            except KeyWrongLastSequenceError:
                continue
            return True
        if current.value and _is_as_new(current.value, generation, generation_of):
            return False
        try:
            await kv.update(key, value, last=current.revision)
        except KeyWrongLastSequenceError:
            continue
        return True


def _is_as_new(value: bytes, generation: int, generation_of: Callable[[bytes], int]) -> bool:
    try:
        return generation_of(value) >= generation
    except UNREADABLE:
        return False
