"""The registry on the bus: the commands it answers, and the projections it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
from nats.js import JetStreamContext
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import BaseModel

from services.registry.handlers import audit, connections, connectors, drafts
from services.registry.handlers.ports import Caller, ConnectionKey, Projections, Store
from shared.contracts import commands, subjects
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.contracts.template import MAX_TEMPLATE_BYTES
from shared.messaging.objects import Documents
from shared.messaging.service import CommandContext, CommandService

M = TypeVar("M", bound=BaseModel)

_DRAFT_BYTES: Final = MAX_TEMPLATE_BYTES + 64 * 1024
"""Room for the largest template and what stands around it in the command."""
_DRAFT_CONCURRENCY: Final = 4
"""Large documents are checked in this process: more at once would only take turns."""
_WRONG_REVISION: Final = frozenset({10071, 10164})
"""The server's codes for "somebody else wrote meanwhile", which nats-py names for updates and not for deletes."""


def serve(service: CommandService, store: Store, projections: Projections) -> None:
    """Answer every command of the registry on `service`."""

    def answer(
        noun: str,
        verb: str,
        model: type[M],
        handle: Callable[[Caller, M], Awaitable[BaseModel]],
        **limits: int,
    ) -> None:
        async def handler(context: CommandContext, command: M) -> BaseModel:
            _refuse_nul(command)
            return await handle(Caller(context.principal, context.enterprise, context.request_id), command)

        service.command(noun, verb, model, **limits)(handler)

    answer(
        "draft",
        "save",
        commands.SaveDraft,
        lambda caller, command: drafts.save(store, caller, command),
        max_bytes=_DRAFT_BYTES,
        concurrency=_DRAFT_CONCURRENCY,
    )
    answer("draft", "get", commands.GetDraft, lambda caller, query: drafts.get(store, caller, query))
    answer(
        "draft",
        "stage",
        commands.StageDraft,
        lambda caller, command: drafts.stage(store, projections, caller, command),
    )
    answer("connector", "list", commands.ListConnectors, lambda caller, query: connectors.page(store, caller, query))
    answer("connector", "show", commands.ShowConnector, lambda caller, query: connectors.show(store, caller, query))
    answer("version", "get", commands.GetVersion, lambda caller, query: connectors.get_version(store, caller, query))
    answer(
        "version",
        "add",
        commands.AddVersion,
        lambda caller, command: connectors.add_version(store, projections, caller, command),
    )
    answer(
        "connection",
        "create",
        commands.CreateConnection,
        lambda caller, command: connections.create(store, projections, caller, command),
    )
    answer("connection", "list", commands.ListConnections, lambda caller, query: connections.page(store, caller, query))
    answer(
        "connection",
        "delete",
        commands.DeleteConnection,
        lambda caller, command: connections.delete(store, projections, caller, command),
    )
    answer("audit", "list", commands.ListAudit, lambda caller, query: audit.page(store, caller, query))
    answer("audit", "append", commands.AppendAudit, lambda caller, command: audit.append(store, caller, command))


class NatsProjections:
    """`services.registry.handlers.ports.Projections` over JetStream."""

    def __init__(self, js: Callable[[], JetStreamContext]) -> None:
        self._js = js
        self._kv: KeyValue | None = None
        self._documents: Documents | None = None

    async def put_document(self, digest: str, content: bytes) -> None:
        if self._documents is None:
            self._documents = Documents(self._js())
        stored = await self._documents.put(content)
        if stored != digest:
            raise RuntimeError(f"a document of digest {digest} was stored under {stored}")

    async def sync_connection(
        self, key: ConnectionKey, read: Callable[[], Awaitable[ConnectionEntry | None]]
    ) -> ConnectionEntry | None:
        """The revision is taken before `read`, and the write happens only on that revision."""
        if self._kv is None:
            self._kv = await self._js().key_value(subjects.CONNECTIONS_BUCKET)
        name = subjects.connection_key(key.enterprise, key.connector, key.name)
        while True:
            revision, present = await _standing(self._kv, name)
            entry = await read()
            try:
                if entry is not None:
                    await self._kv.update(name, msgspec.json.encode(entry), last=revision)
                elif present:
                    await self._kv.delete(name, last=revision)
            except KeyWrongLastSequenceError:
                continue
            except APIError as error:
                if error.err_code in _WRONG_REVISION:
                    continue
                raise
            return entry


async def _standing(kv: KeyValue, name: str) -> tuple[int, bool]:
    """The key's last revision, 0 where it has none, and whether it holds a value."""
    try:
        return (await kv.get(name)).revision or 0, True
    except KeyNotFoundError as error:
        return (error.entry.revision or 0 if error.entry is not None else 0), False


def _refuse_nul(command: BaseModel) -> None:
    """PostgreSQL's text holds no NUL; a document's own text does, as an escape."""
    for name, value in command:
        if isinstance(value, str) and "\0" in value:
            raise DibopError("invalid-request", f"`{name}` holds a NUL character. Send it without.")
