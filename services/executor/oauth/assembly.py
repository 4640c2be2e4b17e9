"""OAuth2 of a worker, put together, from start to stop."""

from __future__ import annotations

from typing import Any

import msgspec
from nats.aio.client import Client

from services.executor.attempts import Sender
from services.executor.keys import Ring
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.exchange import Exchanger
from services.executor.oauth.grants import TokenGrants
from services.executor.oauth.refresh_tokens import Entries, StoredRefreshTokens
from services.executor.oauth.requests import MAX_ANSWER_BYTES, TokenRequests
from services.executor.oauth.session_tokens import RefreshTokensByScope
from services.executor.oauth.shared import SharedTokens
from services.executor.oauth.tokens import Tokens
from services.executor.registry import RegistryClient
from services.executor.resilience.assembly import Resilience
from services.executor.settings import ExecutorSettings
from services.executor.transport.interface import Transport


class OAuth:
    """One for a worker. Redis may be away at any time, at the start too."""

    def __init__(
        self,
        nc: Client,
        settings: ExecutorSettings,
        *,
        transport: Transport,
        resilience: Resilience,
        connections: Entries,
        ring: Ring | None,
    ) -> None:
        self.counters = OAuthCounters()
        sender = Sender(transport, resilience.guard, resilience.bulkhead, max_bytes=MAX_ANSWER_BYTES)
        self.requests = TokenRequests(sender)
        shared = SharedTokens(settings.redis_url, ring)
        stored = StoredRefreshTokens(connections, RegistryClient(nc, settings.service_token_file), ring)
        self.refresh_tokens = RefreshTokensByScope(stored, shared)
        self.tokens = Tokens(
            shared,
            TokenGrants(self.requests, self.refresh_tokens, self.counters),
            resilience.health,
            self.counters,
        )
        self.exchanger = Exchanger(ring, self.requests, self.refresh_tokens, self.tokens, self.counters)

    async def stop(self, seconds: float) -> None:
        """Let what is under way come to its end within `seconds`."""
        await self.exchanger.stop(seconds)
        await self.tokens.stop(seconds)

    def status(self) -> dict[str, Any]:
        """For `$SRV.STATS`."""
        return msgspec.structs.asdict(self.counters)
