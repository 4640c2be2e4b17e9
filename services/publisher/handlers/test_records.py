"""What is told and written down of a test run."""

from __future__ import annotations

from typing import Any

from services.publisher.domain.runs import Run
from services.publisher.handlers.ports import AuditRecord
from shared.contracts.clock import utc_now
from shared.contracts.commands import AppendAudit, TestProgress, TestStep
from shared.contracts.events import Event


def progressed(run: Run, step: TestStep) -> Event:
    """A step began or ended."""
    told = TestProgress(run_id=run.id, slug=run.slug, owner=run.owner, seq=step.seq, step=step)
    return Event(
        enterprise=run.owner,
        noun="connector",
        identifier=run.slug,
        what="test_progressed",
        source="publisher",
        data=told.model_dump(mode="json", exclude={"step": {"exchange", "schema_errors", "error", "attempts"}}),
        id=f"{run.id}/{step.seq}",
    )


def completed(run: Run, steps: list[TestStep]) -> Event:
    """The run ended, in whatever state."""
    outcomes = {step.operation: step.outcome for step in steps if step.operation is not None}
    return Event(
        enterprise=run.owner,
        noun="connector",
        identifier=run.slug,
        what="test_completed",
        source="publisher",
        data={**_summary(run), "operations": outcomes},
        id=run.id,
        time=run.ended_at or utc_now(),
    )


def audit(run: Run, *, ended_by: str | None = None) -> AuditRecord:
    """The entry of a run that ended; `ended_by` is who cancelled it."""
    details = _summary(run) | ({"ended_by": ended_by} if ended_by else {})
    entry = AppendAudit(
        id=run.id,
        at=run.ended_at or utc_now(),
        actor=run.actor,
        action="test.run",
        noun="connector",
        identifier=run.slug,
        details=details,
        request_id=run.request_id,
    )
    return AuditRecord(run.owner, entry)


def _summary(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "slug": run.slug,
        "owner": run.owner,
        "revision": run.revision,
        "digest": run.digest,
        "state": run.state,
        "passed": run.passed,
        "failed": run.failed,
        "skipped": run.skipped,
    }
