"""One test run on its way: its steps one after the other, each noted and told as it begins and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from services.publisher.domain import runs, testing
from services.publisher.domain.evidence import Evidence
from services.publisher.domain.runs import Run
from services.publisher.handlers import test_records
from services.publisher.handlers.ports import Ending, Ports
from shared.contracts.clock import utc_now
from shared.contracts.commands import Exchange, ProbeDraft, RecordedBody, TestCredentials, TestStep
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEFAULT_DEADLINE_MS, DraftExecutionRequest, SealedCredentials
from shared.tasks import unbroken

CONCURRENT_OPERATIONS: Final = 4
OPERATION_DEADLINE_SECONDS: Final = DEFAULT_DEADLINE_MS / 1000
_NOT_REACHED: Final = (
    "The test's time ran out before this operation's turn came. Run it by name: --operation {operation}"
)

_log = structlog.get_logger(__name__)


class RunEndedError(Exception):
    """The run was ended by somebody else."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run that begins, with what only its own process knows. `parameters` replace samples, by operation."""

    run: Run
    enterprise: str
    steps: tuple[TestStep, ...]
    samples: Mapping[str, Mapping[str, Any]]
    digests: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    credentials: SealedCredentials | None = None
    timeout: float | None = None


class Going:
    """A job at work. Evidence is kept with the step that it comes of, so that no end of a run takes it away."""

    def __init__(self, job: Job, ports: Ports, *, seconds: float) -> None:
        self._job = job
        self._ports = ports
        self._ends_at = time.monotonic() + seconds
        self._turns = asyncio.Semaphore(CONCURRENT_OPERATIONS)
        self._seq = max((step.seq for step in job.steps), default=0)
        self._kept = 0

    async def to_the_end(self) -> Run:
        """Do every step and end the run; RunEndedError where somebody else has."""
        for step in self._job.steps:
            if step.seq:
                self._tell(step)
        connectivity, authentication, *others = self._job.steps
        operations = [step for step in others if step.outcome is None]
        unreachable = await self._probe(connectivity, authentication)
        if unreachable is not None:
            for step in operations:
                await self._note(step, outcome="skip", reason=unreachable)
        else:
            await self._operations(operations)
        run = self._job.run
        ended = await unbroken(self._ports.runs.end(run.owner, run.id, self._ending))
        if ended is None:
            raise RunEndedError
        _log.info(
            "Tested a draft",
            connector=ended.slug,
            owner=ended.owner,
            run_id=ended.id,
            passed=ended.passed,
            failed=ended.failed,
            skipped=ended.skipped,
        )
        return ended

    async def _probe(self, connectivity: TestStep, authentication: TestStep) -> str | None:
        """Connectivity and authentication; why no operation can have an answer, where that is so."""
        connectivity = await self._note(connectivity, started_at=utc_now())
        run, credentials = self._job.run, self._job.credentials
        command = ProbeDraft(
            owner=run.owner,
            slug=run.slug,
            digest=run.digest,
            credentials=None if credentials is None else TestCredentials(**msgspec.to_builtins(credentials)),
        )
        why = None
        try:
            probed = await self._ports.executors.probe(self._job.enterprise, command, request_id=f"{run.id}/probe")
        except DibopError as error:
            reached, accepted = testing.not_probed(error)
        else:
            reached, accepted = testing.connectivity(probed), testing.authentication(probed)
            why = testing.unreachable(probed)
        await self._note(connectivity, **reached)
        await self._note(authentication, **accepted)
        return why

    async def _operations(self, steps: list[TestStep]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for step in steps:
                    group.create_task(self._operation(step))
        except* RunEndedError:
            raise RunEndedError from None

    def _ending(self, run: Run, steps: list[TestStep]) -> Ending:
        ended = runs.completed(run, steps, utc_now())
        told, audit = test_records.completed(ended, steps), test_records.audit(ended)
        return Ending(ended, steps, told, audit, digests=self._job.digests.values())

    async def _operation(self, step: TestStep) -> None:
        async with self._turns:
            operation = step.operation or ""
            remaining = self._ends_at - time.monotonic()
            if remaining <= 0:
                await self._note(step, outcome="fail", reason=_NOT_REACHED.format(operation=operation))
                return
            step = await self._note(step, started_at=utc_now())
            request_id = f"{self._job.run.id}/{operation}"
            exchange: Exchange | None
            try:
                reply = await self._ports.executors.execute(
                    self._job.enterprise,
                    self._job.run.slug,
                    operation,
                    self._request(operation),
                    deadline_seconds=min(remaining, OPERATION_DEADLINE_SECONDS),
                    request_id=request_id,
                )
            except DibopError as error:
                outcome, exchange = testing.failed(error, request_id), _read(error.exchange)
            else:
                recorded = None if reply.exchange is None else msgspec.to_builtins(reply.exchange)
                outcome, exchange = testing.judged(reply), _read(recorded)
            await self._note(step, evidence=True, exchange=exchange, **outcome)

    async def _note(
        self, step: TestStep, *, evidence: bool = False, exchange: Exchange | None = None, **changes: Any
    ) -> TestStep:
        """Keep what became of a step, then tell it."""
        self._seq += 1
        changed = step.model_copy(update={**changes, "seq": self._seq})
        noted = await unbroken(
            self._ports.runs.note(
                self._job.run,
                changed,
                exchange=None if exchange is None else self._bounded(exchange),
                evidence=self._evidence(changed) if evidence else None,
            )
        )
        if not noted:
            raise RunEndedError
        self._tell(changed)
        return changed

    def _tell(self, step: TestStep) -> None:
        self._ports.progress.tell(test_records.progressed(self._job.run, step))

    def _evidence(self, step: TestStep) -> Evidence:
        run, operation = self._job.run, step.operation or ""
        return Evidence(
            run_id=run.id,
            owner=run.owner,
            slug=run.slug,
            operation=operation,
            operation_digest=self._job.digests[operation],
            outcome="pass" if step.outcome == "pass" else "fail",
            reason=step.reason,
            status_code=step.status_code,
            duration_ms=step.duration_ms,
            actor=run.actor,
            at=utc_now(),
        )

    def _request(self, operation: str) -> DraftExecutionRequest:
        given = self._job.parameters.get(operation)
        return DraftExecutionRequest(
            owner=self._job.run.owner,
            digest=self._job.run.digest,
            parameters=dict(self._job.samples[operation] if given is None else given),
            timeout=self._job.timeout,
            credentials=self._job.credentials,
        )

    def _bounded(self, exchange: Exchange) -> Exchange:
        """The exchange, without its bodies once the run has kept enough."""
        self._kept += len(exchange.model_dump_json())
        if self._kept <= runs.MAX_KEPT_BYTES:
            return exchange
        response = exchange.response
        return Exchange(
            request=exchange.request.model_copy(update={"body": _emptied(exchange.request.body)}),
            response=response and response.model_copy(update={"body": _emptied(response.body)}),
        )


def _emptied(body: RecordedBody | None) -> RecordedBody | None:
    return body and body.model_copy(update={"text": None, "truncated": True})


def _read(recorded: Mapping[str, Any] | None) -> Exchange | None:
    return None if recorded is None else Exchange.model_validate(recorded)
