"""The registry on the bus: the commands it answers, and the projections it writes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, TypeVarTuple

import msgspec
import structlog
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError
from pydantic import BaseModel

from services.registry.buckets import told_as_passing
from services.registry.handlers import (
    agreements,
    audit,
    calls,
    connections,
    connectors,
    consumers,
    drafts,
    drift,
    duplicates,
    enterprises,
    history,
    keys,
    lifecycle,
    test_credentials,
    vault,
    versions,
)
from services.registry.handlers.ports import Buckets, Caller, Health, Projections, Store
from shared.contracts import commands, subjects
from shared.contracts.projections import ConnectionHealth
from shared.contracts.template import MAX_TEMPLATE_BYTES
from shared.messaging.connection import BusClient
from shared.messaging.kv import KvMirror
from shared.messaging.service import CommandContext, CommandService

M = TypeVar("M", bound=BaseModel)
Parts = TypeVarTuple("Parts")

log = structlog.get_logger("registry")

_DRAFT_BYTES: Final = MAX_TEMPLATE_BYTES + 64 * 1024
"""Room for the largest template and what stands around it in the command."""
_DRAFT_CONCURRENCY: Final = 4
"""Large documents are checked in this process: more at once would only take turns."""


def serve(service: CommandService, store: Store, projections: Projections, buckets: Buckets, health: Health) -> None:
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
    answer("connection", "update", commands.UpdateConnection, agreements.update, store, projections, health)
    answer("connection", "consent", commands.RecordConsent, agreements.consent, store, projections)
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
    answer("projection", "check", commands.CheckProjection, drift.check, store, buckets)
    answer("projection", "rebuild", commands.RebuildProjection, drift.rebuild, store, buckets)
    answer("call", "list", commands.ListCalls, calls.page, store)
    answer("audit", "list", commands.ListAudit, audit.page, store)
    answer("audit", "append", commands.AppendAudit, audit.append, store)


class NatsConsumers:
    """`services.registry.handlers.ports.Consumers` of the stream EVENTS."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js

    async def of(self, enterprise: str) -> list[commands.Consumer]:
        prefix, found, offset = subjects.event_consumer(enterprise, ""), [], 0
        with told_as_passing("The consumers could not be listed."):
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
        with told_as_passing("The consumer could not be made."):
            return _consumer(await self._js().add_consumer(subjects.EVENTS_STREAM, config))

    async def forget(self, enterprise: str, name: str) -> None:
        with told_as_passing("The consumer could not be deleted."), contextlib.suppress(NotFoundError):
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
