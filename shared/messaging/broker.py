"""FastStream over a connection of ours."""

from __future__ import annotations

from typing import Any

from faststream.nats import NatsBroker
from nats.aio.client import Client

from shared.messaging.connection import connect
from shared.settings import BusSettings


def make_broker(settings: BusSettings, *, name: str, drain_seconds: float, **options: Any) -> NatsBroker:
    """A FastStream broker over a connection of `connect`; `options` go to NatsBroker.

    It does not wait when it stops: CommandService drains first, since FastStream's own way drops what arrives
    meanwhile. FastStream's JetStream subscribers ignore a broker's inbox prefix and must be given one themselves.
    """
    return _Broker(settings, name=name, drain_seconds=drain_seconds, **options)


class _Broker(NatsBroker):
    """NatsBroker takes no ready connection; this gives it ours."""

    def __init__(self, settings: BusSettings, *, name: str, drain_seconds: float, **options: Any) -> None:
        super().__init__(settings.servers, graceful_timeout=None, **options)
        self._settings = settings
        self._name = name
        self._drain_seconds = drain_seconds

    async def _connect(self) -> Client:
        client = await connect(self._settings, name=self._name, drain_seconds=self._drain_seconds)
        self.config.connect(client)
        return client
