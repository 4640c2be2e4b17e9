"""Resealing: what is sealed to a key that is not the active one is opened and sealed to the active one.

Each connection is one compare-and-set at the registry, so that it may end anywhere and be begun again, by any worker.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import structlog

from services.executor.domain.oauth import REFRESH_TOKEN
from services.executor.keys import LiveRing
from services.executor.registry import RegistryClient
from services.executor.resolve import Mirror
from shared.contracts.commands import ResealConnection, Resealed, ResealedToken, ResealFailure
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry
from shared.security.sealing import SealContext, SealingKey

_MOST_NAMED: Final = 100
_ITS_OWN: Final = frozenset({"credentials-rejected", "invalid-request"})
"""Refusals that are the connection's own: the next one may do."""

_log = structlog.get_logger(__name__)

Outcome = Literal["resealed", "changed", "gone"]


class Cache(Protocol):
    """Sealed values that are made anew where they are missing."""

    async def drop(self, active: str) -> int:
        """Drop what is sealed to another key than `active`."""
        ...


class Resealer:
    """Reseals the connections of the mirror, and drops what is merely cached."""

    def __init__(
        self, ring: LiveRing, connections: Mirror[ConnectionEntry], registry: RegistryClient, cache: Cache
    ) -> None:
        self._ring = ring
        self._connections = connections
        self._registry = registry
        self._cache = cache

    async def reseal(self, kid: str, *, limit: int, request_id: str) -> Resealed:
        """Reseal at most `limit` connections to the key `kid`, or raise `conflict` where that is not the active one.

        A registry that is away is raised as what it is; what was done until then stays done.
        """
        key = self._active(kid)
        stale = [name for name, entry in self._connections.under("") if is_stale(entry, key.kid)]
        resealed, remaining, failed = 0, 0, []
        for number, name in enumerate(stale):
            if resealed == limit:
                remaining += len(stale) - number
                break
            try:
                outcome = await self._one(name, key, request_id)
            except DibopError as error:
                if error.code not in _ITS_OWN:
                    raise
                failed.append(_failure(name, error))
                continue
            resealed += outcome == "resealed"
            remaining += outcome == "changed"
        dropped = 0 if remaining else await self._cache.drop(key.kid)
        _log.info(
            "Connections resealed",
            kid=key.kid,
            resealed=resealed,
            remaining=remaining,
            failed=len(failed),
            cached_dropped=dropped,
        )
        return Resealed(kid=key.kid, resealed=resealed, remaining=remaining, failed=failed[:_MOST_NAMED])

    def _active(self, kid: str) -> SealingKey:
        self._ring.reload()
        key = self._ring.sealing_key
        if key.kid != kid:
            raise DibopError(
                "conflict",
                f"This worker seals to {key.kid!r}, and resealing to {kid!r} was asked for. Repeat once all workers "
                "have read the key ring again; 'dibop keys list' shows which have.",
            )
        return key

    async def _one(self, name: str, key: SealingKey, request_id: str) -> Outcome:
        entry = await self._connections.read(name)
        if entry is None or not is_stale(entry, key.kid):
            return "gone"
        try:
            await self._registry.reseal(entry.enterprise, self._resealed(entry, key), request_id=request_id)
        except DibopError as error:
            if error.code == "not-found":
                return "gone"
            if error.code == "conflict":
                return "changed"
            raise
        return "resealed"

    def _resealed(self, entry: ConnectionEntry, key: SealingKey) -> ResealConnection:
        def again(use: Literal["connection", "token"], kid: str, sealed: dict[str, str]) -> dict[str, str]:
            context = SealContext(use, entry.enterprise, entry.owner, entry.connector, entry.id, entry.origin)
            opened = {field: self._ring.open(each, context.for_field(field), kid) for field, each in sealed.items()}
            return key.seal_all(opened, context)

        credentials = again("connection", entry.kid, entry.sealed) if entry.kid != key.kid else {}
        token = None
        if entry.token is not None and entry.token.kid != key.kid:
            sealed = again("token", entry.token.kid, {REFRESH_TOKEN: entry.token.sealed})
            token = ResealedToken(kid=key.kid, sealed=sealed[REFRESH_TOKEN])
        return ResealConnection(
            connector=entry.connector,
            name=entry.name,
            id=entry.id,
            generation=entry.generation,
            kid=key.kid,
            sealed=credentials,
            token=token,
        )


def is_stale(entry: ConnectionEntry, active: str) -> bool:
    """True where something of the connection is sealed to another key than `active`."""
    return any(kid != active for kid in kids_of(entry))


def kids_of(entry: ConnectionEntry) -> set[str]:
    """The keys that something of the connection is sealed to."""
    kids = {entry.kid} if entry.sealed else set()
    return kids | ({entry.token.kid} if entry.token is not None else set())


def _failure(name: str, error: DibopError) -> ResealFailure:
    enterprise, connector, connection = name.split(".")
    _log.warning("A connection could not be resealed", connection=name, reason=error.detail)
    return ResealFailure(enterprise=enterprise, connector=connector, name=connection, why=error.detail)
