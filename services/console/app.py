"""The console's wiring: the one place where its parts meet and connections are made."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final, cast

import structlog
import uvicorn
from fastapi import FastAPI

from services.console import pages
from services.console.api.application import make_application
from services.console.bus import Bus
from services.console.parts import Parts
from services.console.security.callers import Callers
from services.console.security.cookies import SessionCookie
from services.console.security.links import SignInLinks
from services.console.security.oidc import OidcSignIn
from services.console.security.oidc_settings import OidcSettings
from services.console.security.origins import Origins, read_public_url
from services.console.security.sessions import Sessions
from services.console.settings import ConsoleSettings
from services.console.store import Store, load_key
from shared.messaging.connection import BusClient, connect
from shared.security.principals.setup import required_verifier
from shared.security.sealing import SealingKey

_STREAMS_END_SECONDS: Final = 2
"""How long streams are waited for once they are told to end."""
_STOP_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Console:
    """One console process: HTTP in, the bus out."""

    name: Final = "console"

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._verifier = required_verifier(settings, self.name)
        self._key = load_key(settings.session_key_file)
        self._sealing_key = None if settings.seal_key_file is None else SealingKey.load(settings.seal_key_file)
        self._oidc = OidcSettings.of(settings)
        self._client: BusClient | None = None
        self._parts: Parts | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    @property
    def nc(self) -> BusClient:
        if self._client is None:
            raise RuntimeError("the console is not connected yet")
        return self._client

    async def start(self) -> None:
        """Connect, and return once HTTP is served. Raises OSError where the address is taken."""
        settings = self._settings
        listener = socket.create_server((settings.listen_host, settings.listen_port), backlog=2048)
        try:
            host, port = listener.getsockname()[:2]
            self.url = settings.public_url or read_public_url(f"http://{host}:{port}")
            self._client = await connect(settings, name="dibop-console", drain_seconds=settings.drain_seconds)
            await self._verifier.keys.start()
            self._parts = self._make_parts()
            app = make_application(self._parts, error_page=pages.error_page)
            pages.mount(app, self._parts)
            self._server = _Server(self._uvicorn_config(app))
            self._serving = asyncio.create_task(self._server.serve([listener]), name="http")
            await self._server.until_started(self._serving)
        except BaseException:
            listener.close()
            await self._disconnect()
            raise
        _log.info("Ready", url=self.url)

    async def drain_and_stop(self) -> None:
        """Take no more, end streams, answer what was taken (within `drain_seconds`), disconnect."""
        _log.info("Draining", seconds=self._settings.drain_seconds)
        if self._parts is not None:
            self._parts.stopping.set()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=self._settings.drain_seconds + _STOP_SECONDS)
            self._serving.cancel()
        await self._disconnect()
        _log.info("Stopped")

    def _make_parts(self) -> Parts:
        settings = self._settings
        store, origins = Store(settings.redis_url, self._key), Origins.of(self.url)
        oidc = None if self._oidc is None else OidcSignIn(self._oidc, store, self.url)
        sessions, cookie = Sessions(store, settings.session_seconds), SessionCookie(origins)
        return Parts(
            settings=settings,
            bus=Bus(lambda: self.nc, settings.command_seconds),
            store=store,
            origins=origins,
            cookie=cookie,
            sessions=sessions,
            links=SignInLinks(store, self.url, settings.sign_in_link_seconds),
            callers=Callers(self._verifier, sessions, cookie, origins, oidc),
            oidc=oidc,
            sealing_key=self._sealing_key,
        )

    def _uvicorn_config(self, app: FastAPI) -> uvicorn.Config:
        proxies = self._settings.trusted_proxies
        return uvicorn.Config(
            cast("Any", app),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            ws="none",
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or None,
            timeout_graceful_shutdown=max(_STREAMS_END_SECONDS, int(self._settings.drain_seconds)),
            h11_max_incomplete_event_size=64 * 1024,
        )

    async def _disconnect(self) -> None:
        await self._verifier.keys.stop()
        if self._parts is not None:
            await self._parts.store.close()
        if self._client is not None:
            await self._client.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def until_started(self, serving: asyncio.Task[None]) -> None:
        while not self.started:
            if serving.done():
                serving.result()
                raise OSError("the HTTP server ended before it served")
            await asyncio.sleep(0.005)
