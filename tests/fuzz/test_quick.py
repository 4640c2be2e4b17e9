"""Each fuzz target for a moment; `make soak` takes its time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.fuzz import driver
from tests.fuzz.driver import HangError, Target, run_examples, watched
from tests.fuzz.responses import upstream
from tests.fuzz.targets import TARGETS

EXAMPLES: Final = int(os.environ.get("DIBOP_FUZZ_EXAMPLES", "100"))

# A hang outside of Python is not to be interrupted: the run ends there.
pytestmark = pytest.mark.timeout(120, method="thread")


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with upstream():
        yield


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_only_what_the_catalogue_knows_comes_out(target: Target) -> None:
    run_examples(target, EXAMPLES)


def test_the_targets_have_names_of_their_own() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)


def test_an_example_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "EXAMPLE_SECONDS", 0.05)
    with pytest.raises(HangError), watched():
        time.sleep(30)


def test_an_example_that_fails_is_told() -> None:
    def check(value: object) -> None:
        assert not isinstance(value, bytes) or b"\\" not in value

    target = next(target for target in TARGETS if target.name == "redirect")
    with pytest.raises(AssertionError):
        run_examples(Target("x", target.inputs.map(lambda text: text.encode("latin-1")), check), 500)
