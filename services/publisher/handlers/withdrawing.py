"""Withdrawing versions: deprecated, then unpublished, then retired. Whoever uses one hears of it before it is gone."""

from __future__ import annotations

import datetime as dt

from services.publisher.domain.moves import WITHDRAWALS, Move, Withdrawal
from services.publisher.domain.withdrawal import Wish, to_withdraw
from services.publisher.handlers.moving import ROUNDS, begun, finished, other_underway, overtaken, own_connector
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.saga import MoveRunner
from shared.contracts.commands import Connector, DeprecateConnector, Moved, RetireConnector, UnpublishConnector
from shared.contracts.errors import DibopError
from shared.contracts.lifecycle import best_state
from shared.security.principals import Action, authorise


async def deprecate(
    caller: Caller, command: DeprecateConnector, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> Moved:
    """Say that versions are to be left, for which successor and until when. They go on working."""
    if command.date is not None and command.date < dt.datetime.now(dt.UTC).date():
        raise DibopError(
            "invalid-request", f"The date {command.date} is over. Name the day until which the version can be used."
        )
    wish = Wish("deprecated", command.version, command.successor, command.date)
    return await _withdraw(caller, command, wish, ports, runner, wait_seconds=wait_seconds)


async def unpublish(
    caller: Caller, command: UnpublishConnector, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> Moved:
    """Offer versions to no new connection. Who uses them goes on."""
    wish = Wish("unpublished", command.version)
    return await _withdraw(caller, command, wish, ports, runner, wait_seconds=wait_seconds)


async def retire(
    caller: Caller, command: RetireConnector, ports: Ports, runner: MoveRunner, *, wait_seconds: float
) -> Moved:
    """End versions for good; `conflict` while a connection runs one."""
    wish = Wish("retired", command.version)
    return await _withdraw(caller, command, wish, ports, runner, wait_seconds=wait_seconds)


async def _withdraw(
    caller: Caller,
    command: DeprecateConnector | UnpublishConnector | RetireConnector,
    wish: Wish,
    ports: Ports,
    runner: MoveRunner,
    *,
    wait_seconds: float,
) -> Moved:
    """Bring the wish to its end and answer once executors see it.

    Raises `not-found`, `conflict` for a move that there is not or while another one is under way, and
    `deadline-exceeded` after `wait_seconds`, with the move going on by itself.
    """
    authorise(caller.principal, Action.PUBLISH, caller.enterprise)
    for _ in range(ROUNDS):
        connector = await own_connector(caller, command.slug, ports)
        underway = await ports.store.open_move(connector.owner, connector.slug)
        if underway is not None:
            if not isinstance(underway.content, Withdrawal) or not wish.is_of(underway.content):
                raise other_underway(underway)
            return _answer(await finished(underway, runner, wait_seconds), underway.content, changed=False)
        withdrawal = to_withdraw(connector, wish)
        if withdrawal is None:
            return _unchanged(connector, wish)
        kind = WITHDRAWALS[wish.state]
        move = begun(caller, kind, withdrawal, owner=connector.owner, slug=connector.slug, notes=command.notes)
        if await ports.store.record_move(move):
            return _answer(await finished(move, runner, wait_seconds), withdrawal, changed=True)
    raise overtaken(command.slug)


def _answer(move: Move, withdrawal: Withdrawal, *, changed: bool) -> Moved:
    states = [version.state for version in move.entry.versions] if move.entry else []
    return Moved(
        slug=move.slug,
        owner=move.owner,
        state=withdrawal.state,
        versions=list(withdrawal.versions),
        successor=withdrawal.successor,
        date=dt.date.fromisoformat(withdrawal.date) if withdrawal.date else None,
        connector_state=best_state(states) or "draft",
        changed=changed,
    )


def _unchanged(connector: Connector, wish: Wish) -> Moved:
    return Moved(
        slug=connector.slug,
        owner=connector.owner,
        state=wish.state,
        versions=[],
        successor=wish.successor,
        date=wish.date,
        connector_state=connector.state,
        changed=False,
    )
