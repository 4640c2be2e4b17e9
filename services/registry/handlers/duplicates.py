"""Connectors that begin as copies of others, and drafts that end before anything was published."""

from __future__ import annotations

from typing import Any, Final

import structlog

from services.registry.handlers import audit
from services.registry.handlers.access import admit, owners, sees_drafts
from services.registry.handlers.connectors import no_connector
from services.registry.handlers.ports import Caller, Document, Store, Work
from services.registry.handlers.revisions import SOURCE, Origin, begin, locked, prepare, saved
from services.registry.handlers.versions import pick
from shared.contracts.commands import (
    ConnectorDeleted,
    DeleteConnector,
    DraftSaved,
    DuplicateConnector,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.security.principals import Action

_MAX_NAME: Final = 200
_COPY: Final = " (copy)"

log = structlog.get_logger("registry")


async def duplicate(store: Store, caller: Caller, command: DuplicateConnector) -> DraftSaved:
    """Make a draft of the caller's enterprise from a connector that the caller sees.

    `already-exists` where the enterprise or the catalogue has the new slug. Credentials and connections are no part
    of a template, so none are copied.
    """
    admit(caller, Action.EDIT_DRAFT)
    async with store.read() as work:
        document, copied_from = await _original(work, caller, command)
    prepared = await prepare(command.new_slug, _renamed(document, command))
    async with store.write() as work:
        if not await begin(work, caller, prepared, Origin("connector.duplicate", copied_from=copied_from)):
            raise DibopError(
                "already-exists",
                f"{caller.enterprise!r} has a connector {command.new_slug!r} already. Choose another slug.",
            )
    return saved(caller, prepared, 1, changed=True)


async def delete(store: Store, caller: Caller, command: DeleteConnector) -> ConnectorDeleted:
    """Erase a draft with its history and the test credentials that are kept for it.

    `conflict` where a version was ever published, where connections use it, or where it was changed meanwhile.
    """
    admit(caller, Action.EDIT_DRAFT)
    owner, slug = caller.enterprise, command.slug
    async with store.write() as work:
        current = await locked(work, caller, slug, command.base_revision)
        if versions := await work.versions.of(owner, slug):
            raise DibopError(
                "conflict",
                f"{slug!r} was published ({len(versions)} version{'' if len(versions) == 1 else 's'}) and is not "
                "deleted: others may use it. Unpublish or retire it; discard the draft to undo what was edited.",
            )
        if used := sum(use.connections for use in await work.connections.policies(owner, slug)):
            raise DibopError(
                "conflict",
                f"{used} connection{'' if used == 1 else 's'} of {slug!r} would be left without a connector. "
                "Delete connections first.",
            )
        await work.test_credentials.forget_connector(owner, slug)
        await work.drafts.delete(owner, slug)
        said = {"slug": slug, "owner": owner, "revision": current.revision, "digest": current.digest}
        await audit.record(work, caller, "connector.delete", ("connector", slug), said)
        await work.emit(Event(owner, "connector", slug, "deleted", SOURCE, {**said, "actor": caller.subject}))
    log.info("connector deleted", owner=owner, connector=slug, actor=caller.subject, request_id=caller.request_id)
    return ConnectorDeleted(slug=slug, owner=owner)


async def _original(work: Work, caller: Caller, command: DuplicateConnector) -> tuple[Document, str]:
    """What is copied, and its name: `acme.weather` or `platform.weather 1.2.0`."""
    slug = command.slug
    if command.version is None and sees_drafts(caller.principal, caller.enterprise):
        current = await work.drafts.current(caller.enterprise, slug)
        if current is not None:
            document = await work.drafts.document(caller.enterprise, slug, current.revision)
            return document or {}, f"{caller.enterprise}.{slug}"
    for owner in owners(caller.enterprise):
        if versions := await work.versions.of(owner, slug):
            version = pick(slug, command.version, versions).version
            return await work.versions.document(owner, slug, version), f"{owner}.{slug} {version}"
    return await no_connector(work, caller, slug)


def _renamed(document: Document, command: DuplicateConnector) -> dict[str, Any]:
    """The copy says that it is one, unless it gets a name of its own; an invalid document's name stays as it is."""
    copy = {**document, "slug": command.new_slug}
    name = document.get("name")
    if command.name is not None:
        copy["name"] = command.name
    elif isinstance(name, str):
        copy["name"] = name[: _MAX_NAME - len(_COPY)] + _COPY
    return copy
