"""Publishing: the gate is asked, the version computed, the publication recorded and brought to its end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Final

from services.publisher.domain import gate
from services.publisher.domain.publications import Publication, PublicationState, scope_item
from services.publisher.domain.sentences import sentence
from services.publisher.domain.templates import changes, read_template, valid_template
from services.publisher.domain.versioning import Bump, Change, bump_of, highest, next_version
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.saga import PublicationRunner
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    Checklist,
    ChecklistItem,
    Draft,
    PublishConnector,
    Published,
    Scope,
    ShowChecklist,
    VersionSummary,
)
from shared.contracts.errors import DibopError
from shared.contracts.template import operation_digests
from shared.security.principals import Action, authorise

_ROUNDS: Final = 5
"""How often a publication is computed anew because another one came first."""


async def show_checklist(caller: Caller, command: ShowChecklist, ports: Ports) -> Checklist:
    """The gate, item by item, for the draft as it stands."""
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
    items = await _ask_gate(draft, command.scope, ports)
    return Checklist(
        slug=draft.slug,
        owner=draft.owner,
        revision=draft.revision,
        digest=draft.digest,
        publishable=not gate.blocking(items),
        items=gate.shown(items),
    )


async def publish(
    caller: Caller, command: PublishConnector, ports: Ports, runner: PublicationRunner, *, wait_seconds: float
) -> Published:
    """Make the draft as it stands the next version, and answer once executors can see it.

    Raises `not-publishable` with the gate's items, `conflict` while another document of the connector is being
    published, and `deadline-exceeded` after `wait_seconds`, with the publication going on by itself.
    """
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    _require_passed(command.slug, [scope_item(caller.enterprise, command.scope)])
    for _ in range(_ROUNDS):
        draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
        last = await _last_version(caller, draft, ports)
        underway = await ports.store.open_publication(draft.owner, draft.slug)
        if underway is not None:
            if underway.digest != draft.digest:
                raise _other_underway(underway)
            return _answer(await _finished(underway, runner, wait_seconds), changed=False)
        if last is not None and last.digest == draft.digest:
            return _unchanged(draft, last)
        _require_passed(draft.slug, await _ask_gate(draft, command.scope, ports))
        publication = await _prepare(caller, command, draft, last, ports)
        if await ports.store.record_publication(publication):
            return _answer(await _finished(publication, runner, wait_seconds), changed=True)
    raise DibopError(
        "conflict",
        f"Other publications of {command.slug!r} came first {_ROUNDS} times over. Look at its versions, then repeat.",
    )


async def _ask_gate(draft: Draft, scope: Scope, ports: Ports) -> list[ChecklistItem]:
    template, found = read_template(draft.document)
    problems = draft.errors or found
    if template is None or problems:
        return gate.problem_items(problems)
    digests = operation_digests(template)
    evidence = await ports.store.latest_evidence(draft.owner, draft.slug, digests.values())
    return gate.checklist(gate.Candidate(template, draft.owner, scope, digests, evidence))


def _require_passed(slug: str, items: list[ChecklistItem]) -> None:
    missing = gate.blocking(items)
    if missing:
        first = missing[0].reason
        more = f" And {len(missing) - 1} more: see `errors`." if len(missing) > 1 else ""
        raise DibopError(
            "not-publishable",
            f"The draft of {slug!r} cannot be published yet. {first}{more}",
            errors=[item.model_dump(exclude_none=True) for item in missing],
        )


async def _last_version(caller: Caller, draft: Draft, ports: Ports) -> VersionSummary | None:
    """The highest version of the same owner's connector. The registry answers the catalogue's where there is none."""
    try:
        connector = await ports.registry.connector(draft.owner, draft.slug, request_id=caller.request_id)
    except DibopError as error:
        if error.code in {"not-found", "unknown-connector"}:
            return None
        raise
    if connector.owner != draft.owner:
        return None
    last = highest(version.version for version in connector.versions)
    return next((version for version in connector.versions if version.version == last), None)


async def _prepare(
    caller: Caller, command: PublishConnector, draft: Draft, last: VersionSummary | None, ports: Ports
) -> Publication:
    version = next_version(None, ())
    if last is not None:
        before = await ports.registry.version(draft.owner, draft.slug, last.version, request_id=caller.request_id)
        old, new = (valid_template(each.slug, each.document) for each in (before, draft))
        found = changes(old, new)
        wanted = Bump.named(command.bump) if command.bump else bump_of(found)
        _require_enough(draft.slug, last.version, wanted, found)
        version = next_version(last.version, found, at_least=wanted)
    return Publication(
        id=str(uuid.uuid4()),
        owner=draft.owner,
        slug=draft.slug,
        scope=command.scope,
        digest=draft.digest,
        version=version,
        base_version=last.version if last else None,
        revision=draft.revision,
        actor=caller.principal.subject,
        notes=command.notes,
        request_id=caller.request_id,
        created_at=utc_now(),
    )


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


async def _finished(publication: Publication, runner: PublicationRunner, wait_seconds: float) -> Publication:
    """The publication at its end, or the reason why it is not there."""
    try:
        async with asyncio.timeout(wait_seconds):
            finished = await asyncio.shield(runner.run(publication.id))
    except TimeoutError:
        reason = runner.trouble(publication.id)
        raise DibopError(
            "deadline-exceeded",
            f"Version {publication.version} of {publication.slug!r} is recorded but not in the catalogue yet"
            f"{f' ({reason})' if reason else ''}. It goes on by itself; repeat the command to see its end.",
            outcome="unknown",
        ) from None
    if finished.state is PublicationState.FAILED and finished.refusal is not None:
        raise DibopError(finished.refusal.code, finished.refusal.detail)
    return finished


def _answer(publication: Publication, *, changed: bool) -> Published:
    return Published(
        slug=publication.slug,
        owner=publication.owner,
        scope=publication.scope,
        version=publication.version,
        digest=publication.digest,
        published_at=publication.published_at,
        changed=changed,
    )


def _unchanged(draft: Draft, last: VersionSummary) -> Published:
    return Published(
        slug=draft.slug,
        owner=draft.owner,
        scope=last.scope,
        version=last.version,
        digest=last.digest,
        published_at=last.published_at,
        changed=False,
    )


def _other_underway(publication: Publication) -> DibopError:
    return DibopError(
        "conflict",
        f"Version {publication.version} of {publication.slug!r}, from revision {publication.revision} of its draft, is "
        f"being published by {publication.actor} since {publication.created_at}, and the draft has changed since. "
        "Repeat when that is done.",
    )
