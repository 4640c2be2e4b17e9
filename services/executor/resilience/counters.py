"""What a worker counts about attempts, permits and circuits, for its status and the metrics made of it."""

from __future__ import annotations

from collections import Counter

import msgspec


class ResilienceCounters(msgspec.Struct):
    """Since the worker started. `attempts` by `2xx`, `4xx`, … or error code; `refusals` by reason.

    `local_decisions` are those that were made without Redis.
    """

    attempts: Counter[str] = msgspec.field(default_factory=Counter)
    retries: int = 0
    retries_stopped: Counter[str] = msgspec.field(default_factory=Counter)
    permits: int = 0
    permits_waited: int = 0
    permit_wait_ms: int = 0
    permits_void: int = 0
    slots_waited: int = 0
    refusals: Counter[str] = msgspec.field(default_factory=Counter)
    probes: int = 0
    circuits: Counter[str] = msgspec.field(default_factory=Counter)
    local_decisions: int = 0


class FallbackCounters(msgspec.Struct):
    """`losses` is how often Redis was lost, `given_up` how many answers were not waited for any longer."""

    losses: int = 0
    given_up: int = 0
    merged: int = 0
