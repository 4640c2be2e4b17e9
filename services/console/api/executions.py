"""Operations executed in a person's name, for those who are not on the bus."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Header
from pydantic import Field
from starlette.responses import Response

from services.console.api import routing
from services.console.api.dependencies import DeskOf, OperationPath, SlugPath
from services.console.api.models import View
from shared.contracts.execution import (
    CONNECTION_HEADER,
    DEFAULT_DEADLINE_MS,
    IDEMPOTENCY_HEADER,
    TRACEPARENT_HEADER,
    VERSION_HEADER,
    ExecutionRequest,
    RetryStopped,
)
from shared.contracts.limits import MAX_EXTRA_HEADERS, MAX_IDEMPOTENCY_KEY_CHARACTERS
from shared.contracts.names import TOKEN_PATTERN

router = routing.router("executions")

_LONGEST_SECONDS: Final = 300.0


class Execution(View):
    """`timeout` bounds one attempt, `deadline` the whole with its repeats and waits, both in seconds."""

    parameters: dict[str, Any] = Field(default_factory=dict, examples=[{"q": "London"}])
    headers: dict[str, str] = Field(default_factory=dict, max_length=MAX_EXTRA_HEADERS)
    connection: Annotated[str | None, Field(pattern=TOKEN_PATTERN, examples=["default"])] = None
    version: Annotated[str | None, Field(max_length=32, pattern=r"^\^?[0-9.]+$", examples=["^1"])] = None
    timeout: Annotated[float | None, Field(gt=0, le=_LONGEST_SECONDS)] = None
    deadline: Annotated[float, Field(gt=0, le=_LONGEST_SECONDS)] = DEFAULT_DEADLINE_MS / 1000


class Attempt(View):
    duration_ms: float
    waited_ms: float
    status_code: int | None = None
    error: str | None = None


class SchemaError(View):
    path: str
    problem: str


class ExecutionResult(View):
    """What the external system answered, 4xx and 5xx included; only a request without any response is an error."""

    request_id: str
    connector: str
    version: str
    operation: str
    connection: str | None
    status_code: int = Field(examples=[200])
    headers: dict[str, str]
    response: Any
    response_encoding: Literal["json", "text", "base64"]
    duration_ms: float
    attempts: list[Attempt]
    retry_stopped: RetryStopped | None = None
    schema_valid: bool | None = None
    schema_errors: list[SchemaError] = Field(default_factory=list)
    retry_after_ms: int | None = None


@router.post(
    "/connectors/{slug}/operations/{operation}/execute",
    summary="Execute an operation",
    response_model=ExecutionResult,
)
async def execute(
    slug: SlugPath,
    operation: OperationPath,
    body: Execution,
    desk: DeskOf,
    idempotency_key: Annotated[str | None, Header(max_length=MAX_IDEMPOTENCY_KEY_CHARACTERS)] = None,
    traceparent: Annotated[str | None, Header(max_length=256)] = None,
) -> Response:
    """In the caller's name and enterprise, on the same workers and with the same limits as over the bus.

    The status is 200 whatever the external system answered: `status_code` is its status. Large responses are put
    together here.
    """
    optional = {
        CONNECTION_HEADER: body.connection,
        VERSION_HEADER: body.version,
        IDEMPOTENCY_HEADER: idempotency_key,
        TRACEPARENT_HEADER: traceparent,
    }
    headers = {name: value for name, value in optional.items() if value is not None}
    request = ExecutionRequest(parameters=body.parameters, headers=body.headers, timeout=body.timeout)
    answer = await desk.parts.bus.execute(desk.caller, slug, operation, request, headers, seconds=body.deadline)
    return Response(answer, media_type="application/json")
