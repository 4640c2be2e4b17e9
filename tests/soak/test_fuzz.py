"""Each fuzz target for its share of DIBOP_FUZZ_SECONDS, five minutes in all unless it says otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest

from tests.fuzz.driver import Target, run_for
from tests.fuzz.responses import upstream
from tests.fuzz.targets import TARGETS

SECONDS: Final = float(os.environ.get("DIBOP_FUZZ_SECONDS", "300"))

pytestmark = pytest.mark.timeout(SECONDS + 600, method="thread")


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with upstream():
        yield


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_only_what_the_catalogue_knows_comes_out(target: Target) -> None:
    assert run_for(target, SECONDS / len(TARGETS)) >= 1
