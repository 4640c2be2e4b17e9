"""An OIDC issuer's public pages: its discovery document and its keys, which a test changes as it likes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from joserfc.jwk import Key

from shared.security.principals.jwks import DISCOVERY_PATH


@dataclass
class JwksServer:
    """`async with JwksServer() as issuer`. `answer` replaces the keys' page; `held` makes it wait."""

    keys: list[Key] = field(default_factory=list)
    asked: int = 0
    discovered: int = 0
    answer: web.Response | bytes | None = None
    document: dict[str, Any] | None = None
    held: asyncio.Event | None = None
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys_url(self) -> str:
        return f"{self.address}/keys"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/elsewhere", self._keys)
        app.router.add_get(DISCOVERY_PATH, self._discovery)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await self.open()
        return self

    async def open(self) -> None:
        """Listen: on the same port as ever."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Refuse connections, as an issuer that is away."""
        await self._site.stop()

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _keys(self, _request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if isinstance(self.answer, web.Response):
            return self.answer
        if self.answer is not None:
            return web.Response(body=self.answer)
        return web.json_response({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _discovery(self, _request: web.Request) -> web.Response:
        self.discovered += 1
        return web.json_response(self.document or {"issuer": self.address, "jwks_uri": self.keys_url})
