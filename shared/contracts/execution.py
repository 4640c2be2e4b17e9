"""The execution request and its reply, as they cross the bus (msgspec: the hot path)."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from shared.contracts.errors import Outcome

MAX_REQUEST_BYTES: Final = 512 * 1024
MAX_PAYLOAD_BYTES: Final = 2 * 1024 * 1024
"""`max_payload` of the NATS servers; a reply of more than this less `REPLY_RESERVE_BYTES` goes in parts."""
REPLY_RESERVE_BYTES: Final = 16 * 1024
RESPONSE_PART_BYTES: Final = 512 * 1024
MAX_RESPONSE_BYTES: Final = 10 * 1024 * 1024
"""The default cap on a decoded response body."""
DEFAULT_DEADLINE_MS: Final = 120_000
MAX_DEADLINE_MS: Final = 3_600_000

CONNECTION_HEADER: Final = "Dibop-Connection"
VERSION_HEADER: Final = "Dibop-Version"
DEADLINE_HEADER: Final = "Dibop-Deadline-Ms"
REQUEST_ID_HEADER: Final = "Dibop-Request-Id"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
TRACEPARENT_HEADER: Final = "traceparent"
AUTHORIZATION_HEADER: Final = "Authorization"
DEFAULT_CONNECTION: Final = "default"

ResponseEncoding = Literal["json", "text", "base64", "chunks"]
InnerEncoding = Literal["json", "text", "base64"]
RetryStopped = Literal["exhausted", "circuit-open", "rate-limited", "deadline"]


class ExecutionRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """`{"parameters": {...}, "headers": {...}, "timeout": seconds}`, all optional."""

    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    timeout: float | None = None


class SealedCredentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Credentials as they travel: plain values that are not sensitive, the rest sealed to the executors.

    `id` is the UUID that the sealing side made (a connection's id, or a test session's); `origin` and `kid`
    are the ones that stand in every sealed value's HPKE `info`. `sealed` values are standard base64.
    """

    id: str
    origin: str
    kid: str
    values: dict[str, str] = msgspec.field(default_factory=dict)
    sealed: dict[str, str] = msgspec.field(default_factory=dict)


class DraftExecutionRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the publisher sends on `draft.v1`: one operation of the document stored under `digest`."""

    owner: str
    digest: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    timeout: float | None = None
    credentials: SealedCredentials | None = None


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of the external system. `error` is a code of the catalogue, in place of a status.

    `waited_ms` is all that came before it: the delay of a repeat, the wait for a slot and for a permit.
    """

    duration_ms: float
    waited_ms: float
    status_code: int | None = None
    error: str | None = None


class ResponseBody(msgspec.Struct, frozen=True):
    """Where the parts of a large response lie: `resp.v1.<enterprise>.<id>.<n>`, n from 0."""

    id: str
    size: int
    sha256: str
    chunks: int
    inner_encoding: InnerEncoding


class SchemaError(msgspec.Struct, frozen=True):
    """One place where a response breaks its schema; `path` is a JSON pointer into the response."""

    path: str
    problem: str


class ExecutionReply(msgspec.Struct, kw_only=True):
    """The result of an execution: any HTTP response of the external system, 4xx and 5xx included."""

    request_id: str
    connector: str
    version: str
    operation: str
    connection: str | None
    status_code: int
    headers: dict[str, str]
    response: Any
    response_encoding: ResponseEncoding
    duration_ms: float
    attempts: list[Attempt]
    retry_stopped: RetryStopped | None = None
    schema_valid: bool | None = None
    schema_errors: list[SchemaError] = msgspec.field(default_factory=list)
    retry_after_ms: int | msgspec.UnsetType = msgspec.UNSET
    response_body: ResponseBody | msgspec.UnsetType = msgspec.UNSET


class RecordedBody(msgspec.Struct, frozen=True):
    """A body as it was sent or got, redacted. `size` is that of the whole in bytes; `truncated` ones are beginnings."""

    encoding: InnerEncoding
    text: str
    size: int
    truncated: bool = False


class RecordedRequest(msgspec.Struct, frozen=True):
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: RecordedBody | None = None


class RecordedResponse(msgspec.Struct, frozen=True):
    status_code: int
    headers: list[tuple[str, str]]
    body: RecordedBody | None = None


class Exchange(msgspec.Struct, frozen=True):
    """What a test of a draft sent and got, without secrets; no `response` where there was none."""

    request: RecordedRequest
    response: RecordedResponse | None = None


class DraftExecutionReply(ExecutionReply, kw_only=True):
    """The result of a draft's test."""

    exchange: Exchange | None = None


class Problem(msgspec.Struct, kw_only=True):
    """An error reply (RFC 9457). `exchange` is that of a draft's test."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    retry_after_ms: int | None = None
    outcome: Outcome | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    errors: list[dict[str, Any]] = msgspec.field(default_factory=list)
    exchange: Exchange | None = None
