"""The course of a flight: what other workers have left, else the lock and the endpoint, and something left for all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Protocol

import structlog

from services.executor.domain.oauth import AccessToken, TokenClient, spans
from services.executor.domain.scope import Scope
from services.executor.oauth.answers import Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.shared import LEASE_MS, Found, Lock, Refusal, SharedTokens
from services.executor.resilience.types import StateUnavailableError
from shared.contracts.errors import DibopError
from shared.contracts.template import origin_of
from shared.tasks import end

FLIGHT_SECONDS: Final = 45.0
"""What a flight may take until it has a token: a wait for another worker, a token request with its repeats."""
REFUSED_MS: Final = 30_000
"""How long a refused client is not asked for again: rotated credentials are another client."""
_LOOK_SECONDS: Final = 0.05

_log = structlog.get_logger(__name__)


class Grants(Protocol):
    """Whoever asks the token endpoint."""

    async def grant(self, client: TokenClient, *, deadline: float, alone: bool) -> tuple[Granted, int]:
        """What is granted, and the generation of the refresh token that is stored by then, 0 without one.

        With `alone` no lock keeps others from asking at the same time. Raises RefusedError and DibopError.
        """
        ...


class Watcher(Protocol):
    """Whoever wants to know how connections do with their token endpoints. Nothing here may wait."""

    def refused(self, scope: Scope, credentials: int, cause: str) -> None: ...

    def granted(self, scope: Scope, credentials: int) -> None: ...


class Course:
    """Takes flights through, for one worker."""

    def __init__(self, shared: SharedTokens, grants: Grants, watcher: Watcher, counters: OAuthCounters) -> None:
        self._shared = shared
        self._grants = grants
        self._watcher = watcher
        self._counters = counters

    async def fly(self, client: TokenClient, stale: str, *, waits: bool) -> AccessToken | None:
        """A token: another worker's, or one that is asked for. None where that takes a wait and `waits` is False.

        Raises RefusedError, and DibopError for all else.
        """
        holder, end_at = secrets.token_hex(8), monotonic() + FLIGHT_SECONDS
        dead = stale if waits else ""
        while True:
            try:
                found: Found = await self._shared.take(
                    client, stale=stale, generation=client.generation, holder=holder, now=monotonic()
                )
            except StateUnavailableError as error:
                _log.warning("A token is asked for without Redis", client=client.key, reason=str(error))
                self._counters.alone += 1
                return await self._ask(client, None, end_at, dead)
            if isinstance(found, AccessToken):
                self._counters.adopted += 1
                return found
            if isinstance(found, Refusal):
                raise RefusedError(found.error, found.description)
            if isinstance(found, Lock):
                return await self._ask(client, found, end_at, dead)
            if not waits:
                return None
            if monotonic() >= end_at:
                raise _nobody_brought_one(client)
            await asyncio.sleep(min(_LOOK_SECONDS, max(found.left_ms, 1) / 1000))

    async def _ask(self, client: TokenClient, lock: Lock | None, end_at: float, dead: str) -> AccessToken:
        """A token from the endpoint, left for all where Redis is there."""
        asked = monotonic()
        try:
            async with self._keeping(client, lock):
                granted, generation = await self._grants.grant(client, deadline=end_at, alone=lock is None)
        except RefusedError as error:
            self._counters.refused += 1
            self._watcher.refused(client.scope, client.credentials, f"token endpoint: {error.error}")
            await self._leave(client, lock, Refusal(error.error, error.description), dead)
            raise
        except BaseException:
            self._counters.failed += 1
            await self._leave(client, lock, None)
            raise
        token = token_of(client, granted, generation, asked)
        self._watcher.granted(client.scope, client.credentials)
        await self._leave(client, lock, token)
        return token

    async def _leave(
        self, client: TokenClient, lock: Lock | None, what: AccessToken | Refusal | None, dead: str = ""
    ) -> None:
        if lock is None:
            return
        try:
            if isinstance(what, AccessToken):
                kept = await self._shared.leave_token(client, lock, what, monotonic())
            elif what is not None:
                kept = await self._shared.leave_refusal(
                    client, lock, what, generation=client.generation, ms=REFUSED_MS, dead=dead
                )
            else:
                kept = await self._shared.leave(client, lock)
        except StateUnavailableError as error:
            _log.warning("A token could not be left for other workers", client=client.key, reason=str(error))
            return
        if not kept:
            self._counters.late += 1
            _log.warning("A token came after its lock had ended; other workers do not get it", client=client.key)

    @asynccontextmanager
    async def _keeping(self, client: TokenClient, lock: Lock | None) -> AsyncIterator[None]:
        """Hold the lock for as long as the block takes."""
        if lock is None:
            yield
            return
        keeper = asyncio.create_task(self._keep_lock(client, lock))
        try:
            yield
        finally:
            await end(keeper)

    async def _keep_lock(self, client: TokenClient, lock: Lock) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            try:
                if not await self._shared.keep_lock(client, lock):
                    return
            except StateUnavailableError:
                continue


def token_of(client: TokenClient, granted: Granted, generation: int, asked: float) -> AccessToken:
    """What was granted to a request that went out at `asked`, the earliest time that its life can count from."""
    renew_after, usable_for = spans(granted.lifetime)
    return AccessToken(
        secrets.token_hex(8),
        granted.access_token,
        generation,
        asked,
        asked + renew_after,
        asked + usable_for,
        client.secrets,
    )


def _nobody_brought_one(client: TokenClient) -> DibopError:
    return DibopError(
        "upstream-unreachable",
        f"Another worker has asked {origin_of(client.token_url)} for an access token for {FLIGHT_SECONDS:g} s and got "
        "none yet. The operation itself was not sent. Repeat in a moment.",
        outcome="not_sent",
    )
