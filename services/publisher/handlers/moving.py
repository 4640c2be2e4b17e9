"""What all commands that move versions share: a move is waited for, and stands in the way of others."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from services.publisher.domain.moves import Move, MoveKind, MoveState, Release, Withdrawal
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.clock import utc_now
from shared.contracts.commands import Connector
from shared.contracts.errors import DibopError

ROUNDS: Final = 5
"""How often a move is computed anew because another one came first."""


def begun(
    caller: Caller,
    kind: MoveKind,
    content: Release | Withdrawal,
    *,
    owner: str,
    slug: str,
    notes: str,
    actor: str | None = None,
) -> Move:
    """The move as it is written down before anything happens; `actor` where it is not the caller's own."""
    return Move(
        id=str(uuid.uuid4()),
        kind=kind,
        owner=owner,
        slug=slug,
        content=content,
        actor=actor or caller.principal.subject,
        notes=notes,
        request_id=caller.request_id,
        created_at=utc_now(),
    )


async def finished(move: Move, runner: MoveRunner, wait_seconds: float) -> Move:
    """The move at its end, or the reason why it is not there."""
    try:
        async with asyncio.timeout(wait_seconds):
            ended = await asyncio.shield(runner.run(move.id))
    except TimeoutError:
        reason = runner.trouble(move.id)
        raise DibopError(
            "deadline-exceeded",
            f"{move.title} is recorded, and executors do not see it yet{f' ({reason})' if reason else ''}. "
            "It goes on by itself; repeat the command to see its end.",
            outcome="unknown",
        ) from None
    if ended.state is MoveState.FAILED and ended.refusal is not None:
        raise DibopError(ended.refusal.code, ended.refusal.detail)
    return ended


async def own_connector(caller: Caller, slug: str, ports: Ports) -> Connector:
    """The connector that the subject's enterprise owns; the catalogue's is nothing that an enterprise moves."""
    connector = await ports.registry.connector(caller.enterprise, slug, request_id=caller.request_id)
    if connector.owner != caller.enterprise:
        raise DibopError(
            "not-found",
            f"{caller.enterprise!r} owns no connector {slug!r}: the one it sees is the catalogue's, which Platform "
            "Admins look after.",
        )
    return connector


def other_underway(move: Move) -> DibopError:
    """`conflict`: one thing at a time."""
    return DibopError(
        "conflict",
        f"{move.title} by {move.actor} is under way since {move.created_at}. Repeat when that is done.",
    )


def overtaken(slug: str) -> DibopError:
    """`conflict`: whatever was computed, another move had come first."""
    return DibopError(
        "conflict", f"Other moves of {slug!r} came first {ROUNDS} times over. Look at its versions, then repeat."
    )
