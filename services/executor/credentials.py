"""Opened credentials: unsealed once for each state of a connection, kept in memory alone, bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from services.executor.domain.auth import credentials_of
from services.executor.domain.base import base_of
from services.executor.domain.client_certificate import client_certificate_of
from services.executor.domain.oauth import GIVEN_FIELDS, token_client, token_url_of
from services.executor.domain.plan import ConnectorPlan
from services.executor.domain.request import Target
from services.executor.domain.scope import Scope
from services.executor.keys import Ring, no_key
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.contracts.projections import ConnectionEntry
from shared.contracts.subjects import connection_key
from shared.contracts.template import CLIENT_CERTIFICATE, origin_of
from shared.security.sealing import SealContext, SealUse

_NOTHING: Final = SealedCredentials(id="", origin="", kid="")


class Vault:
    """Turns a plan and a connection into the target of its requests.

    Credentials go only to the origin that they were sealed for: `credentials-rejected` for any other.
    """

    def __init__(
        self, ring: Ring | None, size: int = 4096, *, on_use: Callable[[ConnectionEntry], None] | None = None
    ) -> None:
        """`on_use` is told of each connection whose sealed values were opened."""
        self._ring = ring
        self._on_use = on_use
        self._size = size
        self._targets: OrderedDict[tuple[str, str, int, str], Target] = OrderedDict()

    def target_of(
        self, plan: ConnectorPlan, digest: str, enterprise: str, connection: ConnectionEntry | None
    ) -> Target:
        """The target of `connection`'s requests; the opened values are kept for the next ask."""
        if connection is None:
            return self._open(plan, _NOTHING, None)
        name = connection_key(enterprise, connection.connector, connection.name)
        key = (name, connection.id, connection.generation, digest)
        known = self._targets.get(key)
        if known is not None:
            self._targets.move_to_end(key)
            return known
        scope = Scope(enterprise, connection.owner, plan.slug, connection.id, name=connection.name)
        sealed = SealedCredentials(
            connection.id, connection.origin, connection.kid, connection.values, connection.sealed
        )
        target = self._open(plan, sealed, scope)
        if target.tokens is not None:
            tokens = msgspec.structs.replace(target.tokens, credentials=connection.credentials, stored=connection.token)
            target = msgspec.structs.replace(target, tokens=tokens)
        if self._on_use is not None and connection.sealed:
            self._on_use(connection)
        if len(self._targets) >= self._size:
            self._targets.popitem(last=False)
        self._targets[key] = target
        return target

    def forget(self, connection: str) -> None:
        """Keep nothing that was opened for the connection with this key of the bucket."""
        for key in [key for key in self._targets if key[0] == connection]:
            del self._targets[key]

    def test_target(
        self, plan: ConnectorPlan, enterprise: str, owner: str, credentials: SealedCredentials | None
    ) -> Target:
        """The target of a draft's test; nothing of it is kept."""
        if credentials is None:
            return self._open(plan, _NOTHING, None)
        return self._open(plan, credentials, Scope(enterprise, owner, plan.slug, credentials.id, draft=True))

    def _open(self, plan: ConnectorPlan, given: SealedCredentials, scope: Scope | None) -> Target:
        values = {field.name: field.default for field in plan.credential_fields if field.default is not None}
        public = {field.name for field in plan.credential_fields if not field.sensitive}
        values |= {name: value for name, value in given.values.items() if value}
        if scope is None and (plan.auth.kind != "none" or _needs_values(plan, values)):
            raise _connection_required(plan)
        shown = {name: value for name, value in values.items() if name in public}
        base, oauth = base_of(plan.base_url, shown), plan.auth.oauth
        if scope is None or (plan.auth.kind == "none" and not plan.auth.certificate):
            return Target(base, plan.auth, credentials_of(plan.auth, values))
        self._check_origin(plan, base if oauth is None else token_url_of(oauth, shown), given.origin)
        context = _context(scope, given.origin)
        values |= self._unsealed(plan, given, context)
        certificate = client_certificate_of(values) if plan.auth.certificate else None
        tokens = None
        if oauth is not None:
            tokens = token_client(
                oauth, values, public=frozenset(public), scope=scope, context=context, certificate=certificate
            )
        return Target(base, plan.auth, credentials_of(plan.auth, values), certificate, tokens)

    def _unsealed(self, plan: ConnectorPlan, given: SealedCredentials, context: SealContext) -> dict[str, str]:
        fields = (*plan.auth.fields, *(CLIENT_CERTIFICATE if plan.auth.certificate else ()))
        if context.use == "test" and plan.auth.oauth is not None:
            fields = (*fields, *GIVEN_FIELDS)
        needed = {field: given.sealed[field] for field in fields if field in given.sealed}
        if not needed:
            return {}
        if self._ring is None:
            raise no_key("open credentials with")
        return {field: self._ring.open(sealed, context.for_field(field), given.kid) for field, sealed in needed.items()}

    def _check_origin(self, plan: ConnectorPlan, receiver: str, sealed_for: str) -> None:
        origin = origin_of(receiver)
        if origin != sealed_for:
            raise DibopError(
                "credentials-rejected",
                f"The credentials are for {sealed_for}, and connector {plan.slug!r} now goes to {origin}. "
                "If they may go there, give them anew: dibop connection rotate.",
            )


def _context(scope: Scope, origin: str) -> SealContext:
    """What the credentials of a connection, or of a test session, are sealed for."""
    use: SealUse = "test" if scope.draft else "connection"
    return SealContext(use, scope.enterprise, scope.owner, scope.connector, scope.connection or "", origin)


def _needs_values(plan: ConnectorPlan, values: dict[str, str]) -> bool:
    return any(
        field.name not in values
        and (f"{{{field.name}}}" in plan.base_url or (field.required and field.name in CLIENT_CERTIFICATE))
        for field in plan.credential_fields
    )


def _connection_required(plan: ConnectorPlan) -> DibopError:
    why = "needs what only a connection has: its own address or certificate"
    if plan.auth.kind != "none":
        why = f"authenticates with {plan.auth.kind}"
    return DibopError(
        "connection-required",
        f"The connector {plan.slug!r} {why}, and there is no connection to it. Create one, then repeat the request.",
    )
