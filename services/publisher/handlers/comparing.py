"""Comparing: what changed between two versions of a connector, or from one to its draft."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.publisher.domain import comparison
from services.publisher.domain.templates import changes, valid_template
from services.publisher.domain.versioning import Change, bump_of, highest, next_version
from services.publisher.handlers.ports import Caller, Ports
from shared.contracts.commands import (
    DRAFT,
    ComparedDocument,
    Connector,
    DiffConnector,
    Difference,
    Draft,
    TemplateProblem,
    Version,
)
from shared.contracts.errors import DibopError
from shared.security.principals import Action, authorise


async def diff(caller: Caller, query: DiffConnector, ports: Ports) -> Difference:
    """The changes from one document to the other, each with its place, its bump and a sentence.

    Raises `not-found` for a version that is not there, `invalid-template` for a draft that is no template yet.
    """
    authorise(caller.principal, Action.READ, caller.enterprise)
    if DRAFT in (query.before, query.after):
        authorise(caller.principal, Action.EDIT_DRAFT, caller.enterprise)
    connector = await ports.registry.connector(caller.enterprise, query.slug, request_id=caller.request_id)
    last = highest(version.version for version in connector.versions)
    before = await _document(caller, connector, query.before or last, ports)
    after = await _document(caller, connector, query.after, ports)
    found = await asyncio.to_thread(_compared, before, after)
    rows, more = comparison.listed(found)
    same = before.digest == after.digest
    follows = last is not None and not same and isinstance(after, Draft) and _version(before) == last
    return Difference(
        slug=query.slug,
        owner=connector.owner,
        before=_told(before),
        after=_told(after),
        bump=None if same else bump_of(found).word,
        next_version=next_version(last, found) if follows else None,
        changes=rows,
        more=more,
    )


async def _document(caller: Caller, connector: Connector, name: str | None, ports: Ports) -> Draft | Version:
    """The caller's own draft, or the connector's version of this number."""
    slug = connector.slug
    if name is None:
        raise DibopError(
            "not-found", f"No version of {slug!r} is published, so there is nothing to compare its draft with."
        )
    if name == DRAFT:
        return await ports.registry.draft(caller.enterprise, slug, request_id=caller.request_id)
    if all(each.version != name for each in connector.versions):
        there = ", ".join(each.version for each in connector.versions[-10:]) or "none"
        raise DibopError("not-found", f"{slug!r} has no version {name}. It has: {there}. Ask for one of these.")
    return await ports.registry.version(connector.owner, slug, name, request_id=caller.request_id)


def _compared(before: Draft | Version, after: Draft | Version) -> list[Change]:
    old, new = (valid_template(each.slug, each.document, _problems(each)) for each in (before, after))
    return changes(old, new)


def _problems(document: Draft | Version) -> Sequence[TemplateProblem]:
    return document.errors if isinstance(document, Draft) else ()


def _version(document: Draft | Version) -> str | None:
    return None if isinstance(document, Draft) else document.version


def _told(document: Draft | Version) -> ComparedDocument:
    return ComparedDocument(
        version=_version(document),
        revision=document.revision if isinstance(document, Draft) else None,
        digest=document.digest,
    )
