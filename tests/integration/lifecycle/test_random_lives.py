"""Random commands by random people: what must not happen is refused, what may happens, and all of it is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lifecycle.play import play
from tests.support.tokens import Tokens


@pytest.mark.parametrize("reviews_platform", [False, True])
def test_registry_and_publisher_do_what_the_model_foretells(
    reviews_platform: bool, tokens: Tokens, tmp_path: Path
) -> None:
    play(tokens, tmp_path, histories=8, steps=30, reviews_platform=reviews_platform)
