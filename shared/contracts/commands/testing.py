"""Test runs of a draft: each is kept, with its steps, and with what every operation sent and got."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from shared.contracts.commands.base import Message, Named, Slug, Token
from shared.contracts.commands.connections import PlainValue, SealedValue, Uuid
from shared.contracts.limits import MAX_FIELDS, MAX_NAMES

TestState = Literal["running", "passed", "failed", "cancelled", "interrupted"]
TestOutcome = Literal["pass", "fail", "skip"]
StepKind = Literal["connectivity", "authentication", "operation"]

MAX_TEST_RUNS: Final = 50
"""So many runs of a connector are kept, and those besides that are evidence for its draft as it stands."""


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


class StartTest(Message):
    """`test.start`: run operations of the draft with their sample values, or with `parameters` for each.

    Answered at once; the run goes on by itself and tells of its steps. `credentials` come with the command, or are
    those that `test-credentials.save` kept under `credentials_id`. `timeout` bounds one attempt, in seconds. A person
    has one run of a connector at a time: a further one is a `conflict`.
    """

    slug: Slug
    operations: list[Named] | None = Field(None, max_length=MAX_NAMES)
    parameters: dict[Named, dict[str, Any]] = Field(default_factory=dict, max_length=MAX_NAMES)
    credentials: TestCredentials | None = None
    credentials_id: Uuid | None = None
    timeout: float | None = Field(None, gt=0, le=300)


class TestStarted(Message):
    run_id: str
    slug: str
    owner: str
    revision: int
    digest: str


class ShowTest(Message):
    """`test.show`: a run as it stands. With `operation` that step alone, with what it sent and got."""

    run_id: Named
    operation: Named | None = None


class ListTests(Message):
    """`test.list`: a connector's runs, newest first. `before` is the `next_before` of the page before."""

    slug: Slug
    before: int | None = Field(None, ge=1)
    limit: int = Field(20, ge=1, le=200)


class CancelTest(Message):
    """`test.cancel`: end a run. What an executor has under way may still happen; nobody hears of it."""

    run_id: Named


class TestPart(Message):
    """One part of the step `connectivity`."""

    name: Literal["dns", "tcp", "tls", "http"]
    outcome: TestOutcome
    reason: str | None = None
    duration_ms: float | None = None


class RecordedBody(Message):
    """A body as it was sent or got, redacted. Of `truncated` ones `text` holds the beginning.

    `size` is that of the whole in bytes. `text` of `base64` is base64, and null where the run has kept too much.
    """

    encoding: Literal["json", "text", "base64"]
    text: str | None
    size: int
    truncated: bool = False


class RecordedRequest(Message):
    """The request that an operation sent, redacted, as (name, value) headers; those of the connection are left out."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: RecordedBody | None = None


class RecordedResponse(Message):
    status_code: int
    headers: list[tuple[str, str]]
    body: RecordedBody | None = None


class Exchange(Message):
    """What an operation sent and got; no `response` where there was none."""

    request: RecordedRequest
    response: RecordedResponse | None = None


class TestStep(Message):
    """A step of a run. It waits while `seq` is 0, and goes on while it has no `outcome`.

    `seq` numbers what became of the run's steps. `reason` is given for fail and skip. `parts` are those of
    connectivity; all from `status_code` on is an operation's. `exchange` is there where it was asked for.
    """

    number: int
    kind: StepKind
    operation: str | None = None
    seq: int = 0
    outcome: TestOutcome | None = None
    reason: str | None = None
    started_at: str | None = None
    duration_ms: float | None = None
    parts: list[TestPart] = Field(default_factory=list)
    status_code: int | None = None
    attempts: list[dict[str, Any]] = Field(default_factory=list)
    schema_valid: bool | None = None
    schema_errors: list[dict[str, Any]] = Field(default_factory=list)
    error: dict[str, Any] | None = None
    exchange: Exchange | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.operation or self.kind


class TestRow(Message):
    """A run of a list. `reason` says why it was cancelled or interrupted; the counts are those of operations."""

    run_id: str
    slug: str
    owner: str
    revision: int
    digest: str
    actor: str
    state: TestState
    started_at: str
    ended_at: str | None = None
    reason: str | None = None
    passed: int = 0
    failed: int = 0
    skipped: int = 0


class TestRun(TestRow):
    """A run with its steps in their order. Of very many, schema errors and error documents are with the step alone."""

    steps: list[TestStep]

    @property
    def operations(self) -> list[TestStep]:
        return [step for step in self.steps if step.kind == "operation"]


class TestPage(Message):
    runs: list[TestRow]
    next_before: int | None


class TestCancelled(Message):
    """`changed` is false where the run had ended before."""

    run_id: str
    state: TestState
    changed: bool


class TestProgress(Message):
    """The data of the event `test_progressed`: a step began (no `outcome` yet) or ended."""

    run_id: str
    slug: str
    owner: str
    seq: int
    step: TestStep
