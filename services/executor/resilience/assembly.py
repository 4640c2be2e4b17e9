"""The resilience of a worker, put together: shared state, fallback, guard, bulkhead and health, from start to stop."""

from __future__ import annotations

from typing import Any

import msgspec

from services.executor.resilience.bulkhead import Bulkhead
from services.executor.resilience.circuits import CircuitDesk
from services.executor.resilience.counters import ResilienceCounters
from services.executor.resilience.fallback import LIMIT_TICKS, SUSPECT_TICKS, FallbackState
from services.executor.resilience.fleet_size import Fleet
from services.executor.resilience.guard import Guard
from services.executor.resilience.health import HealthBucket, recorder
from services.executor.resilience.leftovers import Leftovers
from services.executor.resilience.local import LocalState
from services.executor.resilience.on_loss import OnLoss
from services.executor.resilience.patience import Patience
from services.executor.resilience.scopes import OuterRates, read_rates
from services.executor.resilience.scripts import Timing
from services.executor.resilience.state import RedisState
from services.executor.settings import ExecutorSettings
from shared.contracts.projections import ConnectionEntry, ConnectionHealth
from shared.contracts.subjects import HEALTH_BUCKET
from shared.messaging.connection import BusClient
from shared.messaging.kv import KvMirror


class Resilience:
    """One for a worker. Redis may be away at any time, at the start too."""

    def __init__(self, nc: BusClient, settings: ExecutorSettings) -> None:
        window = settings.rate_window_ms / 1000
        patience = Patience(suspect=SUSPECT_TICKS, limit=LIMIT_TICKS)
        timing = Timing(window_ms=settings.rate_window_ms)
        self._shared = RedisState(settings.redis_url, timing=timing, wait=patience.wait)
        self._fleet = Fleet(nc, memory=window)
        local = LocalState(lambda: self._fleet.workers, window=window)
        on_loss = OnLoss.parse(settings.on_state_loss)
        self._state = FallbackState(self._shared, local, patience, on_loss, window=window)
        entries = HealthBucket(nc.jetstream())
        self.leftovers = Leftovers(entries)
        decode = msgspec.json.Decoder(ConnectionHealth).decode
        self._mirror = KvMirror(nc, HEALTH_BUCKET, decode, on_change=self.leftovers.health_changed)
        self.health = recorder(nc.jetstream(), self._mirror, entries)
        self.counters = ResilienceCounters()
        self.guard = Guard(self._state, self.health, self.counters)
        self.desk = CircuitDesk(self._shared, self.health, self.counters, settings.rate_window_ms)
        self.bulkhead = Bulkhead(settings.max_in_flight_per_connection)
        self.outer_rates = OuterRates(read_rates(settings.enterprise_rates), read_rates(settings.platform_rates))

    @property
    def workers(self) -> int:
        """How many workers there were lately, this one among them."""
        return self._fleet.workers

    async def start(self) -> None:
        await self._mirror.start()
        self.health.start()
        await self._fleet.start()
        await self._state.start()

    def mind(self, connections: KvMirror[ConnectionEntry]) -> None:
        """See from now on that the health of connections which are gone goes too."""
        self.leftovers.start(self._mirror, connections)

    async def stop(self, seconds: float) -> None:
        """Tell what is still to be told, within `seconds`, then disconnect."""
        await self.health.stop(seconds)
        await self.leftovers.stop()
        await self._mirror.stop()
        await self._fleet.stop()
        await self._state.stop()
        await self._shared.close()

    def status(self) -> dict[str, Any]:
        """For `$SRV.STATS`: `state` is `degraded_state` while Redis is away."""
        return {
            "state": "degraded_state" if self._state.away else "shared",
            "workers": self._fleet.workers,
            **msgspec.structs.asdict(self.counters),
            "fallback": msgspec.structs.asdict(self._state.counters),
        }
