"""The way of a publication: recorded, version added at the registry, catalogue written, published.

Every step may be repeated, and what has been reached is stored before the next step begins. So whatever
breaks, the way goes on from the stored state: after a while where a service is away, at the next start
where this process died. Only a refusal by the registry ends it, and only before the version is there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.publisher.domain.publications import Publication, PublicationState, Refusal
from services.publisher.handlers.ports import AuditRecord, Catalogue, Registry, Store
from shared.contracts.clock import utc_now
from shared.contracts.commands import AddVersion, AppendAudit, VersionAdded
from shared.contracts.errors import DibopError, ErrorCode
from shared.contracts.events import Event
from shared.contracts.projections import CatalogueEntry, CatalogueVersion
from shared.tasks import end

REFUSALS: Final[frozenset[ErrorCode]] = frozenset(
    {
        "invalid-request",
        "invalid-template",
        "not-found",
        "already-exists",
        "conflict",
        "not-publishable",
        "enterprise-suspended",
        "unknown-connector",
        "unknown-version",
    }
)
"""The registry's answers that say for certain that there is no such version. All others may pass."""

_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 15.0
_ADOPT_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class Point(StrEnum):
    """The places between two steps, where a process may die and another must take over."""

    RECORDED = "recorded"
    VERSION_ADDED = "version-added"
    VERSION_NOTED = "version-noted"
    CATALOGUE_WRITTEN = "catalogue-written"
    PUBLISHED = "published"


Reached = Callable[[Point], None]
"""Told of every point that a publication reaches; tests die in it."""


