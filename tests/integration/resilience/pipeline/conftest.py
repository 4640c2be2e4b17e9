"""Whole executors with real Redis before an upstream that misbehaves; what is asserted is mostly its own log."""

from __future__ import annotations

import pytest
import redis.asyncio

from services.executor.settings import ExecutorSettings
from tests.integration.executor.conftest import bus, executor, start, upstream  # noqa: F401 - fixtures
from tests.integration.executor.conftest import settings as plain_settings  # noqa: F401 - a fixture
from tests.support.processes import free_port


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on, and that executors may call."""
    return free_port()


@pytest.fixture
def settings(plain_settings: ExecutorSettings, closed_port: int) -> ExecutorSettings:  # noqa: F811
    allowed = f"{plain_settings.egress_allow},127.0.0.1:{closed_port}"
    return plain_settings.model_copy(update={"egress_allow": allowed, "rate_window_ms": 2_000})


@pytest.fixture(autouse=True)
async def _no_state_of_others(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
