"""The use cases: execute an operation, test a draft's. From a request's bytes to a reply's, free of any bus."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

import msgspec

from services.executor.attempts import Sender
from services.executor.domain.echoes import NOTHING_HIDDEN
from services.executor.domain.recording import Recorder
from services.executor.domain.reply import Result, encode_reply, encode_reply_in_parts
from services.executor.domain.request import build_request, sensitive_texts
from services.executor.domain.response import Decoded, decode_response, visible_headers
from services.executor.domain.schemas import SchemaCache
from services.executor.domain.timing import check_timeout, deadline_passed, whole_schedule
from services.executor.oauth.bearer import Bearer
from services.executor.oauth.tokens import Tokens
from services.executor.resilience.turn import NO_PLACE, Place
from services.executor.resolve import Resolver, Route, RouteKey
from shared.contracts.errors import DibopError
from shared.contracts.execution import (
    DEFAULT_DEADLINE_MS,
    MAX_REQUEST_BYTES,
    DraftExecutionRequest,
    ExecutionRequest,
    ResponseBody,
)
from shared.contracts.subjects import enterprise_of
from shared.contracts.unreadable import UNREADABLE
from shared.security.principals import suspended
from shared.security.redaction import keep_out, keep_out_too

T = TypeVar("T")

_EMPTY: Final = ExecutionRequest()
_decode_request: Final = msgspec.json.Decoder(ExecutionRequest).decode
_decode_draft: Final = msgspec.json.Decoder(DraftExecutionRequest).decode
_SHAPE: Final = 'Send {"parameters": {…}, "headers": {…}, "timeout": seconds}, all optional.'
_MOST_QUOTED: Final = 300
_DRAFT_SHAPE: Final = "Send owner and digest, and what an execution takes."


class Parts(Protocol):
    """Where bodies lie that are too large for a reply."""

    async def store(self, enterprise: str, body: Decoded) -> ResponseBody: ...


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request as it arrived. `arrived` is a time of `monotonic`, `waits` the seconds that the caller waits.

    `place` is the request's among those that the worker works on.
    """

    request_id: str
    key: RouteKey
    body: bytes
    arrived: float
    waits: float | None
    idempotency_key: str | None
    place: Place = NO_PLACE


@dataclass(frozen=True, slots=True)
class Ports:
    """What executions need.

    `max_reply_bytes` is the most that one message may carry; `hides_echoes` has credentials taken out of bodies too.
    `suspended` are the enterprises for which nothing is executed.
    """

    resolver: Resolver
    sender: Sender
    schemas: SchemaCache
    parts: Parts
    tokens: Tokens
    max_reply_bytes: int
    hides_echoes: bool
    suspended: Container[str] = frozenset()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The encoded reply, and the result that it tells of."""

    body: bytes
    result: Result


async def execute(call: Call, ports: Ports) -> Answer:
    """Run a published operation, or raise a DibopError."""
    _check_deadline(call)
    _check_standing(call, ports)
    body = call.body
    request = _decode(_decode_request, body, _SHAPE) if body else _EMPTY
    check_timeout(request.timeout)
    route = ports.resolver.known(call.key)
    if route is None:
        route = await _in_time(call, ports.resolver.resolve(call.key))
    return await _run(call, request, route, ports)


async def execute_draft(call: Call, ports: Ports) -> Answer:
    """Run an operation of a draft's document with the test credentials that the request brings."""
    _check_deadline(call)
    _check_standing(call, ports)
    draft = _decode(_decode_draft, call.body, _DRAFT_SHAPE)
    check_timeout(draft.timeout)
    route = await _in_time(call, ports.resolver.resolve_draft(call.key[0], draft))
    request = ExecutionRequest(draft.parameters, draft.headers, draft.timeout)
    recorder = Recorder()
    try:
        return await _run(call, request, route, ports, recorder)
    except DibopError as error:
        exchange = recorder.exchange()
        error.exchange = None if exchange is None else msgspec.to_builtins(exchange)
        raise


async def _run(
    call: Call, request: ExecutionRequest, route: Route, ports: Ports, recorder: Recorder | None = None
) -> Answer:
    operation, target = route.operation, route.target
    keep_out(target.secrets)
    http_request = build_request(
        operation,
        target,
        request.parameters,
        request.headers,
        idempotency_key=call.idempotency_key,
        schemas=ports.schemas,
    )
    if operation.sensitive:
        keep_out_too(*sensitive_texts(operation, request.parameters))
    waits = call.waits
    if waits is None:
        waits = whole_schedule(operation.resilience, request.timeout, renewable=target.tokens is not None)
    deadline, bearer = call.arrived + waits, None
    if target.tokens is not None:
        bearer = Bearer(ports.tokens, target.tokens, deadline=deadline, place=call.place)
        http_request = await bearer.sign(http_request)
    if recorder is not None:
        recorder.sending(http_request, operation, target.auth, sensitive_texts(operation, request.parameters))
    sent = await ports.sender.send(
        http_request,
        operation,
        route.hold,
        limit=request.timeout,
        deadline=deadline,
        place=call.place,
        renewal=bearer,
    )
    response, hidden = sent.response, target.credentials.hidden if bearer is None else bearer.hidden
    body = decode_response(
        response, operation.response_schema, ports.schemas, hidden if ports.hides_echoes else NOTHING_HIDDEN
    )
    if recorder is not None:
        recorder.answered(response, body)
    result = Result(
        request_id=call.request_id,
        connector=route.hold.target.connector,
        version=route.version,
        operation=operation.name,
        connection=route.connection,
        status=response.status,
        headers=visible_headers(response.headers, hidden),
        attempts=sent.attempts,
        retry_stopped=sent.retry_stopped,
        retry_after_ms=sent.retry_after_ms,
        body=body,
        exchange=None if recorder is None else recorder.exchange(),
    )
    encoded = encode_reply(result, _since(call), max_bytes=ports.max_reply_bytes)
    if encoded is None:
        parts = await ports.parts.store(route.hold.target.enterprise, result.body)
        encoded = encode_reply_in_parts(result, _since(call), parts, max_bytes=ports.max_reply_bytes)
    return Answer(encoded, result)


def _check_deadline(call: Call) -> None:
    """Nothing is computed for a caller that is gone; a request may have waited in the queue."""
    if call.waits is not None and call.arrived + call.waits <= monotonic():
        raise deadline_passed()


def _check_standing(call: Call, ports: Ports) -> None:
    enterprise = enterprise_of(call.key[0])
    if enterprise in ports.suspended:
        raise suspended(enterprise)


def _decode(decode: Any, body: bytes, shape: str) -> Any:
    if len(body) > MAX_REQUEST_BYTES:
        raise DibopError(
            "invalid-request",
            f"The body has {len(body):,} bytes, and at most {MAX_REQUEST_BYTES:,} are allowed. Send less at once.",
        )
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise DibopError("invalid-request", f"The body has the wrong shape: {_cut(error)}. {shape}") from None
    except UNREADABLE as error:
        raise DibopError("invalid-request", f"The body is not JSON that can be read: {_cut(error)}. {shape}") from None


async def _in_time(call: Call, work: Coroutine[Any, Any, T]) -> T:
    waits = call.waits if call.waits is not None else DEFAULT_DEADLINE_MS / 1000
    try:
        async with asyncio.timeout(call.arrived + waits - monotonic()) as limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise deadline_passed() from None
        raise


def _cut(error: Exception) -> str:
    """What is wrong with a body, without a name of any length that it holds."""
    return str(error)[:_MOST_QUOTED]


def _since(call: Call) -> float:
    return round((monotonic() - call.arrived) * 1000, 3)
