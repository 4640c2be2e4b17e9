"""Clients of a token endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.executor.domain.oauth import TokenClient, token_client
from services.executor.domain.plan import OAuthPlan
from services.executor.domain.scope import Scope
from shared.security.sealing import SealContext

PLAN: Final = OAuthPlan("client_credentials", "https://auth.example.com/token", "basic", "read")
SCOPE: Final = Scope("acme", "platform", "shop", "c-1", name="default")
VALUES: Final = {"client_id": "id", "client_secret": "a-real-secret"}
_CONTEXT: Final = SealContext("connection", "acme", "platform", "shop", "c-1", "https://auth.example.com:443")


def client(values: Mapping[str, str] | None = None, scope: Scope = SCOPE, **plan: Any) -> TokenClient:
    """The client of a connection with these values, with other things in its plan."""
    return token_client(
        msgspec.structs.replace(PLAN, **plan),
        VALUES if values is None else values,
        public=frozenset({"client_id", "area", "token_url"}),
        scope=scope,
        context=_CONTEXT,
    )
