"""A client whose NATS user lacks a permission is told at once, not when its time is up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from dibop.client import Client
from dibop.errors import NotAllowedError
from tests.support.servers import NatsServer

CONFIG = """
accounts { DIBOP { jetstream: enabled, users: [ { user: eve, password: pw, permissions: {
  publish: { allow: ["exec.v1.acme.crm.>"] }, subscribe: { allow: ["_INBOX.acme.>"] } } } ] } }
"""


async def test_a_refused_execution_ends_at_once(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", CONFIG).start()
    try:
        url = server.url.replace("//", "//eve:pw@")
        async with Client.connect(tmp_path, nats_url=url, enterprise="acme") as client:
            begun = time.monotonic()
            refused = await asyncio.gather(
                *(client.execute("weather", "now", deadline=60) for _ in range(5)), return_exceptions=True
            )
            assert time.monotonic() - begun < 30
            assert {type(error) for error in refused} == {NotAllowedError}
            assert all("exec.v1.acme.weather.now" in str(error) for error in refused)
            with pytest.raises(Exception, match="executor") as caught:
                await client.execute("crm", "get", deadline=60)
            assert not isinstance(caught.value, NotAllowedError), "what is allowed is not mistaken for it"
    finally:
        server.stop()
