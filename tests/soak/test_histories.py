"""The scripts against their reference model, for longer than CI has time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.histories import check_histories
from tests.support.servers import redis_server

HISTORIES: Final = int(os.environ.get("DIBOP_SOAK_HISTORIES", "20000"))


@pytest.mark.timeout(3600)
def test_the_scripts_answer_as_the_reference_model_does(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as url:
        check_histories(url, count=HISTORIES)
