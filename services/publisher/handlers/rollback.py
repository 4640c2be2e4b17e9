"""Rolling back: the content of an earlier version becomes the next one, so that version numbers only grow."""

from __future__ import annotations

from services.publisher.domain.moves import MoveKind, Release
from services.publisher.domain.versioning import highest, version_named
from services.publisher.handlers.moving import ROUNDS, begun, finished, other_underway, overtaken, own_connector
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.releasing import is_release, next_after, published, unchanged
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.commands import Connector, Published, RollbackConnector, VersionSummary
from shared.contracts.errors import DibopError
from shared.security.principals import Action, authorise


async def rollback(
    caller: Caller, command: RollbackConnector, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> Published:
    """Publish what `command.version` holds as the next version, and answer once executors can see it.

    It passed the gate when it was published, so it is not asked again. The bump follows from what changes since the
    last version, as everywhere: going back may take away what callers use by now. Raises `not-found` and `conflict`
    (what is retired does not come back), and what publishing raises.
    """
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    for _ in range(ROUNDS):
        connector = await own_connector(caller, command.slug, ports)
        wanted = _wanted(connector, command.version)
        underway = await ports.store.open_move(connector.owner, connector.slug)
        if underway is not None:
            if not is_release(underway, MoveKind.ROLLBACK, digest=wanted.digest):
                raise other_underway(underway)
            return published(await finished(underway, runner, wait_seconds), changed=False)
        last = _last(connector)
        if last.digest == wanted.digest and last.state == "published":
            return unchanged(connector.owner, connector.slug, last)
        content = await ports.registry.version(
            connector.owner, connector.slug, wanted.version, request_id=caller.request_id
        )
        release = Release(
            version=await next_after(caller, content, last, ports, owner=connector.owner, bump=command.bump),
            digest=content.digest,
            scope=content.scope,
            revision=content.revision,
            base_version=last.version,
            content_of=content.version,
        )
        move = begun(
            caller, MoveKind.ROLLBACK, release, owner=connector.owner, slug=connector.slug, notes=command.notes
        )
        if await ports.store.record_move(move):
            return published(await finished(move, runner, wait_seconds), changed=True)
    raise overtaken(command.slug)


def _last(connector: Connector) -> VersionSummary:
    last = highest(version.version for version in connector.versions)
    return next(version for version in connector.versions if version.version == last)


def _wanted(connector: Connector, name: str) -> VersionSummary:
    found = version_named(connector, name)
    if found.state == "retired":
        raise DibopError(
            "conflict",
            f"Version {name} of {connector.slug!r} is retired, and what is retired does not come back. "
            "Save its document as the draft, test that, and publish it.",
        )
    return found
