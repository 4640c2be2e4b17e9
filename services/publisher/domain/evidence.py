"""Evidence: how an operation fared when it was last run, by which publishing is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one operation, as it stood under `operation_digest`, fared when it was last run."""

    run_id: str
    owner: str
    slug: str
    operation: str
    operation_digest: str
    outcome: Literal["pass", "fail"]
    reason: str | None
    status_code: int | None
    duration_ms: float | None
    actor: str
    at: str
