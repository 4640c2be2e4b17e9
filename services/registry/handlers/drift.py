"""Drift: where what executors read differs from the database, found and mended while everything goes on.

A page of a part is looked at in two stages: first what the database has, then what else the bucket holds. The database
is read after the bucket, and whoever writes a bucket has committed before: so what is ahead of the database comes from
a database that was there before a backup was restored, and the write on the revision that was seen loses nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

import msgspec
import structlog

from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.ports import Bucket, Buckets, Caller, ConnectionKey, Store, Stored, Work
from services.registry.handlers.projections import connection_entry, enterprise_entry
from services.registry.handlers.versions import catalogue_entry
from shared.contracts import subjects
from shared.contracts.commands import (
    CheckProjection,
    Drift,
    ProjectionDifference,
    ProjectionPage,
    ProjectionPart,
    RebuildProjection,
)
from shared.contracts.errors import DibopError
from shared.contracts.names import PLATFORM
from shared.contracts.projections import CatalogueEntry, ConnectionEntry, EnterpriseEntry
from shared.contracts.template import canonical_json
from shared.contracts.unreadable import UNREADABLE
from shared.security.principals import Action

_AT_ONCE: Final = 8
_SETTLE_SECONDS: Final = 0.5
"""A change that is under way has reached its bucket by then."""
_ROWS: Final = "row:"
_KEYS: Final = "key:"
_KEY_CURSOR: Final = re.compile(rf"{_KEYS}[0-9]{{1,15}}\Z", re.ASCII)
_CONNECTION_TOKENS: Final = 3

T = TypeVar("T")

log = structlog.get_logger("registry")


class _Entry(Protocol):
    @property
    def generation(self) -> int: ...


_Should: TypeAlias = Callable[[Work, str], Awaitable[_Entry | None]]
"""What a key must hold by the database; None is nothing."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One bucket. `rows` are the keys that the database has, in its order, after one of them."""

    bucket: Bucket
    entry: type[_Entry]
    should: _Should
    rows: Callable[[Work, str | None, int], Awaitable[list[str]]]


async def check(store: Store, buckets: Buckets, caller: Caller, query: CheckProjection) -> ProjectionPage:
    """Compare a page; what differs is looked at twice, so that changes under way are none."""
    _admit(caller)
    keys, next_after = await _keys(store, buckets, query)
    found = await _differing(store, buckets, query, keys)
    if found:
        await asyncio.sleep(_SETTLE_SECONDS)
        suspects = keys if query.part == "templates" else [each.key for each in found]
        found = await _differing(store, buckets, query, suspects)
    return _answer(query, keys, found, next_after, mended=False)


async def rebuild(store: Store, buckets: Buckets, caller: Caller, command: RebuildProjection) -> ProjectionPage:
    """Have every entry of a page be as the database says. Repeating it finds nothing more to mend."""
    _admit(caller)
    keys, next_after = await _keys(store, buckets, command)
    mended = await _mend(store, buckets, command, keys)
    if mended:
        said = {"part": command.part, "mended": len(mended)}
        async with store.write() as work:
            await audit.record(work, caller, "projection.rebuild", ("projection", command.part), said)
        log.warning("projection mended", **said, actor=caller.subject, request_id=caller.request_id)
    return _answer(command, keys, mended, next_after, mended=True)


async def rebuild_all(store: Store, buckets: Buckets) -> int:
    """Have everything be as the database says, templates first, since entries name them; how many were not."""
    count = 0
    for part in ("templates", *_PARTS):
        after: str | None = None
        while True:
            command = RebuildProjection(part=part, after=after)
            keys, after = await _keys(store, buckets, command)
            count += len(await _mend(store, buckets, command, keys))
            if after is None:
                break
    return count


def _admit(caller: Caller) -> None:
    admit(caller, Action.MEND_PROJECTIONS)
    if caller.enterprise != PLATFORM:
        raise DibopError("invalid-request", f"Projections are {PLATFORM!r}'s matter. Send this to its subject.")


def _answer(
    query: CheckProjection, keys: list[str], found: list[ProjectionDifference], next_after: str | None, *, mended: bool
) -> ProjectionPage:
    """Of the bucket's own keys those alone count that the database did not have before."""
    looked_at = len(found) if (query.after or "").startswith(_KEYS) else len(keys)
    return ProjectionPage(part=query.part, looked_at=looked_at, differences=found, mended=mended, next_after=next_after)


async def _keys(store: Store, buckets: Buckets, query: CheckProjection) -> tuple[list[str], str | None]:
    """This page's keys, and where the next one goes on."""
    part = None if query.part == "templates" else _PARTS[query.part]
    after = query.after or _ROWS
    if after.startswith(_ROWS):
        rows = _published_keys if part is None else part.rows
        async with store.read() as work:
            keys = await rows(work, after.removeprefix(_ROWS) or None, query.limit)
        if len(keys) == query.limit:
            return keys, _ROWS + keys[-1]
        return keys, None if part is None else f"{_KEYS}0"
    if part is None or _KEY_CURSOR.match(after) is None:
        raise DibopError("invalid-request", f"after: {after[:80]!r} is no page's next_after. Begin without one.")
    there = await buckets.keys(part.bucket, after=int(after.removeprefix(_KEYS)), limit=query.limit)
    more = len(there) == query.limit
    return [key for _, key in there], f"{_KEYS}{there[-1][0]}" if more else None


