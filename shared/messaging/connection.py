"""Connections to NATS: one set of options for every process.

A connection of ours reconnects for ever, names itself, keeps to its user's inbox prefix, and turns what the
server refuses into sentences in the log: nats-py reports a refused publish nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from nats.errors import Error as NatsError

from shared.messaging.natspy import MendedClient, TlsFilesError, tls_options
from shared.settings import BusSettings

_log = structlog.get_logger(__name__)

_RECONNECT_WAIT_SECONDS: Final = 0.25
_PING_SECONDS: Final = 20
_REPEAT_LOG_SECONDS: Final = 10.0
_REFUSED: Final = "permissions violation"
_UNAUTHORISED: Final = "authorization violation"
"""Told once; the attempts after it may end in no more than a closed connection."""


class BusUnreachableError(Exception):
    """No NATS server let us in within the time that the caller gave, or there is nothing to show it."""


class BusClient(MendedClient):
    """A NATS connection that others can watch.

    `closed` is set when the connection is over for good, whether we closed it or the server ended it
    (credentials withdrawn, for one); everything less is reconnected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self.given_up = False
        self._listeners: list[Callable[[], None]] = []

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every reconnect; the answer takes it off again. It must not block or raise."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def close(self) -> None:
        self.given_up = True
        await super().close()

    def tell_reconnected(self) -> None:
        for listener in list(self._listeners):
            listener()


async def connect(
    settings: BusSettings, *, name: str, wait_seconds: float | None = None, drain_seconds: float = 30.0
) -> BusClient:
    """Connect as `name`.

    Waits for a server for ever, as services must, or raises BusUnreachableError after `wait_seconds`.
    `drain_seconds` bounds `drain()`.
    """
    if settings.nats_creds is not None and not settings.nats_creds.is_file():
        raise BusUnreachableError(
            f"The credentials file {settings.nats_creds} does not exist. Correct DIBOP_NATS_CREDS, or make the user."
        )
    try:
        tls = tls_options(settings.nats_url, settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key)
    except TlsFilesError as error:
        raise BusUnreachableError(
            f"{error} Correct DIBOP_NATS_TLS_CA, DIBOP_NATS_TLS_CERT and DIBOP_NATS_TLS_KEY."
        ) from error
    client = BusClient()
    watch = _Watch(name, client)
    attempt = client.connect(
        servers=settings.servers,
        name=name,
        error_cb=watch.error,
        disconnected_cb=watch.disconnected,
        reconnected_cb=watch.reconnected,
        closed_cb=watch.closed,
        max_reconnect_attempts=-1,
        reconnect_time_wait=_RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]  # seconds, fractions work
        ping_interval=_PING_SECONDS,
        drain_timeout=drain_seconds,  # type: ignore[arg-type]  # seconds, fractions work
        inbox_prefix=settings.nats_inbox_prefix,
        user_credentials=settings.nats_creds,
        **tls,
    )
    if not await _ended_within(wait_seconds, asyncio.ensure_future(attempt), client):
        await client.close()
        reason = f" The last attempt said: {watch.last_error}." if watch.last_error else ""
        raise BusUnreachableError(
            f"No NATS server let {name} in at {settings.nats_url} within {wait_seconds:g} s.{reason} "
            "Start the stack with 'dibop up', or correct DIBOP_NATS_URL and DIBOP_NATS_CREDS."
        )
    return client


async def _ended_within(seconds: float | None, attempt: asyncio.Future[None], client: BusClient) -> bool:
    """True once `attempt` has succeeded; one that takes longer, or whose waiter is cancelled, is given up."""
    try:
        await asyncio.wait({attempt}, timeout=seconds)
    finally:
        given_up = not attempt.done()
        if given_up:
            client.given_up = True
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
    if not given_up:
        attempt.result()
    return not given_up


class _Watch:
    """Tells the log, and the client's listeners, what happens to a connection."""

    def __init__(self, name: str, client: BusClient) -> None:
        self.last_error = ""
        self._name = name
        self._client = client
        self._told: dict[str, float] = {}

    async def error(self, error: Exception) -> None:
        """Called for every error, each failed attempt to connect among them.

        nats-py tries for ever, and its `asyncio.wait_for` may lose (on Python 3.11) the cancellation of an attempt that
        fails at that very moment: once the client has given up, the next failure ends it.
        """
        if self._client.given_up:
            raise asyncio.CancelledError
        reason = str(error) or type(error).__name__
        if not (isinstance(error, OSError) and _UNAUTHORISED in self.last_error.lower()):
            self.last_error = reason
        if self._told_lately(reason):
            return
        if _REFUSED in reason.lower():
            _log.error(
                "The NATS server refused this user a subject, and whoever waits for the answer will wait in vain; "
                "give the user this permission, or correct the subject",
                connection=self._name,
                refused=reason.removeprefix("nats: "),
            )
        elif isinstance(error, NatsError | OSError | TimeoutError):
            _log.warning("Trouble with NATS", connection=self._name, error=reason)
        else:
            _log.error("A NATS callback failed", connection=self._name, exc_info=error)

    async def disconnected(self) -> None:
        if not (self._client.is_closed or self._client.is_draining):
            _log.warning("Disconnected from NATS; reconnecting", connection=self._name)

    async def reconnected(self) -> None:
        _log.info("Reconnected to NATS", connection=self._name)
        self._client.tell_reconnected()

    async def closed(self) -> None:
        self._client.closed.set()

    def _told_lately(self, reason: str) -> bool:
        now = time.monotonic()
        told = self._told.get(reason)
        if told is not None and now - told < _REPEAT_LOG_SECONDS:
            return True
        self._told = {r: t for r, t in self._told.items() if now - t < _REPEAT_LOG_SECONDS}
        self._told[reason] = now
        return False
