"""Template documents for tests, and connections to them."""

from __future__ import annotations

import uuid
from typing import Any

from shared.contracts.commands import CreateConnection
from shared.security.sealing import KeyRing, SealContext, masked_tail

ORIGIN = "https://api.example.com:443"


def document(slug: str | None = "weather", **changes: Any) -> dict[str, Any]:
    """A valid template with two operations and an API key; `changes` replace top-level fields, None takes one out."""
    made: dict[str, Any] = {
        "name": "Weather",
        "slug": slug,
        "type": "General",
        "description": "The weather, now and tomorrow.",
        "base_url": "https://api.example.com",
        "auth_type": "api_key",
        "credential_schema": {
            "api_key": {"label": "API key", "type": "password", "required": True, "sensitive": True},
            "account": {"label": "Account", "required": False},
        },
        "operations": [operation("now"), operation("tomorrow")],
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def operation(name: str, **changes: Any) -> dict[str, Any]:
    """A GET operation with one required query parameter."""
    return {
        "operation": name,
        "description": f"The weather {name}.",
        "method": "GET",
        "path": f"/{name}",
        "parameters": [{"name": "q", "location": "query", "type": "string", "required": True}],
        "response_schema": {"type": "object"},
        **changes,
    }


def connection(
    enterprise: str = "acme",
    owner: str = "acme",
    *,
    connector: str = "weather",
    secret: str = "correct-horse-battery",
    ring: KeyRing | None = None,
    **changes: Any,
) -> CreateConnection:
    """A connection to `document()`, its API key sealed as the client seals it."""
    key = (ring or KeyRing.generate()).sealing_key
    identifier = str(uuid.uuid4())
    context = SealContext("connection", enterprise, owner, connector, identifier, ORIGIN)
    command = CreateConnection(
        connector=connector,
        id=identifier,
        owner=owner,
        origin=ORIGIN,
        kid=key.kid,
        sealed=key.seal_all({"api_key": secret}, context),
        masked={"api_key": masked_tail(secret)},
    )
    return command.model_copy(update=changes)
