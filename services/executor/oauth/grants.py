"""Getting a token granted: with client credentials, or with the refresh token of an authorization.

A refresh token may be good for once: its successor is stored before the new access token is used by anybody.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from services.executor.domain.oauth import TokenClient
from services.executor.oauth.answers import Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.requests import TokenRequests
from shared.contracts.errors import DibopError

_MOST_SUPERSEDED: Final = 3


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token as it was stored, with the generation that guards it."""

    value: str
    generation: int

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"RefreshToken({self.generation})"


class SupersededError(Exception):
    """Another refresh token was stored since the one that was used."""


class RefreshTokens(Protocol):
    """Where refresh tokens are stored, for connections and for test sessions."""

    async def latest(self, client: TokenClient) -> RefreshToken | None:
        """The token that is stored now."""
        ...

    async def store(self, client: TokenClient, value: str, *, expected: int, scopes: str | None = None) -> int:
        """Store `value` where the stored one is still of generation `expected`; the new generation.

        Raises SupersededError.
        """
        ...


class TokenGrants:
    """Asks for tokens in the way of each client's grant."""

    def __init__(self, requests: TokenRequests, refresh_tokens: RefreshTokens, counters: OAuthCounters) -> None:
        self._requests = requests
        self._refresh_tokens = refresh_tokens
        self._counters = counters

    async def grant(self, client: TokenClient, *, deadline: float) -> tuple[Granted, int]:
        """What is granted, and the generation of the refresh token that is stored by then, 0 without one.

        `deadline`, a time of `monotonic`, is for asking; storing may take longer. Raises RefusedError and DibopError.
        """
        if client.grant == "client_credentials":
            self._counters.requested += 1
            return await self._requests.client_credentials(client, deadline=deadline), 0
        known: RefreshToken | None = None
        for _ in range(_MOST_SUPERSEDED):
            latest = await self._refresh_tokens.latest(client)
            if latest is None:
                raise _not_authorized(client)
            known = latest
            try:
                return await self._refreshed(client, known, deadline)
            except RefusedError:
                newer = await self._refresh_tokens.latest(client)
                if newer is None or newer.generation == known.generation:
                    raise
            except SupersededError:
                continue
        raise DibopError(
            "conflict",
            f"The authorization of the connection to {client.scope.connector!r} has changed several times while its "
            "token was renewed. Nothing was sent; repeat the request.",
            outcome="not_sent",
        )

    async def _refreshed(self, client: TokenClient, known: RefreshToken, deadline: float) -> tuple[Granted, int]:
        self._counters.refreshed += 1
        granted = await self._requests.refresh(client, known.value, deadline=deadline)
        if granted.refresh_token is None or granted.refresh_token == known.value:
            return granted, known.generation
        generation = await self._refresh_tokens.store(
            client, granted.refresh_token, expected=known.generation, scopes=granted.scopes
        )
        return granted, generation


def _not_authorized(client: TokenClient) -> DibopError:
    return DibopError(
        "credentials-rejected",
        f"The connection to connector {client.scope.connector!r} is not authorized yet. Run "
        f"'dibop connection authorize {client.scope.connector}', then repeat the request.",
        outcome="not_sent",
    )
