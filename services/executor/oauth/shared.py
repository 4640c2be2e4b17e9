"""What all workers share about tokens, in Redis: sealed access tokens, refusals, and the lock on asking for a token.

The lock is a lease with a fence: a number that grows with each holder. A holder that was stalled for longer than its
lease comes back with a number that is not the latest, and what it brings is refused.
"""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import AskError, NoScriptError

from services.executor.domain.oauth import ACCESS_TOKEN, REFRESH_TOKEN, AccessToken, TokenClient
from services.executor.keys import Ring
from services.executor.resilience.connection import LostError, packed
from services.executor.resilience.nodes import ASKING, Nodes
from services.executor.resilience.trouble import unavailable
from shared.contracts.errors import DibopError
from shared.contracts.unreadable import UNREADABLE

LEASE_MS: Final = 5_000
"""How long the lock outlives a holder that was killed."""
ANSWER_SECONDS: Final = 0.5
_MOST_REDIRECTIONS: Final = 3


class Kept(msgspec.Struct, frozen=True):
    """A token in Redis, used until its key ends. `usable_ms` and `renew_ms` count from when it was made."""

    kid: str
    sealed: str
    usable_ms: int
    renew_ms: int


class Refusal(msgspec.Struct, frozen=True):
    """What the endpoint said when it refused the client."""

    error: str
    description: str = ""


class Lock(msgspec.Struct, frozen=True):
    """Leave to ask for a token. `holder` is this time's, nobody else's."""

    holder: str
    fence: str


class Wait(msgspec.Struct, frozen=True):
    """Another worker asks already; its lease ends in `left_ms` unless it is renewed."""

    left_ms: int


Found = AccessToken | Refusal | Lock | Wait
_decode_kept: Final = msgspec.json.Decoder(Kept).decode
_decode_refusal: Final = msgspec.json.Decoder(Refusal).decode


