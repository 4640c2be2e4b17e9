"""Exchanging an authorization code: what it brings is stored for good first, and only then used by anybody.

A code is good for once, so whatever can be found out before is: whether this very code is for this connection, and
whether its tokens could be stored.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic, time
from typing import Annotated, Any, Final, Protocol

import msgspec

from services.executor.domain.oauth import ACCESS_TOKEN, GIVEN_FIELDS, REFRESH_TOKEN, TokenClient
from services.executor.keys import Ring, no_key
from services.executor.oauth.answers import Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.grants import SupersededError
from services.executor.oauth.refresh_tokens import lone
from services.executor.oauth.requests import TokenRequests
from services.executor.oauth.tokens import Tokens
from shared.contracts.clock import spelled
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.contracts.template import origin_of
from shared.contracts.unreadable import UNREADABLE
from shared.security.authorization import AUTHORIZATION_CODE
from shared.security.redaction import keep_out_too
from shared.tasks import end, mark_seen

EXCHANGE_SECONDS: Final = 25.0
STORE_SECONDS: Final = 10.0
"""How long whoever authorizes waits for the tokens to be stored; storing itself is tried for longer."""
_MOST_SUPERSEDED: Final = 10
_WRONG_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})


class _Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was sealed: the code, and the verifier of PKCE (RFC 7636, 4.1)."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
    verifier: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}$")] | None = None


class Authorized(msgspec.Struct, frozen=True):
    """What an authorization has brought. `tokens` are for test sessions alone, by their field.

    `expires_at` is when it ends by itself, None where it is renewed or where the endpoint states no end.
    """

    generation: int
    scopes: str
    refreshable: bool
    expires_at: str | None
    tokens: dict[str, str]

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"Authorized({self.generation})"


class Authorizations(Protocol):
    """Where what an authorization has brought is stored."""

    async def generation(self, client: TokenClient) -> int: ...

    async def store(self, client: TokenClient, value: str, *, expected: int, scopes: str | None = None) -> int: ...


class Exchanger:
    """One for a worker."""

    def __init__(
        self,
        ring: Ring | None,
        requests: TokenRequests,
        authorizations: Authorizations,
        tokens: Tokens,
        counters: OAuthCounters,
    ) -> None:
        self._ring = ring
        self._requests = requests
        self._authorizations = authorizations
        self._tokens = tokens
        self._counters = counters
        self._storing: set[asyncio.Task[int]] = set()

    async def exchange(
        self, client: TokenClient, sealed: str, kid: str, *, redirect_uri: str, pkce: bool = True
    ) -> Authorized:
        """Exchange the sealed code for tokens, store them, and have all workers use them.

        Raises `invalid-request` for what is no code of this connection, `credentials-rejected` where the endpoint
        does not take it, and what a token request can end in otherwise. Nothing is stored then.
        """
        offer = self._opened(client, sealed, kid)
        if pkce and offer.verifier is None:
            raise DibopError(
                "invalid-request",
                f"The code of connector {client.scope.connector!r} came without a PKCE verifier. Authorize again.",
            )
        await self._authorizations.generation(client)
        asked = monotonic()
        self._counters.exchanged += 1
        try:
            granted = await self._requests.exchange(
                client,
                offer.code,
                verifier=offer.verifier,
                redirect_uri=redirect_uri,
                deadline=asked + EXCHANGE_SECONDS,
            )
        except RefusedError as error:
            raise _refused(client, error, redirect_uri) from None
        keep_out_too(granted.access_token, *([granted.refresh_token] if granted.refresh_token else []))
        scopes = client.scopes if granted.scopes is None else granted.scopes
        generation = await self._stored(client, granted, scopes)
        await self._tokens.hand_out(client, granted, generation, asked)
        return Authorized(
            generation,
            scopes,
            granted.refresh_token is not None,
            _end(granted),
            _brought(granted) if client.scope.draft else {},
        )

    def with_tokens(
        self, client: TokenClient, given: SealedCredentials, tokens: Mapping[str, str]
    ) -> SealedCredentials:
        """A test session's credentials with `tokens` in place of earlier ones, all sealed to the active key."""
        if self._ring is None:
            raise no_key("open the code with")
        key, context = self._ring.sealing_key, dataclasses.replace(client.context, use="test")
        opened = {
            field: self._ring.open(sealed, context.for_field(field), given.kid)
            for field, sealed in given.sealed.items()
            if field not in GIVEN_FIELDS
        }
        return msgspec.structs.replace(given, kid=key.kid, sealed=key.seal_all({**opened, **tokens}, context))

    async def stop(self, seconds: float) -> None:
        """Let tokens be stored for `seconds` more; what is not by then is lost, and authorized again."""
        if self._storing:
            await asyncio.wait(self._storing, timeout=seconds)
        await end(*self._storing)

    def _opened(self, client: TokenClient, sealed: str, kid: str) -> _Offer:
        if self._ring is None:
            raise no_key("open the code with")
        try:
            opened = self._ring.open(sealed, client.context.for_field(AUTHORIZATION_CODE), kid)
            return msgspec.json.decode(opened, type=_Offer)
        except DibopError as error:
            raise DibopError(
                "invalid-request",
                f"The code cannot be opened: it was not sealed for connector {client.scope.connector!r}, this "
                f"connection and {client.context.origin}, or to a key that executors hold. Authorize again.",
            ) from error
        except UNREADABLE:
            raise DibopError(
                "invalid-request",
                'What is sealed is no authorization code. Seal the JSON {"code": …, "verifier": …}, with a verifier '
                "of 43 to 128 characters.",
            ) from None

    async def _stored(self, client: TokenClient, granted: Granted, scopes: str) -> int:
        """The generation of what is stored. Whoever waits is told in time; storing goes on."""
        if client.scope.draft and granted.refresh_token is None:
            return 0
        storing = asyncio.create_task(self._store(client, _kept(granted), scopes))
        self._storing.add(storing)
        storing.add_done_callback(self._let_go)
        await asyncio.wait({storing}, timeout=STORE_SECONDS)
        if not storing.done():
            raise DibopError(
                "overloaded",
                f"The code was exchanged, and the registry has not taken its tokens in {STORE_SECONDS:g} s. They are "
                "offered to it for a while: look with 'dibop connection show', and authorize again if they are not "
                "there in 15 minutes.",
            )
        return storing.result()

    async def _store(self, client: TokenClient, value: str, scopes: str) -> int:
        """A new authorization takes the place of whatever was stored meanwhile by renewing the old one."""
        for _ in range(_MOST_SUPERSEDED):
            expected = await self._authorizations.generation(client)
            try:
                return await self._authorizations.store(client, value, expected=expected, scopes=scopes)
            except SupersededError:
                continue
        raise DibopError(
            "conflict",
            f"The tokens of the connection to {client.scope.connector!r} have changed again and again, so that these "
            "could not be stored. Authorize again.",
        )

    def _let_go(self, storing: asyncio.Task[Any]) -> None:
        self._storing.discard(storing)
        mark_seen(storing)


