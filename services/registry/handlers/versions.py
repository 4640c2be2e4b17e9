"""Published versions: added by the publisher, read by everyone who sees the connector, changed by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog

from services.registry.domain.drafts import headline
from services.registry.domain.search import words_of
from services.registry.domain.templates import require_valid
from services.registry.handlers import audit
from services.registry.handlers.access import admit, owners
from services.registry.handlers.adoption import adopt, require_adopter
from services.registry.handlers.connectors import no_connector
from services.registry.handlers.ports import (
    Caller,
    ConnectorSummary,
    Document,
    Projections,
    Store,
    VersionRecord,
    Work,
)
from shared.contracts import subjects
from shared.contracts.clock import utc_now
from shared.contracts.commands import AddVersion, CatalogueVersionModel, GetVersion, Version, VersionAdded
from shared.contracts.errors import DibopError
from shared.contracts.limits import MAX_REVISION
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.contracts.template import Terms, canonical_json, terms_of
from shared.contracts.versions import connector_state, in_order, latest
from shared.security.principals import Action

log = structlog.get_logger("registry")


async def get(store: Store, caller: Caller, query: GetVersion) -> Version:
    """A published document; the latest where the query names no version."""
    admit(caller, Action.READ)
    async with store.read() as work:
        for owner in owners(caller.enterprise):
            if versions := await work.versions.of(owner, query.slug):
                record = pick(query.slug, query.version, versions)
                return Version(
                    slug=record.slug,
                    owner=record.owner,
                    version=record.version,
                    state=record.state,
                    digest=record.digest,
                    scope=record.scope,
                    revision=record.revision,
                    document=await work.versions.document(owner, record.slug, record.version),
                    published_at=record.published_at,
                    notes=record.notes,
                )
        return await no_connector(work, caller, query.slug)


async def add(store: Store, projections: Projections, caller: Caller, command: AddVersion) -> VersionAdded:
    """Add an immutable version of what a draft revision holds, and answer the catalogue entry as it must stand.

    Its document stands in the object store before the version is committed. Repeating the command with the same
    `publication_id` adds nothing and answers the entry again.
    """
    admit(caller, Action.ADD_VERSION)
    owner, slug = caller.enterprise, command.slug
    _require_scope(owner, command)
    require_adopter(owner, command)
    document = await _document_to_publish(store, command.source or owner, command)
    template = await asyncio.to_thread(require_valid, slug, document)
    await projections.put_document(command.digest, canonical_json(document))
    async with store.write() as work:
        await work.drafts.current(owner, slug, lock=True)
        added = not await _is_repeat(work, owner, command)
        if added:
            await _require_revision(work, command.source or owner, command)
            await _add(work, caller, command, document, terms_of(template))
        entry = await catalogue_entry(work, owner, slug)
    log.info(
        "version added" if added else "version was there",
        owner=owner,
        connector=slug,
        version=command.version,
        publication=command.publication_id,
        actor=command.actor,
        request_id=caller.request_id,
    )
    return VersionAdded(**entry_fields(entry))


async def _add(work: Work, caller: Caller, command: AddVersion, document: Document, terms: Terms) -> None:
    owner, slug = caller.enterprise, command.slug
    revision = command.revision if command.source is None else await adopt(work, command, document)
    await work.versions.add(
        VersionRecord(
            owner=owner,
            slug=slug,
            version=command.version,
            digest=command.digest,
            scope=command.scope,
            revision=revision,
            publication_id=command.publication_id,
            published_by=command.actor,
            published_at=utc_now(),
            notes=command.notes,
            sends=terms,
        ),
        document,
    )
    await summarise(work, owner, slug)
    await audit.record(
        work,
        caller,
        "version.add",
        ("connector", slug),
        {
            "version": command.version,
            "digest": command.digest,
            "scope": command.scope,
            "revision": revision,
            "publication_id": command.publication_id,
            **({"source": command.source} if command.source else {}),
        },
        actor=command.actor,
    )


async def summarise(work: Work, owner: str, slug: str) -> None:
    """Have lists show the latest version under its own name."""
    versions = await work.versions.of(owner, slug)
    if (newest := latest(versions)) is not None:
        document = await work.versions.document(owner, slug, newest.version)
        name, kind = headline(slug, document)
        summary = ConnectorSummary(
            name=name,
            type=kind,
            words=await asyncio.to_thread(words_of, slug, document),
            state=connector_state(versions),
            latest_version=newest.version,
            published_at=newest.published_at,
        )
        await work.versions.summarise(owner, slug, summary)


async def _document_to_publish(store: Store, owner: str, command: AddVersion) -> Document:
    async with store.read() as work:
        await _require_revision(work, owner, command)
        document = await work.drafts.document(owner, command.slug, command.revision)
    if document is None:
        raise RuntimeError(f"revision {command.revision} of {owner}.{command.slug} has a digest and no document")
    return document


async def _require_revision(work: Work, owner: str, command: AddVersion) -> None:
    """Refuse a revision that is not there, as where the draft was deleted meanwhile, or is another document."""
    slug, revision = command.slug, command.revision
    digest = await work.drafts.digest(owner, slug, revision) if 0 < revision <= MAX_REVISION else None
    if digest is None:
        raise DibopError(
            "not-found",
            f"{owner!r} has no revision {revision} of a draft {slug!r}, so it cannot become version "
            f"{command.version}. Publish a revision that was saved.",
        )
    if digest != command.digest:
        raise DibopError(
            "conflict",
            f"Revision {revision} of {slug!r} has the digest {digest}, and version {command.version} was to have "
            f"{command.digest}. Test and publish the draft as it stands.",
        )


async def _is_repeat(work: Work, owner: str, command: AddVersion) -> bool:
    """True where this publication added its version before; a version or a publication of another is refused."""
    wanted = (owner, command.slug, command.version, command.digest)
    earlier = await work.versions.by_publication(command.publication_id)
    if earlier is not None:
        if (earlier.owner, earlier.slug, earlier.version, earlier.digest) == wanted:
            return True
        raise DibopError(
            "conflict",
            f"Publication {command.publication_id!r} has added version {earlier.version} of {earlier.slug!r} with "
            f"digest {earlier.digest} already. Begin a publication of its own for another version.",
        )
    for version in await work.versions.of(owner, command.slug):
        if version.version == command.version:
            raise DibopError(
                "conflict",
                f"Version {version.version} of {command.slug!r} was published by {version.published_by!r} at "
                f"{version.published_at} and never changes. Publish under a higher version.",
            )
    return False


async def catalogue_entry(work: Work, owner: str, slug: str) -> CatalogueEntry:
    """The catalogue's entry of a connector as it must stand now."""
    return CatalogueEntry(
        slug=slug,
        owner=owner,
        generation=await work.versions.generation(owner, slug),
        versions=[
            CatalogueVersion(each.version, each.digest, each.state, each.published_at, each.terms)
            for each in in_order(await work.versions.of(owner, slug))
        ],
    )


def entry_fields(entry: CatalogueEntry) -> dict[str, Any]:
    """The fields of `CatalogueEntryModel`."""
    return {
        "key": subjects.catalogue_key(entry.owner, entry.slug),
        "slug": entry.slug,
        "owner": entry.owner,
        "generation": entry.generation,
        "versions": [CatalogueVersionModel(**msgspec.structs.asdict(each)) for each in entry.versions],
    }


def pick(slug: str, version: str | None, versions: list[VersionRecord]) -> VersionRecord:
    """The version of this name, the latest where there is none; `not-found` tells those there are."""
    found = latest(versions) if version is None else next((v for v in versions if v.version == version), None)
    if found is None:
        names = ", ".join(each.version for each in in_order(versions)[-10:])
        raise DibopError("not-found", f"{slug!r} has no version {version!r}. It has: {names}. Ask for one of these.")
    return found


def _require_scope(owner: str, command: AddVersion) -> None:
    if (command.scope == "catalogue") != (owner == PLATFORM):
        raise DibopError(
            "invalid-request",
            f"A version of {owner!r} cannot have the scope {command.scope!r}: what {PLATFORM!r} owns goes to the "
            "catalogue, what an enterprise owns stays in the enterprise.",
        )
