"""Who commands, and what the commands work with."""

from __future__ import annotations

import msgspec

from services.executor.audit import AuditTrail
from services.executor.resilience.circuits import CircuitDesk
from services.executor.resolve import Resolver
from shared.security.principals import Principal


class Caller(msgspec.Struct, frozen=True):
    """Who commands, for which enterprise (the subject's), in which request."""

    principal: Principal
    enterprise: str
    request_id: str


class Controls(msgspec.Struct, frozen=True):
    """What the commands work with."""

    resolver: Resolver
    desk: CircuitDesk
    audit: AuditTrail
