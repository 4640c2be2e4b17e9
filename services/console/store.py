"""What consoles keep between requests: in Redis, so that any of them may serve the next one.

Entries are found by the hash of a secret that only their owner has, and are encrypted: whoever reads Redis can use none
of them, and whoever writes to it can make none up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.contracts.errors import DibopError

Kind = Literal["session", "link", "authorization", "grant", "sign-in"]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SOCKET_SECONDS: Final = 5.0


def load_key(path: Path) -> bytes:
    """The key of a file; ValueError for any other file, which quotes none of it."""
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except OSError as error:
        raise ValueError(
            f"The session key {path} cannot be read: {error.strerror}. Correct DIBOP_SESSION_KEY_FILE."
        ) from error
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is no session key. Make one with 'openssl rand -base64 {_KEY_BYTES}'.")
    return key


class Store:
    """Entries that end by themselves. Raises DibopError `overloaded` while Redis does not answer."""

    def __init__(self, url: str, key: bytes) -> None:
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_SOCKET_SECONDS, protocol=2
        )
        self._cipher = AESGCM(key)

    async def put(self, kind: Kind, secret: str, value: dict[str, Any], seconds: int) -> None:
        name, nonce = _name(kind, secret), os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, json.dumps(value).encode(), name.encode())
        async with _answered():
            await self._redis.set(name, sealed, ex=max(1, seconds))

    async def get(self, kind: Kind, secret: str) -> dict[str, Any] | None:
        name = _name(kind, secret)
        async with _answered():
            found = cast("bytes | None", await self._redis.get(name))
        return self._open(name, found)

    async def take(self, kind: Kind, secret: str) -> dict[str, Any] | None:
        """The entry, for the first and last time."""
        name = _name(kind, secret)
        async with _answered():
            found = cast("bytes | None", await self._redis.getdel(name))
        return self._open(name, found)

    async def drop(self, kind: Kind, secret: str) -> None:
        async with _answered():
            await self._redis.delete(_name(kind, secret))

    async def count(self, what: str, seconds: int) -> tuple[int, int]:
        """How often `what` has happened, this time included, in its present period; and the period's rest in ms."""
        name = f"dibop:console:count:{what}"
        async with _answered(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(name, 0, ex=seconds, nx=True)
            pipeline.incr(name)
            pipeline.pttl(name)
            _, count, rest = await pipeline.execute()
        return int(count), max(0, int(rest))

    async def ready(self) -> bool:
        try:
            async with _answered():
                return bool(await self._redis.ping())
        except DibopError:
            return False

    async def close(self) -> None:
        await self._redis.aclose()

    def _open(self, name: str, sealed: bytes | None) -> dict[str, Any] | None:
        """None, too, for what another key has encrypted."""
        if sealed is None:
            return None
        try:
            value: dict[str, Any] = json.loads(
                self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
            )
        except (InvalidTag, ValueError):
            return None
        return value


def hash_of(secret: str) -> str:
    """What a secret is known by where it must not stand itself."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _name(kind: Kind, secret: str) -> str:
    return f"dibop:console:{kind}:{hash_of(secret)}"


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise DibopError(
            "overloaded",
            "The console's Redis does not answer, so that nobody can be told from anybody else here. Repeat in a "
            "moment; requests with a token in the Authorization header do not need it.",
        ) from error
