"""Test runs: the draft is staged, its operations are run through an executor, and what they gave is kept."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from services.publisher.domain import testing
from services.publisher.domain.evidence import Evidence
from services.publisher.domain.templates import valid_template
from services.publisher.handlers.ports import AuditRecord, Caller, Ports
from shared.contracts.clock import utc_now
from shared.contracts.commands import (
    AppendAudit,
    FetchTestCredentials,
    PlannedOperation,
    PlanTest,
    RunTest,
    StagedDraft,
    TestedOperation,
    TestPlan,
    TestReport,
)
from shared.contracts.errors import DibopError
from shared.contracts.events import Event
from shared.contracts.execution import DEFAULT_DEADLINE_MS, DraftExecutionRequest, SealedCredentials
from shared.contracts.template import Template
from shared.security.principals import Action, authorise

CONCURRENT_OPERATIONS: Final = 4
OPERATION_DEADLINE_SECONDS: Final = DEFAULT_DEADLINE_MS / 1000
_NOT_REACHED: Final = (
    "The test's time ran out before this operation's turn came. Run it by name: --operation {operation}"
)

_log = structlog.get_logger(__name__)


async def plan_test(caller: Caller, command: PlanTest, ports: Ports) -> TestPlan:
    """Which operations a test of the draft would run, and why it would skip the others."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
    planned = testing.plan(valid_template(draft.slug, draft.document, draft.errors), command.operations)
    return TestPlan(
        slug=draft.slug, owner=draft.owner, revision=draft.revision, digest=draft.digest, operations=planned
    )


async def run_test(caller: Caller, command: RunTest, ports: Ports, *, test_seconds: float) -> TestReport:
    """Run operations of the draft and keep the outcome of each as evidence for its digest.

    `test_seconds` bounds the whole: what has not had its turn by then fails, without evidence.
    """
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    staged = await ports.registry.stage(caller.enterprise, command.slug, request_id=caller.request_id)
    template = valid_template(staged.slug, staged.document)
    testing.require_known(template, command.parameters, "parameters")
    credentials = await _credentials(caller, command, ports)
    run = _Run(
        caller, command, ports, staged, template, credentials=credentials, ends_at=time.monotonic() + test_seconds
    )
    report = TestReport(
        run_id=run.id,
        slug=staged.slug,
        owner=staged.owner,
        revision=staged.revision,
        digest=staged.digest,
        operations=await run.operations(testing.plan(template, command.operations)),
    )
    await _record(caller, ports, staged, report, not_reached=run.not_reached)
    _log.info("Tested a draft", connector=staged.slug, owner=staged.owner, run_id=run.id, **_tally(report))
    return report


class _Run:
    """One run: what all its operations share."""

    def __init__(
        self,
        caller: Caller,
        command: RunTest,
        ports: Ports,
        staged: StagedDraft,
        template: Template,
        *,
        credentials: SealedCredentials | None,
        ends_at: float,
    ) -> None:
        self.id = str(uuid.uuid4())
        self.not_reached: set[str] = set()
        self._caller = caller
        self._command = command
        self._executors = ports.executors
        self._staged = staged
        self._samples = {operation.operation: operation.sample or {} for operation in template.operations}
        self._credentials = credentials
        self._ends_at = ends_at
        self._turns = asyncio.Semaphore(CONCURRENT_OPERATIONS)

    async def operations(self, planned: Sequence[PlannedOperation]) -> list[TestedOperation]:
        """The outcomes, in the order of the plan."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._operation(each)) for each in planned]
        return [task.result() for task in tasks]

    async def _operation(self, planned: PlannedOperation) -> TestedOperation:
        if not planned.runs:
            return testing.skipped(planned)
        operation = planned.operation
        async with self._turns:
            remaining = self._ends_at - time.monotonic()
            if remaining <= 0:
                self.not_reached.add(operation)
                reason = _NOT_REACHED.format(operation=operation)
                return TestedOperation(operation=operation, outcome="fail", reason=reason)
            request_id = f"{self.id}/{operation}"
            try:
                reply = await self._executors.execute(
                    self._caller.enterprise,
                    self._staged.slug,
                    operation,
                    self._request(operation),
                    deadline_seconds=min(remaining, OPERATION_DEADLINE_SECONDS),
                    request_id=request_id,
                )
            except DibopError as error:
                return testing.failed(operation, error, request_id)
            return testing.judge(operation, reply)

    def _request(self, operation: str) -> DraftExecutionRequest:
        given: Mapping[str, Any] | None = self._command.parameters.get(operation)
        return DraftExecutionRequest(
            owner=self._staged.owner,
            digest=self._staged.digest,
            parameters=dict(self._samples[operation] if given is None else given),
            timeout=self._command.timeout,
            credentials=self._credentials,
        )


async def _record(
    caller: Caller, ports: Ports, staged: StagedDraft, report: TestReport, *, not_reached: set[str]
) -> None:
    """Keep the evidence, with the event and the audit entry in the same transaction."""
    at = utc_now()
    evidence = [
        Evidence(
            run_id=report.run_id,
            owner=report.owner,
            slug=report.slug,
            operation=tested.operation,
            operation_digest=staged.operations[tested.operation],
            outcome=tested.outcome,
            reason=tested.reason,
            status_code=tested.status_code,
            duration_ms=tested.duration_ms,
            actor=caller.principal.subject,
            at=at,
        )
        for tested in report.operations
        if tested.outcome != "skip" and tested.operation not in not_reached
    ]
    await ports.store.record_test(evidence, _test_completed(report, at), _audit(caller, report, at))


def _test_completed(report: TestReport, at: str) -> Event:
    outcomes = {tested.operation: tested.outcome for tested in report.operations}
    return Event(
        enterprise=report.owner,
        noun="connector",
        identifier=report.slug,
        what="test_completed",
        source="publisher",
        data={**_summary(report), "operations": outcomes},
        id=report.run_id,
        time=at,
    )


def _audit(caller: Caller, report: TestReport, at: str) -> AuditRecord:
    entry = AppendAudit(
        id=report.run_id,
        at=at,
        actor=caller.principal.subject,
        action="test.run",
        noun="connector",
        identifier=report.slug,
        details=_summary(report),
        request_id=caller.request_id,
    )
    return AuditRecord(report.owner, entry)


def _summary(report: TestReport) -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "slug": report.slug,
        "owner": report.owner,
        "revision": report.revision,
        "digest": report.digest,
        **_tally(report),
    }


def _tally(report: TestReport) -> dict[str, int]:
    outcomes = [tested.outcome for tested in report.operations]
    return {
        "passed": outcomes.count("pass"),
        "failed": outcomes.count("fail"),
        "skipped": outcomes.count("skip"),
    }


async def _credentials(caller: Caller, command: RunTest, ports: Ports) -> SealedCredentials | None:
    """Those that came with the command, or those that the caller keeps at the registry."""
    given = command.credentials
    if command.credentials_id is not None:
        if given is not None:
            raise DibopError(
                "invalid-request", "The test names `credentials_id` and brings `credentials`. Send one of both."
            )
        query = FetchTestCredentials(id=command.credentials_id, person=caller.principal.subject, connector=command.slug)
        given = await ports.registry.test_credentials(caller.enterprise, query, request_id=caller.request_id)
    if given is None:
        return None
    return SealedCredentials(
        id=given.id, origin=given.origin, kid=given.kid, values=dict(given.values), sealed=dict(given.sealed)
    )
