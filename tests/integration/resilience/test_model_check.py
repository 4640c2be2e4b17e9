"""The scripts against their reference model."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.histories import check_histories

HISTORIES: Final = 2_000


@pytest.mark.case(59)
def test_the_scripts_answer_as_the_reference_model_does(redis_url: str) -> None:
    check_histories(redis_url, count=HISTORIES)
