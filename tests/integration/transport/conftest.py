"""Every transport test runs on both event loops, and over every implementation."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import trustme
import uvloop

from services.executor.transport import Transport
from services.executor.transport.aiohttp_transport import AiohttpTransport
from services.executor.transport.egress import EgressPolicy
from tests.support import processes
from tests.support.fault_server import FaultServer


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class Names:
    """A name server of our own: what each name leads to, and how often it was asked."""

    def __init__(self) -> None:
        self.addresses: dict[str, Sequence[str]] = {}
        self.asked: list[str] = []
        self.hang = False

    async def lookup(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if self.hang:
            await asyncio.Event().wait()
        if host not in self.addresses:
            raise OSError(f"{host} is unknown")
        return self.addresses[host]


class MakeTransport(Protocol):
    def __call__(self, allow: str = "", *, max_connections: int = 256, ca_file: Path | None = None) -> Transport: ...


@pytest.fixture
async def names() -> Names:
    return Names()


@pytest.fixture(params=[AiohttpTransport], ids=["aiohttp"])
async def make_transport(
    request: pytest.FixtureRequest, names: Names, upstream: FaultServer
) -> AsyncIterator[MakeTransport]:
    made: list[Transport] = []

    def make(allow: str = "", *, max_connections: int = 256, ca_file: Path | None = None) -> Transport:
        transport: Transport = request.param(
            EgressPolicy.parse(allow or upstream.authority),
            max_connections=max_connections,
            ca_file=ca_file,
            lookup=names.lookup,
        )
        made.append(transport)
        return transport

    yield make
    for transport in made:
        await transport.aclose()


@pytest.fixture
async def transport(make_transport: MakeTransport) -> Transport:
    """A transport that may reach `upstream`, by any name, and nothing else here."""
    return make_transport()


@pytest.fixture
async def upstream() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
async def tls_upstream(authority: trustme.CA) -> AsyncIterator[FaultServer]:
    """A server whose certificate is for good.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.test").configure_cert(context)
    async with FaultServer(tls=context) as server:
        yield server


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    return processes.free_port()
