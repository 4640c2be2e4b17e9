"""The result of an execution, as a caller gets it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dibop.errors import BrokenReplyError, UpstreamStatusError
from shared.contracts import large_replies
from shared.contracts.execution import Attempt, ExecutionReply, ResponseBody, RetryStopped, SchemaError
from shared.contracts.unreadable import UNREADABLE


@dataclass(frozen=True, slots=True)
class Execution:
    """What the external system answered.

    `response` is the decoded JSON value, a str for text, bytes for anything else. `headers` are the response's, with
    lower-case names. `schema_valid` is None where the operation has no response schema. `raw` is the reply as it
    came off the bus; for a large reply it holds where the parts lay.
    """

    request_id: str
    connector: str
    version: str
    operation: str
    connection: str | None
    status_code: int
    headers: dict[str, str]
    response: Any
    duration_ms: float
    attempts: list[Attempt]
    retry_stopped: RetryStopped | None
    retry_after_ms: int | None
    schema_valid: bool | None
    schema_errors: list[SchemaError]
    raw: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """True for a 2xx status."""
        return 200 <= self.status_code < 300

    def portable_response(self) -> Any:
        """The response as JSON can carry it: bytes as base64."""
        return base64.b64encode(self.response).decode() if isinstance(self.response, bytes) else self.response

    def raise_for_status(self) -> Execution:
        """Return self, or raise UpstreamStatusError for a 4xx or 5xx status."""
        if self.status_code < 400:
            return self
        raise UpstreamStatusError(
            f"{self.connector}.{self.operation} was answered with status {self.status_code} by the external system.",
            self,
        )


def decode_reply(raw: bytes) -> ExecutionReply:
    """Read a reply off the bus; BrokenReplyError for what is not one."""
    try:
        return msgspec.json.decode(raw, type=ExecutionReply)
    except UNREADABLE as error:
        raise BrokenReplyError(f"The executor's reply is not an execution reply: {error}.") from error


def parts_of(reply: ExecutionReply) -> ResponseBody | None:
    """Where the response lies, if it is too large for the reply itself."""
    if reply.response_encoding != "chunks":
        return None
    if isinstance(reply.response_body, ResponseBody):
        return reply.response_body
    raise BrokenReplyError("The reply says 'chunks' and does not say where they are.", request_id=reply.request_id)


def join_parts(body: ResponseBody, parts: list[bytes]) -> bytes:
    """The whole body, once its length and SHA-256 are what the reply says."""
    try:
        return large_replies.join_parts(body, parts)
    except ValueError as error:
        raise BrokenReplyError(str(error)) from None


def build(raw: bytes, reply: ExecutionReply, whole: bytes | None) -> Execution:
    """The result of a reply, and of the joined parts where the response came in parts."""
    return Execution(
        request_id=reply.request_id,
        connector=reply.connector,
        version=reply.version,
        operation=reply.operation,
        connection=reply.connection,
        status_code=reply.status_code,
        headers=reply.headers,
        response=_response(reply, whole),
        duration_ms=reply.duration_ms,
        attempts=reply.attempts,
        retry_stopped=reply.retry_stopped,
        retry_after_ms=None if reply.retry_after_ms is msgspec.UNSET else reply.retry_after_ms,
        schema_valid=reply.schema_valid,
        schema_errors=reply.schema_errors,
        raw=raw,
    )


def _response(reply: ExecutionReply, whole: bytes | None) -> Any:
    body = parts_of(reply)
    try:
        if body is None or whole is None:
            return base64.b64decode(reply.response) if reply.response_encoding == "base64" else reply.response
        if body.inner_encoding == "json":
            return msgspec.json.decode(whole)
        return whole.decode() if body.inner_encoding == "text" else whole
    except (*UNREADABLE, binascii.Error, TypeError, ValueError) as error:
        raise BrokenReplyError(
            f"The response cannot be read as the reply says: {error}.", request_id=reply.request_id
        ) from error
