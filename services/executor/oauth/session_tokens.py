"""Refresh tokens of test sessions: brought along by the test, and what follows them sealed in Redis, for hours."""

from __future__ import annotations

from typing import Final

from services.executor.domain.oauth import REFRESH_TOKEN, TokenClient
from services.executor.oauth.grants import LoneToken, RefreshToken, SupersededError
from services.executor.oauth.refresh_tokens import StoredRefreshTokens
from services.executor.oauth.shared import SharedTokens
from services.executor.resilience.types import StateUnavailableError
from shared.contracts.errors import DibopError

SESSION_SECONDS: Final = 8 * 3600
"""As long as test credentials are kept."""


class RefreshTokensByScope:
    """`RefreshTokens` of connections where they are stored for good, and of test sessions where they are not."""

    def __init__(self, stored: StoredRefreshTokens, shared: SharedTokens) -> None:
        self._stored = stored
        self._shared = shared

    async def generation(self, client: TokenClient) -> int:
        """The generation of what is stored now; 0 for nothing."""
        if not client.scope.draft:
            return await self._stored.generation(client)
        try:
            return (await self._shared.session_token(client))[0]
        except StateUnavailableError as error:
            raise _needs_redis(error) from error

    async def latest(self, client: TokenClient) -> RefreshToken | LoneToken | None:
        if not client.scope.draft:
            return await self._stored.latest(client)
        try:
            generation, value = await self._shared.session_token(client)
        except StateUnavailableError as error:
            raise _needs_redis(error) from error
        value = value or client.given.get(REFRESH_TOKEN, "")
        return RefreshToken(value, generation) if value else None

    async def store(
        self, client: TokenClient, value: str, *, expected: int, scopes: str | None = None, claimed: bool = False
    ) -> int:
        """See `RefreshTokens.store`. The token of a session has the session's lock, and needs no claim."""
        if not client.scope.draft:
            return await self._stored.store(client, value, expected=expected, scopes=scopes, claimed=claimed)
        try:
            generation = await self._shared.keep_session_token(
                client, value, expected=expected, seconds=SESSION_SECONDS
            )
        except StateUnavailableError as error:
            raise _needs_redis(error) from error
        if not generation:
            raise SupersededError
        return generation


def _needs_redis(error: StateUnavailableError) -> DibopError:
    return DibopError(
        "overloaded",
        f"The tokens of a test's authorization are kept in Redis, which cannot be asked: {error} Repeat when it can.",
        outcome="not_sent",
    )
