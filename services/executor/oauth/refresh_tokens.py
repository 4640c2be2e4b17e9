"""Refresh tokens where they last: at the registry, sealed, each write guarded by the generation that it replaces.

Where an endpoint gives no refresh token, its access token stands in the same place.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
import structlog
from nats.errors import Error as NatsError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from services.executor.domain.oauth import REFRESH_TOKEN, TokenClient
from services.executor.keys import Ring, no_key
from services.executor.oauth.grants import LoneToken, RefreshToken, SupersededError
from shared.contracts.commands import StoreToken, TokenStored
from shared.contracts.errors import DibopError
from shared.contracts.projections import ConnectionEntry, StoredToken
from shared.contracts.subjects import connection_key
from shared.security.redaction import keep_out_too

KEPT_SECONDS: Final = 900.0
"""How long a refresh token that cannot be stored is offered to the registry: it exists nowhere else."""
_ANSWER_SECONDS: Final = 3.0
_LONGEST_PAUSE: Final = 5.0
_CLAIMED: Final = "\0claimed\0"
"""Before a refresh token that is claimed; no token holds a NUL."""
_LONE: Final = "\0access\0"
"""Before an access token that is all there is, as the JSON of `_Lone`."""
_PASSING: Final = frozenset({"overloaded", "deadline-exceeded", "internal", "rate-limited"})

_log = structlog.get_logger(__name__)


class Entries(Protocol):
    """The connections as the bucket has them now."""

    async def read(self, key: str) -> ConnectionEntry | None: ...


class Registry(Protocol):
    """Whoever stores refresh tokens for good."""

    async def store_token(self, enterprise: str, command: StoreToken, *, seconds: float = ...) -> TokenStored: ...


class _Lone(msgspec.Struct, frozen=True):
    access_token: str
    until: float | None


def lone(access_token: str, until: float | None) -> str:
    """What is stored where there is no refresh token; `until` as `LoneToken` has it."""
    return _LONE + msgspec.json.encode(_Lone(access_token, until)).decode()


class StoredRefreshTokens:
    """`RefreshTokens` of connections."""

    def __init__(self, entries: Entries, registry: Registry, ring: Ring | None) -> None:
        self._entries = entries
        self._registry = registry
        self._ring = ring

    async def generation(self, client: TokenClient) -> int:
        """The generation of what is stored now; 0 for nothing."""
        stored = await self._stored(client)
        return 0 if stored is None else stored.generation

    async def latest(self, client: TokenClient) -> RefreshToken | LoneToken | None:
        stored = await self._stored(client)
        if stored is None or self._ring is None:
            return None
        opened = self._ring.open(stored.sealed, client.context.for_field(REFRESH_TOKEN), stored.kid)
        if opened.startswith(_LONE):
            kept = msgspec.json.decode(opened.removeprefix(_LONE), type=_Lone)
            keep_out_too(kept.access_token)
            return LoneToken(kept.access_token, stored.generation, kept.until)
        return RefreshToken(opened.removeprefix(_CLAIMED), stored.generation, opened.startswith(_CLAIMED))

    async def store(
        self, client: TokenClient, value: str, *, expected: int, scopes: str | None = None, claimed: bool = False
    ) -> int:
        """See `RefreshTokens.store`. It is repeated for 15 minutes where the registry is away."""
        sent: set[str] = set()

        async def offer() -> int:
            command = self._command(client, value, expected=expected, scopes=scopes, claimed=claimed)
            sent.add(command.sealed)
            try:
                answer = await self._registry.store_token(client.scope.enterprise, command, seconds=_ANSWER_SECONDS)
            except DibopError as error:
                if error.code != "conflict":
                    raise
                return await self._settled(client, sent, expected, error)
            return answer.generation

        try:
            return await AsyncRetrying(
                retry=retry_if_exception(_is_passing),
                wait=wait_exponential_jitter(multiplier=0.1, max=_LONGEST_PAUSE, jitter=0.1),
                stop=stop_after_delay(KEPT_SECONDS),
                reraise=True,
            )(offer)
        except DibopError as error:
            _log.error("A refresh token could not be stored, and is lost", client=client.key, reason=error.detail)
            raise

    def _command(
        self, client: TokenClient, value: str, *, expected: int, scopes: str | None, claimed: bool
    ) -> StoreToken:
        """Sealed anew each time: the key may have been rotated since the last."""
        if self._ring is None:
            raise no_key("seal tokens with")
        key, scope = self._ring.sealing_key, client.scope
        return StoreToken(
            connector=scope.connector,
            name=scope.name,
            id=scope.connection or "",
            expected=expected,
            credentials=client.credentials,
            kid=key.kid,
            sealed=key.seal(_CLAIMED + value if claimed else value, client.context.for_field(REFRESH_TOKEN)),
            scopes=scopes,
        )

    async def _settled(self, client: TokenClient, sent: set[str], expected: int, error: DibopError) -> int:
        """The generation, where what is stored by now is ours after all, since an answer was lost.

        Where nothing has been stored meanwhile, the conflict is about the key: `overloaded`, to be tried again.
        """
        stored = await self._stored(client)
        if stored is not None and stored.sealed in sent:
            return stored.generation
        if (stored.generation if stored is not None else 0) == expected:
            raise DibopError("overloaded", error.detail) from error
        raise SupersededError from error

    async def _stored(self, client: TokenClient) -> StoredToken | None:
        """The token of this very connection; `conflict` where that has other credentials by now, or is gone."""
        scope = client.scope
        try:
            entry = await self._entries.read(connection_key(scope.enterprise, scope.connector, scope.name))
        except (NatsError, OSError, TimeoutError) as error:
            raise DibopError(
                "internal",
                "The connection's entry could not be read, so its token was not renewed and nothing was sent. "
                "Repeat in a moment.",
                outcome="not_sent",
            ) from error
        if entry is None or entry.id != scope.connection or entry.credentials != client.credentials:
            raise DibopError(
                "conflict",
                f"The connection {scope.name!r} to connector {scope.connector!r} was changed while its token was "
                "renewed. Nothing was sent; repeat the request.",
                outcome="not_sent",
            )
        return entry.token


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, OSError) or (isinstance(error, DibopError) and error.code in _PASSING)
