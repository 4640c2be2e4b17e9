"""Registry and publisher are killed at random moments, 200 times unless `DIBOP_SOAK_KILLS` says otherwise."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

import pytest

from tests.support.lifecycle.killing import live_through_kills
from tests.support.servers import nats_server
from tests.support.tokens import Tokens

KILLS: Final = int(os.environ.get("DIBOP_SOAK_KILLS", "200"))


@pytest.mark.timeout(4 * 3600)
async def test_kills_lose_and_double_nothing(tokens: Tokens, tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as url:
        commands, repeated = await live_through_kills(url, tokens, tmp_path, kills=KILLS, chance=random.Random())

    print(f"{commands} commands, {repeated} of them more than once, {KILLS} kills")
    assert commands > KILLS
    assert repeated > KILLS / 10
