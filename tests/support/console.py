"""A console in this process, over real NATS and Redis, as programs and browsers reach it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from services.console.app import Console
from services.console.settings import ConsoleSettings

API = "/api/v1"
_SECONDS = 20.0


@contextlib.asynccontextmanager
async def console_at(directory: Path, **settings: Any) -> AsyncIterator[Console]:
    """A console that serves on a free port of the loopback as long as the block lasts."""
    key = directory / "session.key"
    if not key.exists():
        key.write_text(base64.b64encode(b"k" * 32).decode())
    given: dict[str, Any] = {"listen_port": 0, "session_key_file": key, "drain_seconds": 2, **settings}
    console = Console(ConsoleSettings(**given))
    await console.start()
    try:
        yield console
    finally:
        await console.drain_and_stop()


def program(console: Console, token: str | None) -> httpx.AsyncClient:
    """A program: with a token in the Authorization header, and no cookies."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=console.url + API, headers=headers, timeout=_SECONDS, trust_env=False)


def browser(console: Console) -> httpx.AsyncClient:
    """What pages of the console do in a browser: cookies are kept, and every request says where it comes from."""
    headers = {"Origin": console.url, "Sec-Fetch-Site": "same-origin"}
    return httpx.AsyncClient(base_url=console.url + API, headers=headers, timeout=_SECONDS, trust_env=False)
