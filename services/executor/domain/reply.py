"""Encoding the reply of an execution."""

from __future__ import annotations

from typing import Final

import msgspec

from services.executor.domain.response import Decoded
from shared.contracts.errors import DibopError
from shared.contracts.execution import (
    Attempt,
    DraftExecutionReply,
    Exchange,
    ExecutionReply,
    ResponseBody,
    RetryStopped,
)

_encoder: Final = msgspec.json.Encoder()
_NOTHING: Final = msgspec.Raw(b"null")


class Result(msgspec.Struct, frozen=True, gc=False):
    """What an execution came to. `retry_after_ms` is given where it is known when to come again.

    `exchange` is what a draft's test sent and got.
    """

    request_id: str
    connector: str
    version: str
    operation: str
    connection: str | None
    status: int
    headers: dict[str, str]
    attempts: list[Attempt]
    retry_stopped: RetryStopped | None
    retry_after_ms: int | None
    body: Decoded
    exchange: Exchange | None = None


def encode_reply(result: Result, duration_ms: float, *, max_bytes: int) -> bytes | None:
    """JSON of the reply, or None where it would have more than `max_bytes`."""
    if len(result.body.value) > max_bytes:
        return None
    encoded = _encode(result, duration_ms, msgspec.UNSET)
    return encoded if len(encoded) <= max_bytes else None


def encode_reply_in_parts(result: Result, duration_ms: float, parts: ResponseBody, *, max_bytes: int) -> bytes:
    """JSON of a reply whose body lies in `parts`; `response-too-large` where its headers alone are too much."""
    encoded = _encode(result, duration_ms, parts)
    if len(encoded) > max_bytes:
        raise DibopError(
            "response-too-large",
            f"The headers of the response have more than {max_bytes:,} bytes. Ask the external system for fewer.",
            outcome="unknown",
        )
    return encoded


def _encode(result: Result, duration_ms: float, parts: ResponseBody | msgspec.UnsetType) -> bytes:
    body = result.body
    whole = parts is msgspec.UNSET
    reply = ExecutionReply(
        request_id=result.request_id,
        connector=result.connector,
        version=result.version,
        operation=result.operation,
        connection=result.connection,
        status_code=result.status,
        headers=result.headers,
        response=msgspec.Raw(body.value) if whole else _NOTHING,
        response_encoding=body.encoding if whole else "chunks",
        duration_ms=duration_ms,
        attempts=result.attempts,
        retry_stopped=result.retry_stopped,
        schema_valid=body.schema_valid,
        schema_errors=list(body.schema_errors),
        retry_after_ms=msgspec.UNSET if result.retry_after_ms is None else result.retry_after_ms,
        response_body=parts,
    )
    if result.exchange is None:
        return _encoder.encode(reply)
    return _encoder.encode(DraftExecutionReply(**msgspec.structs.asdict(reply), exchange=result.exchange))
