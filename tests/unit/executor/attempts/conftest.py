"""The loop of attempts: what is repeated, when, and in what a request ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.executor.domain.plan import OperationPlan
from tests.unit.executor.attempts.pipeline import Pipeline


@pytest.fixture
def pipe(operation_plan: Callable[..., OperationPlan], monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return Pipeline(operation_plan, monkeypatch)
