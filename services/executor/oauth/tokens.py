"""Access tokens of this worker's connections: at hand, or on the way, asked for once however many want them.

A token that is good is answered from memory at once. Where there is none, all who want it wait for one flight: it takes
the token that another worker has left in Redis, or the lock on asking for one, or waits for whoever has the lock.
Without Redis the flight asks by itself. A token that nears its end is renewed by a flight that nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from time import monotonic
from typing import Final

import structlog

from services.executor.domain.oauth import AccessToken, TokenClient
from services.executor.domain.timing import deadline_passed
from services.executor.oauth.answers import ENDED, Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.flight import REFUSED_MS, Course, Grants, Watcher, token_of
from services.executor.oauth.shared import SharedTokens
from services.executor.resilience.types import StateUnavailableError
from shared.contracts.errors import DibopError
from shared.contracts.template import origin_of
from shared.tasks import end, mark_seen

VAIN_SECONDS: Final = 30.0
"""How long a renewed token that was turned down at once is not renewed again for that."""
_EARLY_PAUSE: Final = 1.0
_FAILED_PAUSE: Final = 5.0

_log = structlog.get_logger(__name__)


class Tokens:
    """One for a worker. It keeps at most `size` tokens."""

    def __init__(
        self,
        shared: SharedTokens,
        grants: Grants,
        watcher: Watcher,
        counters: OAuthCounters,
        *,
        size: int = 4096,
    ) -> None:
        self._shared = shared
        self._watcher = watcher
        self._course = Course(shared, grants, watcher, counters)
        self.counters = counters
        self._size = size
        self._held: OrderedDict[str, AccessToken] = OrderedDict()
        self._flights: dict[str, asyncio.Task[AccessToken | None]] = {}
        self._refused: dict[str, tuple[float, int, DibopError]] = {}
        self._vain: dict[str, float] = {}
        self._rested: dict[str, float] = {}

    def ready(self, client: TokenClient) -> AccessToken | None:
        """The token that is at hand; one that nears its end is renewed meanwhile."""
        token = self._held.get(client.key)
        if token is None or token.generation < client.generation:
            return None
        now = monotonic()
        if now < token.renew_at:
            return token
        if now >= token.until:
            return None
        if client.key not in self._flights and now >= self._rested.get(client.key, 0.0):
            self.counters.early += 1
            self._rested[client.key] = now + _EARLY_PAUSE
            self._start(client, token.id, waits=False)
        return token

    async def obtain(self, client: TokenClient, deadline: float) -> AccessToken:
        """The token at hand, else one that is got by `deadline`, a time of `monotonic`.

        Raises `credentials-rejected` where the endpoint refuses the client, and what a request can end in otherwise.
        """
        return self.ready(client) or await self._wanted(client, "", deadline)

    async def renew(self, client: TokenClient, used: AccessToken, deadline: float) -> AccessToken:
        """Another token than `used`, which the external system did not take. Raises as `obtain`."""
        token = self.ready(client)
        if token is not None and token.id != used.id:
            return token
        self.counters.forced += 1
        try:
            return await self._wanted(client, used.id, deadline)
        except DibopError as error:
            if error.code == "credentials-rejected" and token is not None and token is self._held.get(client.key):
                del self._held[client.key]
            raise

    def keep(self, client: TokenClient, token: AccessToken) -> None:
        """Have `token` at hand from now on."""
        key = client.key
        self._held[key] = token
        self._held.move_to_end(key)
        self._refused.pop(key, None)
        while len(self._held) > self._size:
            old, _ = self._held.popitem(last=False)
            self._vain.pop(old, None)
            self._rested.pop(old, None)

    async def hand_out(self, client: TokenClient, granted: Granted, generation: int, asked: float) -> AccessToken:
        """Have this and all other workers use what was granted apart from a flight: by an authorization.

        `generation` is that of the refresh token which is stored by now, `asked` (of `monotonic`) when it was asked
        for. Where Redis is away, each worker gets a token of its own later.
        """
        token = token_of(client, granted, generation, asked)
        self.keep(client, token)
        self._watcher.granted(client.scope, client.credentials)
        try:
            await self._shared.put_token(client, token, monotonic())
        except StateUnavailableError as error:
            _log.warning("A token could not be left for other workers", client=client.key, reason=str(error))
        return token

    def in_vain(self, client: TokenClient) -> None:
        """A token that was renewed just now was turned down as well: to renew it again would not help."""
        self._vain[client.key] = monotonic() + VAIN_SECONDS

    def is_vain(self, client: TokenClient) -> bool:
        return monotonic() < self._vain.get(client.key, 0.0)

    async def stop(self, seconds: float) -> None:
        """Let flights come to their end within `seconds`, since a refresh token may be on its way; then end them."""
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=seconds)
        await end(*self._flights.values())
        await self._shared.close()

    async def _wanted(self, client: TokenClient, stale: str, deadline: float) -> AccessToken:
        self.counters.waited += 1
        try:
            async with asyncio.timeout(deadline - monotonic()) as limit:
                while True:
                    self._check_refused(client)
                    flight = self._flights.get(client.key) or self._start(client, stale, waits=True)
                    token = await _outcome(flight)
                    if token is not None and token.id != stale and token.generation >= client.generation:
                        return token
        except TimeoutError:
            if not limit.expired():
                raise
            raise deadline_passed() from None

    def _check_refused(self, client: TokenClient) -> None:
        until, generation, error = self._refused.get(client.key, (0.0, 0, None))
        if error is not None and monotonic() < until and generation >= client.generation:
            raise _again(error)

    def _start(self, client: TokenClient, stale: str, *, waits: bool) -> asyncio.Task[AccessToken | None]:
        flight = asyncio.create_task(self._fly(client, stale, waits=waits))
        self._flights[client.key] = flight
        flight.add_done_callback(mark_seen)
        return flight

    async def _fly(self, client: TokenClient, stale: str, *, waits: bool) -> AccessToken | None:
        """A token; None where it was not worth waiting for."""
        try:
            token = await self._course.fly(client, stale, waits=waits)
        except RefusedError as refused:
            raise self._refusal(client, refused) from None
        except Exception as error:
            if not waits:
                self._rested[client.key] = monotonic() + _FAILED_PAUSE
                _log.warning("A token could not be renewed before its end", client=client.key, reason=str(error))
            raise
        finally:
            del self._flights[client.key]
        if token is not None:
            self.keep(client, token)
        return token

    def _refusal(self, client: TokenClient, refused: RefusedError) -> DibopError:
        error = refused_error(client, refused)
        if len(self._refused) > self._size:
            self._refused.clear()
        self._refused[client.key] = (monotonic() + REFUSED_MS / 1000, client.generation, error)
        return error


def refused_error(client: TokenClient, refused: RefusedError) -> DibopError:
    """The error of requests whose connection is refused by its token endpoint."""
    if refused.error == ENDED:
        return DibopError(
            "credentials-rejected",
            f"The connection's authorization has ended: {refused.description}. Authorize the connection again.",
            outcome="not_sent",
        )
    mend = (
        "Authorize the connection again, or rotate its credentials."
        if client.grant == "authorization_code"
        else "Rotate the connection's credentials, or have the endpoint's operator look at the client."
    )
    return DibopError(
        "credentials-rejected",
        f"The token endpoint at {origin_of(client.token_url)} refuses the connection ({refused.said}). {mend}",
        outcome="not_sent",
    )


async def _outcome(flight: asyncio.Task[AccessToken | None]) -> AccessToken | None:
    """What the flight ends in. One caller's deadline must not end it, since others wait for it as well."""
    try:
        return await asyncio.shield(flight)
    except DibopError as error:
        raise _again(error) from error


def _again(error: DibopError) -> DibopError:
    """The same error for one more request."""
    return DibopError(error.code, error.detail, retry_after_ms=error.retry_after_ms, outcome=error.outcome)