class SharedTokens:
    """Raises `StateUnavailableError` wherever Redis does not answer within half a second."""

    def __init__(self, url: str, ring: Ring | None) -> None:
        self._nodes = Nodes(url)
        self._ring = ring

    async def take(self, client: TokenClient, *, stale: str, generation: int, holder: str, now: float) -> Found:
        """What there is, else the lock.

        A token whose id is `stale`, or that is older than `generation`, will not do. `now` is `monotonic`.
        """
        arguments = (stale, generation, holder, LEASE_MS)
        kind, value, left_ms = await self._run("take", _keys(client), arguments)
        if kind == b"lock":
            return Lock(holder, value.decode())
        if kind == b"wait":
            return Wait(left_ms)
        if kind == b"refusal":
            return _decode_refusal(value.split(b" ", 2)[2])
        token = self._opened(client, value, now + left_ms / 1000)
        if token is not None:
            return token
        unread = value.partition(b" ")[0].decode()
        return await self.take(client, stale=unread, generation=generation, holder=holder, now=now)

    async def keep_lock(self, client: TokenClient, lock: Lock) -> bool:
        """Hold the lock for another lease; False where it is lost."""
        kind, _, _ = await self._run("keep", _keys(client)[2:3], (lock.holder, LEASE_MS))
        return bool(kind == b"done")

    async def leave_token(self, client: TokenClient, lock: Lock, token: AccessToken, now: float) -> bool:
        """Give the lock back with a token for all; False, and nothing is left, where another has the lock by now."""
        left_ms, value = _ms(token.until - now), self._sealed(client, token)
        if value is None or left_ms <= 0:
            return await self.leave(client, lock)
        return await self._finish(client, lock, "token", value, left_ms, "")

    async def put_token(self, client: TokenClient, token: AccessToken, now: float) -> None:
        """A token for all, from whoever needed no lock, since an authorization has brought it.

        One of a later generation stays.
        """
        left_ms, value = _ms(token.until - now), self._sealed(client, token)
        if value is not None and left_ms > 0:
            await self._run("put", _keys(client)[:2], (token.generation, value, left_ms))

    async def leave_refusal(
        self, client: TokenClient, lock: Lock, refusal: Refusal, *, generation: int, ms: int, dead: str
    ) -> bool:
        """Give the lock back, and have nobody ask again for `ms` milliseconds; the token with the id `dead` goes."""
        value = f"- {generation} {msgspec.json.encode(refusal).decode()}"
        return await self._finish(client, lock, "refusal", value, ms, dead)

    async def leave(self, client: TokenClient, lock: Lock) -> bool:
        """Give the lock back with nothing."""
        return await self._finish(client, lock, "", "", 0, "")

    async def session_token(self, client: TokenClient) -> tuple[int, str]:
        """The refresh token that a test session has by now, after its generation; 0 and nothing where it has none."""
        _, value, _ = await self._run("look", (_session_key(client),), ())
        if not value or self._ring is None:
            return 0, ""
        generation, kid, sealed = value.decode().split(" ", 2)
        return int(generation), self._ring.open(sealed, client.context.for_field(REFRESH_TOKEN), kid)

    async def keep_session_token(self, client: TokenClient, value: str, *, expected: int, seconds: int) -> int:
        """The new generation; 0 where another one has come since `expected`, or there is no key to seal with."""
        if self._ring is None:
            return 0
        key = self._ring.sealing_key
        sealed = f"{key.kid} {key.seal(value, client.context.for_field(REFRESH_TOKEN))}"
        _, _, generation = await self._run("session", (_session_key(client),), (expected, sealed, seconds * 1000))
        return int(generation)

    async def close(self) -> None:
        await self._nodes.close()

    def _sealed(self, client: TokenClient, token: AccessToken) -> str | None:
        """The token as it lies in Redis; None where this worker has no key to seal it with."""
        if self._ring is None:
            return None
        key = self._ring.sealing_key
        sealed = key.seal(token.value, client.context.for_field(ACCESS_TOKEN))
        kept = Kept(key.kid, sealed, _ms(token.until - token.made), _ms(token.renew_at - token.made))
        return f"{token.id} {token.generation} {msgspec.json.encode(kept).decode()}"

    def _opened(self, client: TokenClient, value: bytes, until: float) -> AccessToken | None:
        """The token; None where this worker cannot read it."""
        identifier, generation, packed_kept = value.split(b" ", 2)
        try:
            kept = _decode_kept(packed_kept)
            if self._ring is None:
                return None
            opened = self._ring.open(kept.sealed, client.context.for_field(ACCESS_TOKEN), kept.kid)
        except (*UNREADABLE, DibopError):
            return None
        made = until - kept.usable_ms / 1000
        renew_at = made + kept.renew_ms / 1000
        return AccessToken(identifier.decode(), opened, int(generation), made, renew_at, until, client.secrets)

    async def _finish(self, client: TokenClient, lock: Lock, *left: str | int) -> bool:
        """`left` is what it is, its text, how long it stays in milliseconds, and the id of a token that goes."""
        kind, _, _ = await self._run("finish", _keys(client), (lock.fence, lock.holder, *left))
        return bool(kind == b"done")

    async def _run(self, script: str, keys: tuple[str, ...], arguments: tuple[str | int, ...]) -> list[Any]:
        """A script's answer. A connection that turns out to be broken is made anew once: Redis may be there again.

        Every script may run twice: the second time it finds its own lock, token or refusal.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    return await self._answer(script, keys, arguments)
                except LostError:
                    return await self._answer(script, keys, arguments)
        except LostError as error:
            raise unavailable(str(error)) from error
        except TimeoutError:
            raise unavailable(f"no answer within {ANSWER_SECONDS:g} s") from None

    async def _answer(self, script: str, keys: tuple[str, ...], arguments: tuple[str | int, ...]) -> list[Any]:
        source, sha = _script(script)
        rest = (len(keys), *keys, *arguments)
        line, command = self._nodes.line(keys[0]), packed("EVALSHA", sha, *rest)
        answer: Any = None
        for _ in range(_MOST_REDIRECTIONS + 1):
            answer = await line.say(command)
            if isinstance(answer, NoScriptError):
                command = packed("EVAL", source, *rest)
            elif isinstance(answer, AskError):
                line = await self._nodes.redirected(answer)
                line.say(ASKING)
            else:
                break
        if not isinstance(answer, list):
            raise unavailable(str(answer))
        return answer


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


@cache
def _script(name: str) -> tuple[str, str]:
    source = (Path(__file__).parent / f"{name}.lua").read_text()
    return source, sha1(source.encode(), usedforsecurity=False).hexdigest()


def _session_key(client: TokenClient) -> str:
    return f"oauth:{client.key}:r"


def _keys(client: TokenClient) -> tuple[str, ...]:
    """Token, refusal, lock and fence. The connection in braces is the hash tag; one lock is for one refresh token."""
    connection = client.key.partition(":")[0]
    lock = f"oauth:{client.key}" if client.grant == "client_credentials" else f"oauth:{connection}"
    return f"oauth:{client.key}:t", f"oauth:{client.key}:x", f"{lock}:l", f"{lock}:f"
