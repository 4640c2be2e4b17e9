"""Test runs: the draft is staged, its operations are run through an executor, and what became of each is kept."""

from __future__ import annotations

import uuid
from typing import Any

from services.publisher.domain import runs, testing
from services.publisher.domain.runs import Run
from services.publisher.domain.templates import valid_template
from services.publisher.handlers.ports import Caller, Ports
from services.publisher.handlers.test_runner import DraftTester
from services.publisher.handlers.test_steps import Job
from shared.contracts import commands as c
from shared.contracts.clock import utc_now
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.security.principals import Action, authorise


async def plan_test(caller: Caller, command: c.PlanTest, ports: Ports) -> c.TestPlan:
    """Which operations a test of the draft would run, and why it would skip the others."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    draft = await ports.registry.draft(caller.enterprise, command.slug, request_id=caller.request_id)
    planned = testing.plan(valid_template(draft.slug, draft.document, draft.errors), command.operations)
    return c.TestPlan(
        slug=draft.slug, owner=draft.owner, revision=draft.revision, digest=draft.digest, operations=planned
    )


async def start_test(caller: Caller, command: c.StartTest, ports: Ports, runner: DraftTester) -> c.TestStarted:
    """Begin a run of the draft's operations; `conflict` while the caller has another one of this connector."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    runner.require_room()
    staged = await ports.registry.stage(caller.enterprise, command.slug, request_id=caller.request_id)
    template = valid_template(staged.slug, staged.document)
    testing.require_known(template, command.parameters, "parameters")
    planned = testing.plan(template, command.operations)
    run = Run(
        id=str(uuid.uuid4()),
        owner=staged.owner,
        slug=staged.slug,
        revision=staged.revision,
        digest=staged.digest,
        actor=caller.principal.subject,
        request_id=caller.request_id,
        started_at=utc_now(),
    )
    job = Job(
        run=run,
        enterprise=caller.enterprise,
        steps=tuple(testing.steps_of(planned)),
        samples={operation.operation: operation.sample or {} for operation in template.operations},
        digests=staged.operations,
        parameters=command.parameters,
        credentials=await _credentials(caller, command, ports),
        timeout=command.timeout,
    )
    other = await ports.runs.add(run, job.steps)
    if other is not None:
        raise runs.busy(run.slug, other)
    runner.begin(job)
    return c.TestStarted(run_id=run.id, slug=run.slug, owner=run.owner, revision=run.revision, digest=run.digest)


async def show_test(caller: Caller, query: c.ShowTest, ports: Ports) -> c.TestRun:
    """A run with its steps; of one operation what it sent and got, too."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    run, steps = await _found(caller, query.run_id, ports)
    if query.operation is None:
        return _shown(run, runs.shown_together(steps))
    step = next((step for step in steps if step.operation == query.operation), None)
    if step is None:
        raise DibopError(
            "unknown-operation",
            f"Test run {run.id} has no step for operation {query.operation[:80]!r}. "
            "Name one of those that the run shows.",
        )
    exchange = await ports.runs.exchange(run.owner, run.id, step.number)
    return _shown(run, [step.model_copy(update={"exchange": exchange})])


async def list_tests(caller: Caller, query: c.ListTests, ports: Ports) -> c.TestPage:
    """The newest runs of a connector."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    found = await ports.runs.page(caller.enterprise, query)
    shown = found[: query.limit]
    next_before = shown[-1].number if len(found) > query.limit else None
    return c.TestPage(runs=[run.row() for run in shown], next_before=next_before)


async def cancel_test(caller: Caller, command: c.CancelTest, ports: Ports, runner: DraftTester) -> c.TestCancelled:
    """End a run, whoever started it; what it found until then stays evidence."""
    authorise(caller.principal, Action.TEST_DRAFT, caller.enterprise)
    run, _ = await _found(caller, command.run_id, ports)
    by = caller.principal.subject
    ended = await runner.break_off(run, "cancelled", f"The run was cancelled by {by}.", ended_by=by)
    if ended is not None:
        runner.leave(run.id)
        return c.TestCancelled(run_id=run.id, state=ended.state, changed=True)
    run, _ = await _found(caller, command.run_id, ports)
    return c.TestCancelled(run_id=run.id, state=run.state, changed=False)


async def _found(caller: Caller, identifier: str, ports: Ports) -> tuple[Run, list[c.TestStep]]:
    found = await ports.runs.find(caller.enterprise, identifier)
    if found is None:
        raise runs.no_run(identifier)
    return found


def _shown(run: Run, steps: list[c.TestStep]) -> c.TestRun:
    row: dict[str, Any] = run.row().model_dump()
    return c.TestRun(**row, steps=steps)


async def _credentials(caller: Caller, command: c.StartTest, ports: Ports) -> SealedCredentials | None:
    """Those that came with the command, or those that the caller keeps at the registry."""
    given = command.credentials
    if command.credentials_id is not None:
        if given is not None:
            raise DibopError(
                "invalid-request", "The test names `credentials_id` and brings `credentials`. Send one of both."
            )
        query = c.FetchTestCredentials(
            id=command.credentials_id, person=caller.principal.subject, connector=command.slug
        )
        given = await ports.registry.test_credentials(caller.enterprise, query, request_id=caller.request_id)
    if given is None:
        return None
    return SealedCredentials(
        id=given.id, origin=given.origin, kid=given.kid, values=dict(given.values), sealed=dict(given.sealed)
    )
