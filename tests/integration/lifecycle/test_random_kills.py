"""Registry and publisher are killed at random moments: nothing is lost, done twice, or told otherwise than it was."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.lifecycle.killing import live_through_kills
from tests.support.servers import nats_server
from tests.support.tokens import Tokens


async def test_kills_lose_and_double_nothing(tokens: Tokens, tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as url:
        commands, _ = await live_through_kills(url, tokens, tmp_path, kills=8, chance=random.Random())

    assert commands > 10
