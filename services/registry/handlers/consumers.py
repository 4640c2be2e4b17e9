"""Durable consumers of events. Clients may make none themselves: who makes one chooses where messages are delivered."""

from __future__ import annotations

from typing import Final

from services.registry.domain.enterprises import require_enterprise
from services.registry.handlers import audit
from services.registry.handlers.access import admit
from services.registry.handlers.ports import Caller, Consumers, Store
from shared.contracts import subjects
from shared.contracts.commands import (
    Consumer,
    ConsumerDeleted,
    ConsumerList,
    CreateConsumer,
    DeleteConsumer,
    ListConsumers,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import PUBLIC_EVENTS, narrowed
from shared.contracts.names import PLATFORM, did_you_mean
from shared.security.principals import Action

NOUN: Final = "consumer"
MOST: Final = 20
"""So many an enterprise may have."""


async def create(store: Store, consumers: Consumers, caller: Caller, command: CreateConsumer) -> Consumer:
    """Make a consumer of the enterprise's events and of what is new in the catalogue, as far as the pattern goes."""
    admit(caller, Action.FOLLOW_EVENTS)
    require_enterprise(caller.enterprise)
    heard = _heard(caller.enterprise, command.pattern)
    existing = {each.name: each for each in await consumers.of(caller.enterprise)}
    found = existing.get(command.name)
    if found is not None and sorted(found.subjects) == sorted(heard):
        return found
    if found is not None:
        raise DibopError(
            "already-exists",
            f"The consumer {command.name!r} listens to {', '.join(found.subjects)}. Delete it first, with what waits "
            "in it, or choose another name.",
        )
    if len(existing) >= MOST:
        raise DibopError("conflict", f"{caller.enterprise!r} has {len(existing)} consumers already. Delete one first.")
    async with store.write() as work:
        await audit.record(work, caller, "consumer.create", (NOUN, command.name), {"subjects": heard})
        return await consumers.make(caller.enterprise, command.name, heard)


async def page(consumers: Consumers, caller: Caller, query: ListConsumers) -> ConsumerList:
    """The enterprise's, by name."""
    admit(caller, Action.FOLLOW_EVENTS)
    found = [each for each in await consumers.of(caller.enterprise) if query.name in {None, each.name}]
    return ConsumerList(consumers=sorted(found, key=lambda each: each.name))


async def delete(store: Store, consumers: Consumers, caller: Caller, command: DeleteConsumer) -> ConsumerDeleted:
    """Forget the consumer and what waits in it."""
    admit(caller, Action.FOLLOW_EVENTS)
    names = [each.name for each in await consumers.of(caller.enterprise)]
    if command.name not in names:
        raise DibopError(
            "not-found",
            f"{caller.enterprise!r} has no consumer {command.name!r}. {did_you_mean(command.name, names, NOUN)}",
        )
    async with store.write() as work:
        await audit.record(work, caller, "consumer.delete", (NOUN, command.name), {})
        await consumers.forget(caller.enterprise, command.name)
    return ConsumerDeleted(name=command.name)


def _heard(enterprise: str, pattern: str) -> list[str]:
    if pattern.startswith("operation."):
        raise DibopError(
            "invalid-request",
            f"{pattern!r}: what was executed is told too often to be kept for consumers. Listen by a plain "
            "subscription, or read the call log ('dibop calls', the command call.list).",
        )
    own = subjects.events(enterprise, pattern)
    return [own, *(subjects.events(PLATFORM, each) for each in narrowed(pattern, PUBLIC_EVENTS))]
