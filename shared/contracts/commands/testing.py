"""Test runs of a draft's operations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from shared.contracts.commands.base import Message, Named, Slug, Token
from shared.contracts.commands.connections import PlainValue, SealedValue, Uuid
from shared.contracts.limits import MAX_FIELDS, MAX_NAMES


class TestCredentials(Message):
    """Test credentials, sealed for the use `test`; `id` is the test session's UUID."""

    id: str = Field(max_length=64)
    origin: str = Field(max_length=300)
    kid: str = Field(max_length=64)
    values: dict[Token, PlainValue] = Field(default_factory=dict, max_length=MAX_FIELDS)
    sealed: dict[Token, SealedValue] = Field(default_factory=dict, max_length=MAX_FIELDS)


class PlanTest(Message):
    """`test.plan`: which operations a test would run. Without names: all idempotent ones."""

    slug: Slug
    operations: list[Named] | None = Field(None, max_length=MAX_NAMES)


class PlannedOperation(Message):
    operation: str
    runs: bool
    reason: str | None = None


class TestPlan(Message):
    slug: str
    owner: str
    revision: int
    digest: str
    operations: list[PlannedOperation]


class RunTest(Message):
    """`test.run`: run operations of the draft with their sample values, or with `parameters` for each.

    `credentials` come with the command, or are those that `test-credentials.save` kept under `credentials_id`.
    `timeout` bounds one attempt, in seconds.
    """

    slug: Slug
    operations: list[Named] | None = Field(None, max_length=MAX_NAMES)
    parameters: dict[Named, dict[str, Any]] = Field(default_factory=dict, max_length=MAX_NAMES)
    credentials: TestCredentials | None = None
    credentials_id: Uuid | None = None
    timeout: float | None = Field(None, gt=0, le=300)


class TestedOperation(Message):
    """How one operation fared. `reason` is given for fail and skip."""

    operation: str
    outcome: Literal["pass", "fail", "skip"]
    reason: str | None
    status_code: int | None = None
    duration_ms: float | None = None
    schema_valid: bool | None = None
    schema_errors: list[dict[str, Any]] = Field(default_factory=list)
    error: dict[str, Any] | None = None


class TestReport(Message):
    run_id: str
    slug: str
    owner: str
    revision: int
    digest: str
    operations: list[TestedOperation]
