"""The registry on the bus: the commands it answers, and the projections it writes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar, TypeVarTuple

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel

from services.registry.handlers import (
    audit,
    connections,
    connectors,
    consumers,
    drafts,
    duplicates,
    enterprises,
    history,
    keys,
    lifecycle,
    test_credentials,
    vault,
    versions,
)
from services.registry.handlers.ports import Caller, ConnectionKey, Health, Projections, Store
from shared.contracts import commands, subjects
from shared.contracts.errors import DibopError
from shared.contracts.projections import CatalogueEntry, ConnectionEntry, ConnectionHealth, EnterpriseEntry
from shared.contracts.template import MAX_TEMPLATE_BYTES
from shared.messaging.connection import BusClient
from shared.messaging.kv import KvMirror, put_if_newer
from shared.messaging.objects import Documents
from shared.messaging.service import CommandContext, CommandService

M = TypeVar("M", bound=BaseModel)
Parts = TypeVarTuple("Parts")

log = structlog.get_logger("registry")

_DRAFT_BYTES: Final = MAX_TEMPLATE_BYTES + 64 * 1024
"""Room for the largest template and what stands around it in the command."""
_DRAFT_CONCURRENCY: Final = 4
"""Large documents are checked in this process: more at once would only take turns."""
_WRONG_REVISION: Final = frozenset({10071, 10164})
"""The server's codes for "somebody else wrote meanwhile", which nats-py names for updates and not for deletes."""


def serve(service: CommandService, store: Store, projections: Projections, health: Health) -> None:
    """Answer every command of the registry on `service`."""

    def answer(
        noun: str,
        verb: str,
        model: type[M],
        use_case: Callable[[*Parts, Caller, M], Awaitable[BaseModel]],
        *parts: *Parts,
        **limits: int,
    ) -> None:
        @functools.wraps(use_case)
        async def handler(context: CommandContext, command: M) -> BaseModel:
            return await use_case(*parts, Caller(context.principal, context.enterprise, context.request_id), command)

        service.command(noun, verb, model, **limits)(handler)

    answer(
        "draft",
        "save",
        commands.SaveDraft,
        drafts.save,
        store,
        max_bytes=_DRAFT_BYTES,
        concurrency=_DRAFT_CONCURRENCY,
    )
    answer(
        "draft",
        "patch",
        commands.PatchDraft,
        drafts.patch,
        store,
        max_bytes=_DRAFT_BYTES,
        concurrency=_DRAFT_CONCURRENCY,
    )
    answer("draft", "get", commands.GetDraft, drafts.get, store)
    answer("draft", "history", commands.ListRevisions, history.page, store)
    answer("draft", "restore", commands.RestoreDraft, history.restore, store, concurrency=_DRAFT_CONCURRENCY)
    answer("draft", "discard", commands.DiscardDraft, history.discard, store, concurrency=_DRAFT_CONCURRENCY)
    answer("draft", "stage", commands.StageDraft, drafts.stage, store, projections)
    answer("connector", "list", commands.ListConnectors, connectors.page, store)
    answer("connector", "show", commands.ShowConnector, connectors.show, store)
    answer(
        "connector",
        "duplicate",
        commands.DuplicateConnector,
        duplicates.duplicate,
        store,
        concurrency=_DRAFT_CONCURRENCY,
    )
    answer("connector", "delete", commands.DeleteConnector, duplicates.delete, store)
    answer("version", "get", commands.GetVersion, versions.get, store)
    answer("version", "add", commands.AddVersion, versions.add, store, projections)
    answer("version", "set-state", commands.SetVersionState, lifecycle.set_state, store)
    answer("connection", "create", commands.CreateConnection, connections.create, store, projections)
    answer("connection", "list", commands.ListConnections, connections.page, store, health)
    answer("connection", "show", commands.ShowConnection, connections.show, store, health)
    answer("connection", "rotate", commands.RotateConnection, vault.rotate, store, projections)
    answer("connection", "store-token", commands.StoreToken, vault.store_token, store, projections)
    answer("connection", "reseal", commands.ResealConnection, vault.reseal, store, projections)
    answer("connection", "delete", commands.DeleteConnection, connections.delete, store, projections)
    answer("test-credentials", "save", commands.SaveTestCredentials, test_credentials.save, store)
    answer("test-credentials", "list", commands.ListTestCredentials, test_credentials.page, store)
    answer("test-credentials", "delete", commands.DeleteTestCredentials, test_credentials.delete, store)
    answer("test-credentials", "fetch", commands.FetchTestCredentials, test_credentials.fetch, store)
    consumers_of_events = NatsConsumers(lambda: service.js)
    answer("consumer", "create", commands.CreateConsumer, consumers.create, store, consumers_of_events)
    answer("consumer", "list", commands.ListConsumers, consumers.page, consumers_of_events)
    answer("consumer", "delete", commands.DeleteConsumer, consumers.delete, store, consumers_of_events)
    answer("enterprise", "list", commands.ListEnterprises, enterprises.page, store)
    answer("enterprise", "show", commands.ShowEnterprise, enterprises.show, store)
    answer("enterprise", "change", commands.ChangeEnterprise, enterprises.change, store, projections)
    answer("keys", "list", commands.ListKeyUses, keys.uses, store)
    answer("keys", "rotated", commands.NoteKeyRotation, keys.rotated, store)
    answer("keys", "retire", commands.RetireKey, keys.retire, store)
    answer("audit", "list", commands.ListAudit, audit.page, store)
    answer("audit", "append", commands.AppendAudit, audit.append, store)


