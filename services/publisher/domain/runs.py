"""Test runs as they are kept, and how they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from shared.contracts.commands import TestRow, TestState, TestStep
from shared.contracts.errors import DibopError

MAX_KEPT_BYTES: Final = 8 * 1024 * 1024
"""What the operations of one run sent and got takes so much at most; of what comes after, no bodies are kept."""
MAX_SHOWN_BYTES: Final = 1024 * 1024
"""Steps that are shown together take so much; of those after, the details are shown one by one."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a draft's document; the counts are those of its operations."""

    id: str
    owner: str
    slug: str
    revision: int
    digest: str
    actor: str
    request_id: str
    started_at: str
    state: TestState = "running"
    ended_at: str | None = None
    reason: str | None = None
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    number: int = 0

    def row(self) -> TestRow:
        """What is told of it."""
        return TestRow(
            run_id=self.id,
            slug=self.slug,
            owner=self.owner,
            revision=self.revision,
            digest=self.digest,
            actor=self.actor,
            state=self.state,
            started_at=self.started_at,
            ended_at=self.ended_at,
            reason=self.reason,
            passed=self.passed,
            failed=self.failed,
            skipped=self.skipped,
        )


def completed(run: Run, steps: Sequence[TestStep], at: str) -> Run:
    """The run after its last step."""
    failed = any(step.outcome == "fail" for step in steps)
    return _counted(replace(run, state="failed" if failed else "passed", ended_at=at), steps)


def broken_off(
    run: Run, steps: Sequence[TestStep], state: TestState, reason: str, at: str
) -> tuple[Run, list[TestStep]]:
    """The run and its steps where it ends before its last one: what had not ended is skipped."""
    seq = max((step.seq for step in steps), default=0)
    whole = []
    for step in steps:
        seq += step.outcome is None
        left = {"seq": seq, "outcome": "skip", "reason": reason}
        whole.append(step.model_copy(update=left) if step.outcome is None else step)
    return _counted(replace(run, state=state, ended_at=at, reason=reason), whole), whole


def shown_together(steps: Iterable[TestStep]) -> list[TestStep]:
    """The steps for one answer: from where they are too much on, without schema errors, errors and attempts."""
    shown, size = [], 0
    for step in steps:
        size += len(msgspec.json.encode([step.schema_errors, step.error, step.attempts]))
        short: dict[str, Any] = {"schema_errors": [], "error": None, "attempts": []}
        shown.append(step.model_copy(update=short) if size > MAX_SHOWN_BYTES else step)
    return shown


def no_run(identifier: str) -> DibopError:
    return DibopError(
        "not-found",
        f"There is no test run {identifier}. 'dibop test list SLUG' names those that are kept.",
    )


def busy(slug: str, identifier: str) -> DibopError:
    return DibopError(
        "conflict",
        f"Your test run {identifier} of {slug!r} goes on. Wait for its end, or end it: dibop test cancel {identifier}",
    )


def _counted(run: Run, steps: Sequence[TestStep]) -> Run:
    outcomes = [step.outcome for step in steps if step.kind == "operation"]
    return replace(run, passed=outcomes.count("pass"), failed=outcomes.count("fail"), skipped=outcomes.count("skip"))
