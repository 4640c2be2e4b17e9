"""One world for all tests of a file: each test is a tenant of its own that attacks the same victim."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.tenants.world import World, served
from tests.support.fault_server import FaultServer
from tests.support.tokens import Tokens


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    nats_url: str, redis_url: str, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with (
        FaultServer() as upstream,
        served(nats_url, redis_url, upstream.url("").rstrip("/"), tokens, tmp_path_factory.mktemp("tenants")) as made,
    ):
        yield made
