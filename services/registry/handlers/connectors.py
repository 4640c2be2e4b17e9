"""Connectors: listed, and shown to whom they belong or are offered."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog

from services.registry.domain.drafts import headline
from services.registry.domain.pages import fitting
from services.registry.domain.search import Question, cursor, question
from services.registry.domain.templates import review, shown
from services.registry.handlers.access import admit, owners, sees_drafts
from services.registry.handlers.ports import (
    Caller,
    Store,
    VersionRecord,
    Work,
)
from shared.contracts.commands import (
    Connector,
    ConnectorPage,
    Deprecation,
    DraftSummary,
    ListConnectors,
    ShowConnector,
    VersionSummary,
)
from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean
from shared.contracts.versions import connector_state, in_order, latest
from shared.security.principals import Action

log = structlog.get_logger("registry")


async def page(store: Store, caller: Caller, query: ListConnectors) -> ConnectorPage:
    """The enterprise's own connectors and the catalogue's; its own wins where both have the slug."""
    admit(caller, Action.READ)
    async with store.read() as work:
        found = await work.connectors.page(
            caller.enterprise,
            drafts=sees_drafts(caller.principal, caller.enterprise),
            question=question(query),
            limit=query.limit + 1,
        )
    rows, more = fitting(found, query.limit)
    return ConnectorPage(connectors=rows, next_after=cursor(rows[-1], query.sort) if more else None)


async def show(store: Store, caller: Caller, query: ShowConnector) -> Connector:
    """The enterprise's own connector, else the catalogue's."""
    admit(caller, Action.READ)
    async with store.read() as work:
        for owner in owners(caller.enterprise):
            if connector := await _shown(work, caller, owner, query.slug):
                return connector
        return await no_connector(work, caller, query.slug)


async def _shown(work: Work, caller: Caller, owner: str, slug: str) -> Connector | None:
    """The connector as this caller sees it; None where there is nothing that it sees."""
    versions = in_order(await work.versions.of(owner, slug))
    revision = await work.drafts.current(owner, slug) if sees_drafts(caller.principal, owner) else None
    newest = latest(versions)
    if revision is not None:
        document = await work.drafts.document(owner, slug, revision.revision)
    elif newest is not None:
        document = await work.versions.document(owner, slug, newest.version)
    else:
        return None
    name, kind = headline(slug, document or {})
    draft = None
    if revision is not None:
        errors, _ = await asyncio.to_thread(review, slug, document or {})
        draft = DraftSummary(revision=revision.revision, digest=revision.digest, errors=shown(errors))
    return Connector(
        slug=slug,
        owner=owner,
        name=name,
        type=kind,
        state=connector_state(versions),
        draft=draft,
        versions=[
            VersionSummary(
                version=each.version,
                state=each.state,
                digest=each.digest,
                scope=each.scope,
                published_at=each.published_at,
                deprecation=_deprecation(each),
            )
            for each in versions
        ],
        latest_version=newest.version if newest else None,
    )


def _deprecation(version: VersionRecord) -> Deprecation | None:
    if version.state != "deprecated":
        return None
    return Deprecation.model_validate({"successor": version.successor, "date": version.date})


async def no_connector(work: Work, caller: Caller, slug: str) -> NoReturn:
    raise DibopError(
        "not-found",
        f"{caller.enterprise!r} sees no connector {slug!r}. {await suggestion(work, caller, slug)}",
    )


async def suggestion(work: Work, caller: Caller, slug: str) -> str:
    """A sentence with the nearest connectors that the caller sees."""
    rows = await work.connectors.page(
        caller.enterprise,
        drafts=sees_drafts(caller.principal, caller.enterprise),
        question=Question(),
        limit=1000,
    )
    return did_you_mean(slug, (row.slug for row in rows), "connector")
