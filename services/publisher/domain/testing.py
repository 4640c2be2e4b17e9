"""Testing of a draft: which operations a test runs, and when an operation has passed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from shared.contracts.commands import PlannedOperation, Probed, TestPart, TestStep
from shared.contracts.errors import DibopError
from shared.contracts.execution import ExecutionReply
from shared.contracts.names import did_you_mean
from shared.contracts.template import Template
from shared.contracts.template.model import IDEMPOTENT_METHODS, Operation

MAX_OPERATIONS: Final = 1000
"""More than these are left to a further run."""
MAX_SCHEMA_ERRORS: Final = 20
"""More than these are not repeated in a report."""
_ABOUT_CREDENTIALS: Final = frozenset({"connection-required", "credentials-rejected"})


def plan(template: Template, names: Sequence[str] | None) -> list[PlannedOperation]:
    """What a test runs: the named operations, or else all idempotent ones, with the others as skipped."""
    if names is not None:
        require_known(template, names, "operations")
        return _bounded([PlannedOperation(operation=name, runs=True) for name in dict.fromkeys(names)])
    return _bounded(
        [
            PlannedOperation(operation=each.operation, runs=True)
            if each.idempotent or each.method in IDEMPOTENT_METHODS
            else PlannedOperation(operation=each.operation, runs=False, reason=_skip_reason(each))
            for each in template.operations
        ]
    )


def require_known(template: Template, names: Collection[str], where: str) -> None:
    """Refuse the first of `names` that is no operation of the template; `where` is the field that holds it."""
    known = [operation.operation for operation in template.operations]
    for name in names:
        if name not in known:
            raise DibopError(
                "unknown-operation",
                f"Connector {template.slug!r} has no operation {name[:80]!r}, which {where!r} names. "
                f"{did_you_mean(name, known, 'operation')}",
            )


def steps_of(planned: Sequence[PlannedOperation]) -> list[TestStep]:
    """The steps of a run in their order; what is not to run is skipped from the beginning."""
    steps = [TestStep(number=1, kind="connectivity"), TestStep(number=2, kind="authentication")]
    skipped = 0
    for number, each in enumerate(planned, start=len(steps) + 1):
        step = TestStep(number=number, kind="operation", operation=each.operation)
        if not each.runs:
            skipped += 1
            step = step.model_copy(update={"seq": skipped, "outcome": "skip", "reason": each.reason})
        steps.append(step)
    return steps


def connectivity(probed: Probed) -> dict[str, Any]:
    """What the step comes to; the whole passes where no part fails."""
    parts = [
        TestPart(name=step.step, outcome=step.outcome, reason=step.reason, duration_ms=step.duration_ms)
        for step in probed.steps
        if step.step != "auth"
    ]
    failed = next((part for part in parts if part.outcome == "fail"), None)
    return {
        "outcome": "fail" if failed else "pass",
        "reason": failed and f"{failed.name}: {failed.reason}",
        "duration_ms": round(sum(part.duration_ms or 0.0 for part in parts), 3),
        "parts": parts,
    }


def authentication(probed: Probed) -> dict[str, Any]:
    """What the step comes to."""
    (step,) = (step for step in probed.steps if step.step == "auth")
    return {"outcome": step.outcome, "reason": step.reason, "duration_ms": step.duration_ms}


def unreachable(probed: Probed) -> str | None:
    """Why no operation can have an answer; None where one may, be it a refusal."""
    failed = next((step for step in probed.steps if step.outcome == "fail" and step.step != "auth"), None)
    if failed is None or (failed.step == "http" and probed.outcome != "timeout"):
        return None
    return f"Skipped: the external system cannot be reached, {failed.step} failed. {failed.reason}"


def not_probed(error: DibopError) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both steps come to where nothing was sent: only credentials that cannot be used are a failure."""
    skipped = {"outcome": "skip", "reason": error.detail}
    failed = {"outcome": "fail", "reason": error.detail}
    return skipped, failed if error.code in _ABOUT_CREDENTIALS else skipped


def judged(reply: ExecutionReply) -> dict[str, Any]:
    """What a step comes to: it passes when its final status is 2xx and its response does not break its schema."""
    reason = None
    if not 200 <= reply.status_code < 300:
        reason = f"The external system answered {reply.status_code}; a test passes with 2xx."
    elif reply.schema_valid is False:
        reason = "The response breaks response_schema; mend the schema where `schema_errors` points."
    return {
        "outcome": "fail" if reason else "pass",
        "reason": reason,
        "status_code": reply.status_code,
        "duration_ms": reply.duration_ms,
        "attempts": msgspec.to_builtins(reply.attempts),
        "schema_valid": reply.schema_valid,
        "schema_errors": [msgspec.to_builtins(error) for error in reply.schema_errors[:MAX_SCHEMA_ERRORS]],
    }


def failed(error: DibopError, request_id: str) -> dict[str, Any]:
    """The same where there was no response of the external system at all."""
    problem = error.to_problem(request_id)
    problem.pop("exchange", None)
    attempts = problem.pop("attempts", [])
    return {"outcome": "fail", "reason": error.detail, "error": problem, "attempts": attempts}


def _skip_reason(operation: Operation) -> str:
    return (
        f"{operation.method} is not marked idempotent, so it runs only when it is named: "
        f"--operation {operation.operation}"
    )


def _bounded(planned: Sequence[PlannedOperation]) -> list[PlannedOperation]:
    """The plan with what goes beyond one run as skipped."""
    running = 0
    bounded = []
    for each in planned:
        running += each.runs
        over = each.runs and running > MAX_OPERATIONS
        reason = f"One run tests {MAX_OPERATIONS} operations; name this one in a further run."
        bounded.append(PlannedOperation(operation=each.operation, runs=False, reason=reason) if over else each)
    return bounded
