"""The projections in JetStream: written as the database says, and looked at as they stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from services.registry.handlers.ports import Bucket, ConnectionKey, DocumentState, Stored
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry, EnterpriseEntry
from shared.messaging.bootstrap import key_value_stream
from shared.messaging.kv import put_if_newer
from shared.messaging.objects import Documents

log = structlog.get_logger("registry")

_WRONG_REVISION: Final = frozenset({10071, 10164})
"""The server's codes for "somebody else wrote meanwhile", which nats-py names for updates and not for deletes."""
_NAMES: Final[dict[Bucket, str]] = {
    "catalogue": subjects.CATALOGUE_BUCKET,
    "connections": subjects.CONNECTIONS_BUCKET,
    "enterprises": subjects.ENTERPRISES_BUCKET,
}


class NatsProjections:
    """`services.registry.handlers.ports.Projections` over JetStream."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js
        self._kv: KeyValue | None = None
        self._documents: Documents | None = None

    async def put_document(self, digest: str, content: bytes) -> None:
        if self._documents is None:
            self._documents = Documents(self._js())
        with told_as_passing("The document could not be stored for the executors, and nothing was changed."):
            stored = await self._documents.put(content)
        if stored != digest:
            raise RuntimeError(f"a document of digest {digest} was stored under {stored}")

    async def put_enterprise(self, entry: EnterpriseEntry) -> None:
        with told_as_passing(
            f"How enterprise {entry.id!r} stands is saved, but the services do not see it yet; they will as soon as "
            "JetStream answers."
        ):
            kv = await self._js().key_value(subjects.ENTERPRISES_BUCKET)
            await put_if_newer(kv, entry.id, msgspec.json.encode(entry), _enterprise_generation)

    async def sync_connection(
        self, key: ConnectionKey, read: Callable[[], Awaitable[ConnectionEntry | None]]
    ) -> ConnectionEntry | None:
        """The revision is taken before `read`, and the write happens only on that revision."""
        name = subjects.connection_key(key.enterprise, key.connector, key.name)
        with told_as_passing(
            f"The change of connection {key.name!r} of {key.connector!r} is saved, but the executors do not see it "
            "yet; they will as soon as JetStream answers."
        ):
            if self._kv is None:
                self._kv = await self._js().key_value(subjects.CONNECTIONS_BUCKET)
            while True:
                seen = await _look(self._kv, name)
                entry = await read()
                if await _write(self._kv, name, seen, None if entry is None else msgspec.json.encode(entry)):
                    return entry


class NatsBuckets:
    """`services.registry.handlers.ports.Buckets` over JetStream."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js
        self._kv: dict[Bucket, KeyValue] = {}
        self._documents: Documents | None = None

    async def keys(self, bucket: Bucket, *, after: int, limit: int) -> list[tuple[int, str]]:
        prefix = f"$KV.{_NAMES[bucket]}."
        found: list[tuple[int, str]] = []
        with told_as_passing(f"The keys of the bucket {bucket!r} could not be listed."), suppress(NotFoundError):
            while len(found) < limit:
                stream = key_value_stream(_NAMES[bucket])
                message = await self._js().get_msg(stream, after + 1, f"{prefix}>", direct=True, next=True)
                after = message.seq or 0
                found.append((after, (message.subject or "").removeprefix(prefix)))
        return found

    async def look(self, bucket: Bucket, key: str) -> Stored:
        with told_as_passing(f"The entry {key!r} of the bucket {bucket!r} could not be read."):
            return await _look(await self._opened(bucket), key)

    async def write(self, bucket: Bucket, key: str, seen: Stored, value: bytes | None) -> bool:
        with told_as_passing(f"The entry {key!r} of the bucket {bucket!r} could not be written."):
            return await _write(await self._opened(bucket), key, seen, value)

    async def document(self, digest: str) -> DocumentState:
        with told_as_passing(f"The document {digest} could not be read."):
            return await self._store().state(digest)

    async def restore_document(self, content: bytes) -> None:
        with told_as_passing("A document could not be stored."):
            await self._store().restore(content)

    def _store(self) -> Documents:
        if self._documents is None:
            self._documents = Documents(self._js())
        return self._documents

    async def _opened(self, bucket: Bucket) -> KeyValue:
        if bucket not in self._kv:
            self._kv[bucket] = await self._js().key_value(_NAMES[bucket])
        return self._kv[bucket]


def _enterprise_generation(entry: bytes) -> int:
    return msgspec.json.decode(entry, type=EnterpriseEntry).generation


async def _look(kv: KeyValue, key: str) -> Stored:
    try:
        entry = await kv.get(key)
    except KeyNotFoundError as error:
        return Stored(error.entry.revision or 0 if error.entry is not None else 0, None)
    return Stored(entry.revision or 0, entry.value or b"")


async def _write(kv: KeyValue, key: str, seen: Stored, value: bytes | None) -> bool:
    """Put or delete the key on the revision that was seen; False where somebody else wrote meanwhile."""
    try:
        if value is not None:
            await kv.update(key, value, last=seen.revision)
        elif seen.value is not None:
            await kv.delete(key, last=seen.revision)
    except KeyWrongLastSequenceError:
        return False
    except APIError as error:
        if error.err_code in _WRONG_REVISION:
            return False
        raise
    return True


@contextmanager
def told_as_passing(what: str) -> Iterator[None]:
    """JetStream that does not answer is no bug: the caller is told `what` that means."""
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        log.warning("JetStream did not serve", error=type(error).__name__, reason=str(error)[:300])
        raise DibopError("overloaded", f"{what} Repeat in a moment.") from error
