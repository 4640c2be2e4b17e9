"""How enterprises stand, in the memory of each service: a mirror of the KV bucket that the registry writes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from shared.contracts.projections import EnterpriseEntry
from shared.contracts.subjects import ENTERPRISES_BUCKET
from shared.messaging.connection import BusClient
from shared.messaging.kv import KvMirror
from shared.security.principals import GOOD, Standing

_decode: Final = msgspec.json.Decoder(EnterpriseEntry).decode


class Enterprises:
    """Asked on every request, so both answers are one look into memory."""

    def __init__(self, nc: Callable[[], BusClient]) -> None:
        self._nc = nc
        self._standings: dict[str, Standing] = {}
        self._suspended: set[str] = set()
        self._mirror: KvMirror[EnterpriseEntry] | None = None

    @property
    def suspended(self) -> AbstractSet[str]:
        """The suspended ones; the same set all the time, which follows what happens."""
        return self._suspended

    def standing(self, enterprise: str) -> Standing:
        """`GOOD` itself where nothing else is known."""
        return self._standings.get(enterprise, GOOD)

    async def start(self) -> None:
        """Return once every entry that the bucket has is here."""
        self._mirror = KvMirror(self._nc(), ENTERPRISES_BUCKET, _decode, on_change=self._changed)
        await self._mirror.start()
        for key, entry in self._mirror.under(""):
            self._changed(key, entry)

    async def stop(self) -> None:
        if self._mirror is not None:
            await self._mirror.stop()

    def _changed(self, enterprise: str, entry: EnterpriseEntry | None) -> None:
        standing = GOOD if entry is None else Standing(entry.suspended, entry.sdk_access)
        if standing == GOOD:
            self._standings.pop(enterprise, None)
        else:
            self._standings[enterprise] = standing
        (self._suspended.add if standing.suspended else self._suspended.discard)(enterprise)