async def _differing(
    store: Store, buckets: Buckets, query: CheckProjection, keys: Sequence[str]
) -> list[ProjectionDifference]:
    if query.part == "templates":
        return [found for found, _ in await _documents(store, buckets, keys)]
    part = _PARTS[query.part]

    async def look(key: str) -> ProjectionDifference | None:
        drift, _, _ = await _compare(store, buckets, part, key)
        return None if drift is None else ProjectionDifference(key=key, drift=drift)

    return [each for each in await _side_by_side(look, keys) if each is not None]


async def _mend(
    store: Store, buckets: Buckets, query: CheckProjection, keys: Sequence[str]
) -> list[ProjectionDifference]:
    if query.part == "templates":
        lost = await _documents(store, buckets, keys)
        for _, content in lost:
            await buckets.restore_document(content)
        return [found for found, _ in lost]
    part = _PARTS[query.part]

    async def mend(key: str) -> ProjectionDifference | None:
        first: Drift | None = None
        while True:
            drift, seen, value = await _compare(store, buckets, part, key)
            first = first or drift
            if drift is None or await buckets.write(part.bucket, key, seen, value):
                return None if first is None else ProjectionDifference(key=key, drift=first)

    return [each for each in await _side_by_side(mend, keys) if each is not None]


async def _compare(store: Store, buckets: Buckets, part: _Part, key: str) -> tuple[Drift | None, Stored, bytes | None]:
    """How the key differs, what it holds, and what it should hold."""
    seen = await buckets.look(part.bucket, key)
    async with store.read() as work:
        should = await part.should(work, key)
    value = None if should is None else msgspec.json.encode(should)
    return _drift(part, seen.value, should), seen, value


def _drift(part: _Part, value: bytes | None, should: _Entry | None) -> Drift | None:
    if should is None:
        return None if value is None else "foreign"
    if value is None:
        return "missing"
    try:
        holds = msgspec.json.decode(value, type=part.entry)
    except UNREADABLE:
        return "damaged"
    if holds.generation != should.generation:
        return "stale" if holds.generation < should.generation else "ahead"
    return None if holds == should else "different"


async def _documents(store: Store, buckets: Buckets, keys: Sequence[str]) -> list[tuple[ProjectionDifference, bytes]]:
    """The documents of these connectors' versions that are not there whole, with their content."""

    async def look(key: str) -> list[tuple[ProjectionDifference, bytes]]:
        owner, slug = key.split(".")
        async with store.read() as work:
            versions = {each.digest: each.version for each in await work.versions.of(owner, slug)}
        lost: list[tuple[ProjectionDifference, bytes]] = []
        for digest, version in versions.items():
            state = await buckets.document(digest)
            if state != "there":
                async with store.read() as work:
                    content = canonical_json(await work.versions.document(owner, slug, version))
                lost.append((ProjectionDifference(key=digest, drift=state), content))
        return lost

    return [each for found in await _side_by_side(look, keys) for each in found]


async def _side_by_side(look: Callable[[str], Awaitable[T]], keys: Sequence[str]) -> list[T]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(key: str) -> T:
        async with places:
            return await look(key)

    return await asyncio.gather(*(one(key) for key in keys))


async def _published_keys(work: Work, after: str | None, limit: int) -> list[str]:
    owner, _, slug = (after or "").partition(".")
    found = await work.versions.published(after=(owner, slug) if after else None, limit=limit)
    return [subjects.catalogue_key(*each) for each in found]


async def _published(work: Work, key: str) -> CatalogueEntry | None:
    owner, _, slug = key.partition(".")
    entry = await catalogue_entry(work, owner, slug)
    return entry if entry.versions else None


async def _connection_keys(work: Work, after: str | None, limit: int) -> list[str]:
    found = await work.connections.keys(after=ConnectionKey(*after.split(".")) if after else None, limit=limit)
    return [subjects.connection_key(each.enterprise, each.connector, each.name) for each in found]


async def _connection(work: Work, key: str) -> ConnectionEntry | None:
    parts = key.split(".")
    return await connection_entry(work, ConnectionKey(*parts)) if len(parts) == _CONNECTION_TOKENS else None


async def _enterprise_keys(work: Work, after: str | None, limit: int) -> list[str]:
    return [each.id for each in await work.enterprises.page(suspended=None, after=after, limit=limit)]


_PARTS: Final[dict[ProjectionPart, _Part]] = {
    "catalogue": _Part("catalogue", CatalogueEntry, _published, _published_keys),
    "connections": _Part("connections", ConnectionEntry, _connection, _connection_keys),
    "enterprises": _Part("enterprises", EnterpriseEntry, enterprise_entry, _enterprise_keys),
}
