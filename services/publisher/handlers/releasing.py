"""What publishing and rolling back share: the number of the next version, the move that makes it, its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from services.publisher.domain import gate
from services.publisher.domain.moves import Move, MoveKind
from services.publisher.domain.sentences import sentence
from services.publisher.domain.templates import changes, valid_template
from services.publisher.domain.versioning import Bump, Change, bump_of, highest, next_version
from services.publisher.handlers.ports import Caller, Ports
from shared.contracts.commands import BumpName, ChecklistItem, Published, VersionSummary
from shared.contracts.errors import DibopError


class HasDocument(Protocol):
    """A draft, a version, or what is under review."""

    @property
    def slug(self) -> str: ...

    @property
    def document(self) -> Mapping[str, Any]: ...


async def last_version(caller: Caller, owner: str, slug: str, ports: Ports) -> VersionSummary | None:
    """The highest version of this owner's connector. The registry answers the catalogue's where there is none."""
    try:
        connector = await ports.registry.connector(owner, slug, request_id=caller.request_id)
    except DibopError as error:
        if error.code in {"not-found", "unknown-connector"}:
            return None
        raise
    if connector.owner != owner:
        return None
    last = highest(version.version for version in connector.versions)
    return next((version for version in connector.versions if version.version == last), None)


async def next_after(
    caller: Caller,
    document: HasDocument,
    last: VersionSummary | None,
    ports: Ports,
    *,
    owner: str,
    bump: BumpName | None,
) -> str:
    """The version of `owner` that `document` makes after `last`; `not-publishable` where `bump` is too small."""
    if last is None:
        return next_version(None, ())
    before = await ports.registry.version(owner, document.slug, last.version, request_id=caller.request_id)
    found = await asyncio.to_thread(_changes, before, document)
    wanted = Bump.named(bump) if bump else bump_of(found)
    _require_enough(document.slug, last.version, wanted, found)
    return next_version(last.version, found, at_least=wanted)


def is_release(move: Move, kind: MoveKind, *, digest: str) -> bool:
    """Whether this move makes a version of this very document in this way."""
    return move.kind is kind and move.release.digest == digest


def published(move: Move, *, changed: bool) -> Published:
    """The answer for a move that is done."""
    return Published(
        slug=move.slug,
        owner=move.owner,
        scope=move.release.scope,
        version=move.release.version,
        digest=move.release.digest,
        published_at=move.published_at,
        changed=changed,
    )


def unchanged(owner: str, slug: str, last: VersionSummary) -> Published:
    """The answer where the last version is what is asked for."""
    return Published(
        slug=slug,
        owner=owner,
        scope=last.scope,
        version=last.version,
        digest=last.digest,
        published_at=last.published_at,
        changed=False,
    )


def _changes(before: HasDocument, after: HasDocument) -> list[Change]:
    old, new = (valid_template(each.slug, each.document) for each in (before, after))
    return changes(old, new)


def _require_enough(slug: str, last: str, wanted: Bump, found: Sequence[Change]) -> None:
    """Refuse a bump that is smaller than what changed since `last` needs, with each change that needs more."""
    needing = [change for change in found if change.bump > wanted]
    if needing:
        needed = bump_of(needing).word
        raise DibopError(
            "not-publishable",
            f"What changed in {slug!r} since {last} needs a {needed} version, and a {wanted.word} one was asked for. "
            "Ask for a larger bump or for none, or undo the changes that `errors` lists.",
            errors=[_needs(change) for change in sorted(needing, key=lambda change: -change.bump)[: gate.MAX_ITEMS]],
        )


def _needs(change: Change) -> dict[str, Any]:
    reason = f"{sentence(change)} That makes a {change.bump.word} version."
    return ChecklistItem(item="version", passed=False, required=True, reason=reason).model_dump(exclude_none=True)
