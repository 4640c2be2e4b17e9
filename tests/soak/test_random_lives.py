"""Random commands by random people for longer than CI has time; `DIBOP_SOAK_LIVES` says how many histories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.lifecycle.play import play
from tests.support.tokens import Tokens

LIVES: Final = int(os.environ.get("DIBOP_SOAK_LIVES", "2000"))


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("reviews_platform", [False, True])
def test_registry_and_publisher_do_what_the_model_foretells(
    reviews_platform: bool, tokens: Tokens, tmp_path: Path
) -> None:
    seen = play(tokens, tmp_path, histories=LIVES // 2, steps=40, reviews_platform=reviews_platform)

    print(f"allowed: {dict(seen.allowed)}\nrefused: {dict(seen.refused)}")
    assert seen.allowed.keys() == seen.refused.keys()
