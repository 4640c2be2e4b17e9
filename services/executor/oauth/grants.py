"""Getting a token granted: with client credentials, or with the refresh token of an authorization.

A refresh token may be good for once, and an endpoint that sees it twice may end the whole authorization. So its
successor is stored before the new access token is used by anybody. And a worker that has no lock, since Redis is away,
claims the refresh token first: it stores the same one again with the mark of a claim, by compare-and-set as ever.
Others leave a claimed token alone until another follows it, or until whoever has claimed it must be dead.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic, time
from typing import Final, Protocol

import msgspec

from services.executor.domain.oauth import ACCESS_TOKEN, DEFAULT_LIFETIME, MAX_LIFETIME, REFRESH_TOKEN, TokenClient
from services.executor.domain.timing import deadline_passed
from services.executor.oauth.answers import ENDED, Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.requests import TokenRequests
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEFAULT_CONNECTION

CLAIM_SECONDS: Final = 45.0
"""How long a claimed refresh token is left alone."""
_MOST_SUPERSEDED: Final = 10
_LOOK_SECONDS: Final = 0.1


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token as it was stored, with the generation that guards it.

    While it is `claimed`, a worker that has no lock asks with it.
    """

    value: str
    generation: int
    claimed: bool = False

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"RefreshToken({self.generation})"


class LoneToken(msgspec.Struct, frozen=True):
    """An access token that was stored, since its endpoint gave no refresh token with it. It cannot be renewed.

    `until`, in seconds of the system's clock, is its end; None where the endpoint stated none.
    """

    value: str
    generation: int
    until: float | None

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"LoneToken({self.generation})"

    def granted(self) -> Granted:
        """The token with what is left of its life; RefusedError where nothing is."""
        if self.until is None:
            return Granted(self.value, DEFAULT_LIFETIME)
        left = self.until - time()
        if left <= 0:
            raise RefusedError(ENDED, "its access token has expired, and no refresh token came with it")
        return Granted(self.value, min(left, MAX_LIFETIME), stated=left)


class SupersededError(Exception):
    """Another refresh token was stored since the one that was used."""


class RefreshTokens(Protocol):
    """Where what an authorization has brought is stored, for connections and for test sessions."""

    async def latest(self, client: TokenClient) -> RefreshToken | LoneToken | None:
        """The token that is stored now."""
        ...

    async def store(
        self, client: TokenClient, value: str, *, expected: int, scopes: str | None = None, claimed: bool = False
    ) -> int:
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

    async def grant(self, client: TokenClient, *, deadline: float, alone: bool) -> tuple[Granted, int]:
        """What is granted, and the generation of the refresh token that is stored by then, 0 without one.

        `deadline`, a time of `monotonic`, is for asking; storing may take longer. With `alone` no lock keeps others
        from asking at the same time. Raises RefusedError and DibopError.
        """
        if client.grant == "client_credentials":
            self._counters.requested += 1
            return await self._requests.client_credentials(client, deadline=deadline), 0
        if ACCESS_TOKEN in client.given and REFRESH_TOKEN not in client.given:
            return Granted(client.given[ACCESS_TOKEN], DEFAULT_LIFETIME), 0
        for _ in range(_MOST_SUPERSEDED):
            known = await self._at_rest(client, deadline)
            if isinstance(known, LoneToken):
                return known.granted(), known.generation
            try:
                return await (self._claimed if alone else self._refreshed)(client, known, deadline)
            except RefusedError:
                newer = await self._refresh_tokens.latest(client)
                if newer is None or newer.value == known.value:
                    raise
            except SupersededError:
                continue
        raise DibopError(
            "conflict",
            f"The authorization of the connection to {client.scope.connector!r} has changed again and again while its "
            "token was renewed. Nothing was sent; repeat the request.",
            outcome="not_sent",
        )

    async def _at_rest(self, client: TokenClient, deadline: float) -> RefreshToken | LoneToken:
        """The token that is stored, once nobody has a claim to it."""
        first, since = await self._refresh_tokens.latest(client), monotonic()
        known = first
        while _is_claimed(known) and known == first and monotonic() < since + CLAIM_SECONDS:
            if monotonic() >= deadline:
                raise deadline_passed()
            await asyncio.sleep(_LOOK_SECONDS)
            known = await self._refresh_tokens.latest(client)
        if known is None:
            raise _not_authorized(client)
        return known

    async def _claimed(self, client: TokenClient, known: RefreshToken, deadline: float) -> tuple[Granted, int]:
        """The same without a lock: the token is claimed, and let go again whatever comes of it."""
        store, value = self._refresh_tokens.store, known.value
        generation = await store(client, value, expected=known.generation, claimed=True)
        try:
            granted = await self._ask(client, value, deadline)
        except BaseException:
            with contextlib.suppress(SupersededError, DibopError):
                await store(client, value, expected=generation)
            raise
        following = granted.refresh_token or value
        return granted, await store(client, following, expected=generation, scopes=granted.scopes)

    async def _refreshed(self, client: TokenClient, known: RefreshToken, deadline: float) -> tuple[Granted, int]:
        granted = await self._ask(client, known.value, deadline)
        following = granted.refresh_token
        if not known.claimed and (following is None or following == known.value):
            return granted, known.generation
        generation = await self._refresh_tokens.store(
            client, following or known.value, expected=known.generation, scopes=granted.scopes
        )
        return granted, generation

    async def _ask(self, client: TokenClient, value: str, deadline: float) -> Granted:
        self._counters.refreshed += 1
        return await self._requests.refresh(client, value, deadline=deadline)


def _is_claimed(known: RefreshToken | LoneToken | None) -> bool:
    return isinstance(known, RefreshToken) and known.claimed


def _not_authorized(client: TokenClient) -> DibopError:
    scope = client.scope
    if scope.draft:
        detail = (
            f"The test of connector {scope.connector!r} has no authorization. Run "
            f"'dibop connector test {scope.connector} --authorize'."
        )
    else:
        name = "" if scope.name in {"", DEFAULT_CONNECTION} else f" --name {scope.name}"
        detail = (
            f"The connection to connector {scope.connector!r} is not authorized yet. Run "
            f"'dibop connection authorize {scope.connector}{name}', then repeat the request."
        )
    return DibopError(
        "credentials-rejected",
        detail,
        outcome="not_sent",
    )
