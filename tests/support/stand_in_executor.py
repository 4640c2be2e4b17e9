"""An executor that answers tests of drafts as it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from nats.aio.msg import Msg

from shared.contracts import commands, subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import DraftExecutionReply, DraftExecutionRequest
from shared.messaging.connection import BusClient
from shared.messaging.objects import Documents


@dataclass
class StandInExecutor:
    """Answers every draft request with 200, or with what `answers` has for the operation."""

    nc: BusClient
    answers: dict[str, DraftExecutionReply | DibopError] = field(default_factory=dict)
    requests: dict[str, DraftExecutionRequest] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    documents: dict[str, bytes | None] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """Operations that get no answer."""

    async def serve(self) -> None:
        probe = subjects.executor("*", "draft", "probe")
        await self.nc.subscribe(probe, queue=subjects.EXECUTORS_QUEUE, cb=self._probed)
        await self.nc.subscribe(subjects.DRAFT_PATTERN, queue=subjects.EXECUTORS_QUEUE, cb=self._answer)
        await self.nc.flush()

    async def _probed(self, message: Msg) -> None:
        command = commands.ProbeDraft.model_validate_json(message.data)
        assert subjects.parse(message.subject).enterprise == command.owner
        names: tuple[commands.ProbeStepName, ...] = ("dns", "tcp", "tls", "http", "auth")
        steps = [commands.ProbeStep(step=name, outcome="pass", duration_ms=1.0) for name in names]
        answer = commands.Probed(outcome="online", steps=steps, duration_ms=5.0)
        await message.respond(answer.model_dump_json().encode())

    async def _answer(self, message: Msg) -> None:
        operation = subjects.parse(message.subject).second
        request = msgspec.json.decode(message.data, type=DraftExecutionRequest)
        self.requests[operation] = request
        self.headers[operation] = dict(message.headers or {})
        self.documents[request.digest] = await Documents(self.nc.jetstream()).get(request.digest)
        if operation in self.silent:
            return
        answer = self.answers.get(operation) or answered(operation=operation)
        if isinstance(answer, DibopError):
            problem = msgspec.json.encode(answer.to_problem("r"))
            await self.nc.publish(message.reply, problem, headers=answer.headers())
        else:
            await message.respond(msgspec.json.encode(answer))


def answered(**values: Any) -> DraftExecutionReply:
    passing: dict[str, Any] = {
        "request_id": "r",
        "connector": "weather",
        "version": "draft",
        "operation": "now",
        "connection": None,
        "status_code": 200,
        "headers": {},
        "response": {},
        "response_encoding": "json",
        "duration_ms": 1.5,
        "attempts": [],
        "schema_valid": True,
    }
    return DraftExecutionReply(**{**passing, **values})
