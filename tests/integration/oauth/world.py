"""Connectors and connections with oauth2, and the registry's part in refresh tokens."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.executor.world import Bus, get
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET


@dataclass
class OAuthBus(Bus):
    """What registry, publisher and callers do. `base_url` is the OAuth2 server's, with the API behind it."""

    async def connector(self, *, grant: str = "client_credentials", connect: bool = True, **changes: Any) -> str:
        """Publish a connector with an API that wants a token, and connect to it; the answer is its slug."""
        slug = f"o{uuid.uuid4().hex[:12]}"
        auth: dict[str, Any] = {"auth_type": "oauth2", "grant_type": grant, "token_url": f"{self.base_url}/token"}
        if grant == "authorization_code":
            auth["authorization_url"] = f"{self.base_url}/authorize"
        operations = [
            get("me", "/api/me"),
            get("forbidding", "/api/forbidding"),
            get("always_401", "/api/always-401"),
            get("echo", "/api/echo"),
            {"operation": "create", "method": "POST", "path": "/api/me", "parameters": []},
        ]
        await self.publish(slug, *operations, **auth, **changes)
        if connect:
            await self.connect(slug)
        return slug

    async def connect(
        self,
        slug: str,
        secrets: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """With the client's own credentials, unless others are given."""
        secrets = {"client_secret": CLIENT_SECRET} if secrets is None else secrets
        await super().connect(slug, secrets, {"client_id": CLIENT_ID, **(values or {})}, **options)

    async def me(self, slug: str, **options: Any) -> dict[str, Any]:
        """Whom the API takes the caller for."""
        answer = await self.execute(slug, "me", **options)
        assert answer["status_code"] == 200, answer
        response: dict[str, Any] = answer["response"]
        return response
