"""One world for all tests of a file: each test is a tenant of its own that attacks the same victim."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.files import write_private
from shared.messaging.access.authority import Authority
from shared.messaging.access.permissions import SERVICES, enterprise_client
from tests.integration.tenants.world import STRANGER, VICTIM, AnyUser, World, served
from tests.support.fault_server import FaultServer
from tests.support.servers import NatsServer
from tests.support.tokens import Tokens


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    nats_url: str, redis_url: str, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with (
        FaultServer() as upstream,
        served(
            AnyUser(nats_url), redis_url, upstream.url("").rstrip("/"), tokens, tmp_path_factory.mktemp("tenants")
        ) as made,
    ):
        yield made


class Guarded:
    """`NatsUsers` of a server with the permissions of production."""

    def __init__(self, url: str, authority: Authority, directory: Path) -> None:
        self._url = url
        self._authority = authority
        self._directory = directory

    def of(self, name: str) -> dict[str, Any]:
        if name in SERVICES:
            rights, credentials = SERVICES[name], self._authority.service_credentials(name)
        else:
            rights = enterprise_client(name, "one")
            credentials = self._authority.enterprise_credentials(name, rights)
        file = self._directory / f"{name}.creds"
        write_private(file, credentials)
        return {"nats_url": self._url, "nats_creds": file, "nats_inbox_prefix": rights.inbox_prefix}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(redis_url: str, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The same on a server with NATS users, over which the stranger has its own."""
    directory = tmp_path_factory.mktemp("guarded")
    authority = Authority.ensure(directory / "authority")
    for enterprise in (VICTIM, STRANGER):
        authority.add_enterprise(enterprise)
    server = NatsServer(directory / "nats", authority.server_config()).start()
    users = Guarded(server.url, authority, directory)
    try:
        async with (
            FaultServer() as upstream,
            served(users, redis_url, upstream.url("").rstrip("/"), tokens, directory) as made,
        ):
            yield made
    finally:
        server.stop()
