"""Who commands, and what the commands work with."""

from __future__ import annotations

import msgspec

from services.executor.audit import AuditTrail
from services.executor.fleet import FleetKeys
from services.executor.keys import Ring
from services.executor.oauth.exchange import Exchanger
from services.executor.probing import Prober
from services.executor.registry import RegistryClient
from services.executor.resealing import Resealer
from services.executor.resilience.circuits import CircuitDesk
from services.executor.resilience.health import HealthRecorder
from services.executor.resolve import Resolver
from shared.security.principals import Principal


class Caller(msgspec.Struct, frozen=True):
    """Who commands, for which enterprise (the subject's), in which request; `token` is their own, and verified."""

    principal: Principal
    enterprise: str
    request_id: str
    token: str

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"Caller({self.principal.subject})"


class Keys(msgspec.Struct, frozen=True):
    """The sealing keys of all workers, and what reseals to the active one."""

    fleet: FleetKeys
    resealer: Resealer


class Controls(msgspec.Struct, frozen=True):
    """What the commands work with. `keys` and `ring` are None for a worker without sealing keys."""

    resolver: Resolver
    desk: CircuitDesk
    audit: AuditTrail
    exchanger: Exchanger
    registry: RegistryClient
    prober: Prober
    health: HealthRecorder
    keys: Keys | None = None
    ring: Ring | None = None