class NatsConsumers:
    """`services.registry.handlers.ports.Consumers` of the stream EVENTS."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js

    async def of(self, enterprise: str) -> list[commands.Consumer]:
        prefix, found, offset = subjects.event_consumer(enterprise, ""), [], 0
        with _told_as_passing("The consumers could not be listed."):
            while page := await self._js().consumers_info(subjects.EVENTS_STREAM, offset=offset):
                found += [_consumer(each) for each in page if each.name.startswith(prefix)]
                offset += len(page)
        return found

    async def make(self, enterprise: str, name: str, heard: list[str]) -> commands.Consumer:
        config = ConsumerConfig(
            durable_name=subjects.event_consumer(enterprise, name),
            filter_subjects=heard,
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.EXPLICIT,
        )
        with _told_as_passing("The consumer could not be made."):
            return _consumer(await self._js().add_consumer(subjects.EVENTS_STREAM, config))

    async def forget(self, enterprise: str, name: str) -> None:
        with _told_as_passing("The consumer could not be deleted."), contextlib.suppress(NotFoundError):
            await self._js().delete_consumer(subjects.EVENTS_STREAM, subjects.event_consumer(enterprise, name))


def _consumer(info: ConsumerInfo) -> commands.Consumer:
    return commands.Consumer(
        name=info.name.partition(":")[2],
        consumer=info.name,
        subjects=info.config.filter_subjects or [str(info.config.filter_subject)],
        waiting=info.num_pending or 0,
        unacknowledged=info.num_ack_pending or 0,
    )


class HealthMirror:
    """`services.registry.handlers.ports.Health` over the KV bucket that the executors write."""

    def __init__(self, nc: Callable[[], BusClient]) -> None:
        self._nc = nc
        self._mirror: KvMirror[ConnectionHealth] | None = None

    async def start(self) -> None:
        """Return once every entry that the bucket has is here."""
        decode = msgspec.json.Decoder(ConnectionHealth).decode
        self._mirror = KvMirror(self._nc(), subjects.HEALTH_BUCKET, decode)
        await self._mirror.start()

    async def stop(self) -> None:
        if self._mirror is not None:
            await self._mirror.stop()

    def of(self, enterprise: str, connection: str) -> ConnectionHealth | None:
        if self._mirror is None:
            return None
        return self._mirror.get(subjects.health_key(enterprise, connection))


class NatsProjections:
    """`services.registry.handlers.ports.Projections` over JetStream."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js
        self._kv: KeyValue | None = None
        self._documents: Documents | None = None

    async def put_document(self, digest: str, content: bytes) -> None:
        if self._documents is None:
            self._documents = Documents(self._js())
        with _told_as_passing("The document could not be stored for the executors, and nothing was changed."):
            stored = await self._documents.put(content)
        if stored != digest:
            raise RuntimeError(f"a document of digest {digest} was stored under {stored}")

    async def put_catalogue(self, entry: CatalogueEntry) -> None:
        with _told_as_passing(f"The catalogue's entry of {entry.slug!r} could not be written."):
            kv = await self._js().key_value(subjects.CATALOGUE_BUCKET)
            key = subjects.catalogue_key(entry.owner, entry.slug)
            await put_if_newer(kv, key, msgspec.json.encode(entry), _generation)

    async def put_enterprise(self, entry: EnterpriseEntry) -> None:
        with _told_as_passing(
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
        with _told_as_passing(
            f"The change of connection {key.name!r} of {key.connector!r} is saved, but the executors do not see it "
            "yet; they will as soon as JetStream answers."
        ):
            if self._kv is None:
                self._kv = await self._js().key_value(subjects.CONNECTIONS_BUCKET)
            while True:
                revision, present = await _standing(self._kv, name)
                entry = await read()
                if await _write(self._kv, name, entry, revision, present=present):
                    return entry


def _generation(entry: bytes) -> int:
    return msgspec.json.decode(entry, type=CatalogueEntry).generation


def _enterprise_generation(entry: bytes) -> int:
    return msgspec.json.decode(entry, type=EnterpriseEntry).generation


async def _standing(kv: KeyValue, name: str) -> tuple[int, bool]:
    """The key's last revision, 0 where it has none, and whether it holds a value."""
    try:
        return (await kv.get(name)).revision or 0, True
    except KeyNotFoundError as error:
        return (error.entry.revision or 0 if error.entry is not None else 0), False


async def _write(kv: KeyValue, name: str, entry: ConnectionEntry | None, revision: int, *, present: bool) -> bool:
    """Put or delete the key on `revision`; False where somebody else wrote meanwhile."""
    try:
        if entry is not None:
            await kv.update(name, msgspec.json.encode(entry), last=revision)
        elif present:
            await kv.delete(name, last=revision)
    except KeyWrongLastSequenceError:
        return False
    except APIError as error:
        if error.err_code in _WRONG_REVISION:
            return False
        raise
    return True


@contextlib.contextmanager
def _told_as_passing(what: str) -> Iterator[None]:
    """JetStream that does not answer is no bug: the caller is told `what` that means."""
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        log.warning("JetStream did not serve", error=type(error).__name__, reason=str(error)[:300])
        raise DibopError("overloaded", f"{what} Repeat in a moment.") from error