def _kept(granted: Granted) -> str:
    if granted.refresh_token is not None:
        return granted.refresh_token
    return lone(granted.access_token, None if granted.stated is None else time() + granted.stated)


def _brought(granted: Granted) -> dict[str, str]:
    if granted.refresh_token is not None:
        return {REFRESH_TOKEN: granted.refresh_token}
    return {ACCESS_TOKEN: granted.access_token}


def _end(granted: Granted) -> str | None:
    if granted.refresh_token is not None or granted.stated is None:
        return None
    try:
        return spelled(datetime.now(UTC) + timedelta(seconds=granted.stated))
    except OverflowError:
        return None


def _refused(client: TokenClient, error: RefusedError, redirect_uri: str) -> DibopError:
    if error.error == "invalid_grant":
        why = (
            "A code is good once and for a short time, and only with the PKCE verifier and the redirect_uri "
            f"({redirect_uri}) that it was asked for with. Authorize again."
        )
    elif error.error in _WRONG_CLIENT:
        why = "Check client_id, client_secret and token_auth_method; rotate the credentials, then authorize again."
    else:
        why = f"Check how the client is registered there, its redirect_uri ({redirect_uri}) above all; authorize again."
    return DibopError(
        "credentials-rejected",
        f"The token endpoint at {origin_of(client.token_url)} does not take the authorization code "
        f"({error.said}). {why} Nothing was stored.",
    )