class PublicationRunner:
    """Brings publications to their end, each in one task; whoever asks for the same one joins that task."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        catalogue: Catalogue,
        *,
        reached: Reached = lambda _: None,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._registry = registry
        self._catalogue = catalogue
        self._reached = reached
        self._first_wait_seconds = first_wait_seconds
        self._tasks: dict[str, asyncio.Task[Publication]] = {}
        self._trouble: dict[str, str] = {}
        self._adopting: asyncio.Task[None] | None = None

    def run(self, identifier: str) -> asyncio.Task[Publication]:
        """The task that ends with the publication published or failed."""
        task = self._tasks.get(identifier)
        if task is None:
            task = asyncio.create_task(self._to_the_end(identifier), name=f"publication {identifier}")
            self._tasks[identifier] = task
            task.add_done_callback(lambda _: self._forget(identifier))
        return task

    async def start(self, *, adopt_seconds: float = _ADOPT_SECONDS) -> None:
        """Go on with what is open, now and every `adopt_seconds`: a replica that died may not come back."""
        await self.resume()
        self._adopting = asyncio.create_task(self._adopt(adopt_seconds), name="publication adopter")

    async def resume(self) -> None:
        """Go on with every publication that is open; another process may be at the same one."""
        for publication in await self._store.open_publications():
            if publication.id not in self._tasks:
                _log.info("Resuming a publication", **_labels(publication), state=publication.state.value)
                self.run(publication.id)

    async def stop(self) -> None:
        """Leave the open ones to the next start."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks.values()]
        if self._adopting is not None:
            tasks.append(self._adopting)
        await end(*tasks)

    def trouble(self, identifier: str) -> str | None:
        """What the last attempt ran into, for a publication that is not at its end."""
        return self._trouble.get(identifier)

    async def _adopt(self, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.resume()
            except Exception:  # noqa: BLE001  # the database may be away; the next round looks again
                _log.exception("Open publications could not be looked up")

    async def _to_the_end(self, identifier: str) -> Publication:
        attempts = AsyncRetrying(
            wait=wait_exponential_jitter(
                multiplier=self._first_wait_seconds, max=_LONGEST_WAIT_SECONDS, jitter=self._first_wait_seconds
            ),
            retry=retry_if_exception_type(Exception),
            before_sleep=lambda state: self._note_trouble(identifier, state),
            reraise=True,
        )
        return await attempts(self._advance, identifier)

    async def _advance(self, identifier: str) -> Publication:
        publication = await self._store.publication(identifier)
        if publication.state is PublicationState.RECORDED:
            publication = await self._add_version(publication)
        if publication.state is PublicationState.VERSION_ADDED:
            publication = await self._project(publication)
        return publication

    async def _add_version(self, publication: Publication) -> Publication:
        self._reached(Point.RECORDED)
        try:
            added = await self._registry.add_version(
                publication.owner, _add_version(publication), request_id=publication.request_id
            )
        except DibopError as error:
            if error.code not in REFUSALS:
                raise
            refusal = Refusal(error.code, f"The registry refused version {publication.version}: {error.detail}")
            audit = _audit(publication, "connector.publish-failed", {"reason": refusal.detail})
            await self._store.fail_publication(publication.id, refusal, audit)
            _log.warning("A publication failed", **_labels(publication), reason=refusal.detail)
        else:
            self._reached(Point.VERSION_ADDED)
            await self._store.note_version_added(publication.id, _entry(added))
            self._reached(Point.VERSION_NOTED)
        return await self._store.publication(publication.id)

    async def _project(self, publication: Publication) -> Publication:
        if publication.entry is None:
            raise RuntimeError(f"publication {publication.id} has state {publication.state} and no catalogue entry")
        await self._catalogue.put(publication.entry)
        self._reached(Point.CATALOGUE_WRITTEN)
        await self._store.finish_publication(
            publication.id, _version_published(publication), _audit(publication, "connector.publish", {})
        )
        self._reached(Point.PUBLISHED)
        _log.info("Published", **_labels(publication))
        return await self._store.publication(publication.id)

    def _note_trouble(self, identifier: str, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._trouble[identifier] = error.detail if isinstance(error, DibopError) else type(error).__name__
        _log.warning(
            "A publication waits",
            publication=identifier,
            attempt=state.attempt_number,
            seconds=round(state.upcoming_sleep, 2),
            reason=str(error),
            exc_info=None if isinstance(error, DibopError | OSError) else error,
        )

    def _forget(self, identifier: str) -> None:
        self._tasks.pop(identifier, None)
        self._trouble.pop(identifier, None)


def _add_version(publication: Publication) -> AddVersion:
    return AddVersion(
        publication_id=publication.id,
        slug=publication.slug,
        version=publication.version,
        digest=publication.digest,
        scope=publication.scope,
        revision=publication.revision,
        actor=publication.actor,
        notes=publication.notes,
    )


def _entry(added: VersionAdded) -> CatalogueEntry:
    return CatalogueEntry(
        slug=added.slug,
        owner=added.owner,
        generation=added.generation,
        versions=[
            CatalogueVersion(version=v.version, digest=v.digest, state=v.state, published_at=v.published_at)
            for v in added.versions
        ],
    )


def _version_published(publication: Publication) -> Event:
    """The event carries the publication's id, so that it is the same event however often it is written."""
    return Event(
        enterprise=publication.owner,
        noun="connector",
        identifier=publication.slug,
        what="version_published",
        source="publisher",
        data={
            "slug": publication.slug,
            "owner": publication.owner,
            "scope": publication.scope,
            "version": publication.version,
            "previous_version": publication.base_version,
            "digest": publication.digest,
            "published_at": publication.published_at,
            "published_by": publication.actor,
            "notes": publication.notes,
        },
        id=publication.id,
    )


def _audit(publication: Publication, action: str, details: dict[str, str]) -> AuditRecord:
    return AuditRecord(
        publication.owner,
        AppendAudit(
            id=str(uuid.uuid5(uuid.UUID(publication.id), action)),
            at=utc_now(),
            actor=publication.actor,
            action=action,
            noun="connector",
            identifier=publication.slug,
            details={
                "publication": publication.id,
                "version": publication.version,
                "digest": publication.digest,
                "scope": publication.scope,
                **details,
            },
            request_id=publication.request_id,
        ),
    )


def _labels(publication: Publication) -> dict[str, str]:
    return {
        "publication": publication.id,
        "connector": publication.slug,
        "owner": publication.owner,
        "version": publication.version,
    }
