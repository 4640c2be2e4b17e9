"""Access tokens in Redis that are sealed to an older key: a rotation drops them, which costs one refresh each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError

from shared.contracts.unreadable import UNREADABLE

_TOKENS: Final = "oauth:*:t"
_SECONDS: Final = 5.0
_LOOKED_AT: Final = 1_000
"""Keys that Redis looks at in one step: few enough not to hold up what executions ask of it."""

_log = structlog.get_logger(__name__)


class _Kept(msgspec.Struct):
    kid: str


class OlderTokens:
    """Finds them by a look at every key: this is for rotations, never for executions."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def drop(self, active: str) -> int:
        """Drop those that are sealed to another key than `active`; the answer says how many.

        A Redis that is away keeps nothing that anybody could read: that is logged, and no failure.
        """
        dropped = 0
        try:
            async with _connected(self._url) as client:
                async for key in client.scan_iter(match=_TOKENS, count=_LOOKED_AT):
                    value = await client.get(key)
                    if value is not None and _kid(value) != active:
                        dropped += await client.delete(key)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("Access tokens of older keys stay in Redis until they end", reason=str(error))
        return dropped


def _kid(value: bytes) -> str:
    """The key that a token is sealed to; empty for what cannot be read."""
    try:
        return msgspec.json.decode(value.split(b" ", 2)[2], type=_Kept).kid
    except (*UNREADABLE, IndexError):
        return ""


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    """A client of the Redis at `url`, or of the cluster that it belongs to."""
    async with Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as client:
        if not (await client.info("cluster")).get("cluster_enabled"):
            yield client
            return
    async with RedisCluster.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as cluster:
        yield cluster
