"""What can go wrong for a caller.

DibopError                   everything below; has code, detail, errors, retryable, request_id
├── InvalidRequestError      invalid-request, invalid-parameters, invalid-template
├── NotFoundError            not-found, unknown-connector, -operation, -connection, -version
├── ConflictError            already-exists, conflict, not-publishable
├── NotAllowedError          unauthenticated, forbidden, enterprise-suspended, egress-denied
├── CredentialsError         connection-required, credentials-rejected
├── BusyError                rate-limited, circuit-open, overloaded, deadline-exceeded
├── UpstreamError            upstream-unreachable, upstream-timeout, response-too-large
├── InternalError            internal
├── LocalError               nothing of the catalogue: the trouble is on this side of the bus
│   ├── ContextError         no-context: no context file, or a damaged one
│   ├── BusUnreachableError  bus-unreachable: NATS does not answer, or refuses this caller
│   ├── ConsoleUnreachableError  console-unreachable: nobody answers at the console's address
│   ├── NoServiceError       no-service: nobody serves the subject
│   ├── ReplyTimeoutError    no-reply: the answer did not come in time
│   ├── BrokenReplyError     broken-reply: the answer is not what the contract says
│   ├── LocalStackError      stack-failed: the local stack cannot start, run or stop as asked
│   ├── NatsKeysError        nats-keys: NATS users cannot be made
│   ├── AuthorizationError   not-authorized: an external system's authorization did not come about
│   └── SealingKeysError     sealing-keys: key files that cannot be used, or that executors have not read yet
└── UpstreamStatusError      upstream-status: raised by `Execution.raise_for_status()` alone
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from shared.contracts.errors import DibopError, ErrorCode, ErrorKind

if TYPE_CHECKING:
    from dibop.execution import Execution


class InvalidRequestError(DibopError):
    """The request has to change before it can succeed."""


class NotFoundError(DibopError):
    """A name leads to nothing that the caller may see."""


class ConflictError(DibopError):
    """The state of things forbids it: taken, changed meanwhile, or not ready."""


class NotAllowedError(DibopError):
    """The caller, or the address, is not allowed."""


class CredentialsError(DibopError):
    """The connection to the external system is missing or refused."""


class BusyError(DibopError):
    """Not now; nothing was sent."""


class UpstreamError(DibopError):
    """The external system gave no usable response; `outcome` says whether it may have acted."""


class InternalError(DibopError):
    """A bug in a service; the request id finds its log line."""


BY_CODE: Final[Mapping[ErrorCode, type[DibopError]]] = {
    "invalid-request": InvalidRequestError,
    "invalid-parameters": InvalidRequestError,
    "invalid-template": InvalidRequestError,
    "not-found": NotFoundError,
    "unknown-connector": NotFoundError,
    "unknown-operation": NotFoundError,
    "unknown-connection": NotFoundError,
    "unknown-version": NotFoundError,
    "already-exists": ConflictError,
    "conflict": ConflictError,
    "not-publishable": ConflictError,
    "unauthenticated": NotAllowedError,
    "forbidden": NotAllowedError,
    "enterprise-suspended": NotAllowedError,
    "egress-denied": NotAllowedError,
    "connection-required": CredentialsError,
    "credentials-rejected": CredentialsError,
    "rate-limited": BusyError,
    "circuit-open": BusyError,
    "overloaded": BusyError,
    "deadline-exceeded": BusyError,
    "upstream-unreachable": UpstreamError,
    "upstream-timeout": UpstreamError,
    "response-too-large": UpstreamError,
    "internal": InternalError,
}


def from_problem(problem: Mapping[str, Any]) -> DibopError:
    """The error that an answered problem document tells of, as its class of the tree."""
    return typed(DibopError.from_problem(problem))


def typed(error: DibopError) -> DibopError:
    """The same error as its class of the tree."""
    if type(error) is not DibopError:
        return error
    return BY_CODE[error.code](
        error.code,
        error.detail,
        errors=error.errors,
        retry_after_ms=error.retry_after_ms,
        outcome=error.outcome,
        attempts=error.attempts,
        request_id=error.request_id,
    )


class LocalError(DibopError):
    """A failure on this side of the bus: its code is in no answer of a service."""

    local_code: ClassVar[str] = "local"
    local_kind: ClassVar[ErrorKind]

    def __init__(self, detail: str, *, request_id: str | None = None) -> None:
        super().__init__("internal", detail, request_id=request_id)
        self.code = self.local_code  # type: ignore[assignment]  # not of the catalogue, and known by its own kind

    @property
    def kind(self) -> ErrorKind:
        return self.local_kind


class ContextError(LocalError):
    local_code = "no-context"
    local_kind = ErrorKind(
        400,
        "No usable context",
        "The context file is missing or damaged.",
        "Start a stack with 'dibop up', or point --home or DIBOP_HOME at one that runs.",
    )


class BusUnreachableError(LocalError):
    local_code = "bus-unreachable"
    local_kind = ErrorKind(
        503,
        "NATS cannot be reached",
        "The NATS server does not answer, or refuses this caller.",
        "Run 'dibop status'; start the stack with 'dibop up', or check nats_url in the context file.",
        retryable=True,
    )


class ConsoleUnreachableError(LocalError):
    local_code = "console-unreachable"
    local_kind = ErrorKind(
        503,
        "The console cannot be reached",
        "The console does not answer at the address that the context file names.",
        "Run 'dibop status'; start the stack with 'dibop up', or check console_url in the context file.",
        retryable=True,
    )


class NoServiceError(LocalError):
    local_code = "no-service"
    local_kind = ErrorKind(
        503,
        "Nobody serves this",
        "No running service listens to the subject.",
        "Run 'dibop status' to see which part is missing.",
        retryable=True,
    )


class ReplyTimeoutError(LocalError):
    """No answer in time. Whether the operation happened is not known."""

    local_code = "no-reply"
    local_kind = ErrorKind(
        504,
        "No answer in time",
        "The service did not answer within the time that the caller waits.",
        "Repeat only what is idempotent; allow more time with a longer deadline; 'dibop status' shows what runs.",
    )


class BrokenReplyError(LocalError):
    local_code = "broken-reply"
    local_kind = ErrorKind(
        502,
        "The answer is damaged",
        "A reply, or a part of a large one, is not what the contract says.",
        "Repeat what is idempotent; if it happens again, client and services may be of different versions.",
    )


class LocalStackError(LocalError):
    local_code = "stack-failed"
    local_kind = ErrorKind(
        500,
        "The local stack cannot do this",
        "A part cannot start, or the home is not in a state for it.",
        "Read the detail; each part's log lies in the home's folder 'logs'.",
    )


class SealingKeysError(LocalError):
    local_code = "sealing-keys"
    local_kind = ErrorKind(
        500,
        "The sealing keys cannot be changed",
        "A key file is missing or cannot be written, or executors have not read the key ring yet.",
        "Read the detail. A rotation that stopped goes on when it is repeated.",
    )


class AuthorizationError(LocalError):
    local_code = "not-authorized"
    local_kind = ErrorKind(
        403,
        "The authorization did not come about",
        "Consent was refused or took too long, or the authorization server sent something else than a code.",
        "Read the detail, then run the command again.",
    )


class NatsKeysError(LocalError):
    local_code = "nats-keys"
    local_kind = ErrorKind(
        500,
        "NATS users cannot be made",
        "The keys that NATS users are made with are missing or damaged, or a name cannot be used.",
        "Read the detail. 'dibop nats init DIR' makes keys; '--keys DIR' says where they are.",
    )


class UpstreamStatusError(LocalError):
    """The external system answered with 4xx or 5xx; `execution` is the whole result."""

    local_code = "upstream-status"
    local_kind = ErrorKind(
        502,
        "The external system refused",
        "It answered with a 4xx or 5xx status.",
        "The response says why.",
    )

    def __init__(self, detail: str, execution: Execution) -> None:
        super().__init__(detail, request_id=execution.request_id)
        self.execution = execution


__all__ = [
    "BY_CODE",
    "AuthorizationError",
    "BrokenReplyError",
    "BusUnreachableError",
    "BusyError",
    "ConflictError",
    "ContextError",
    "CredentialsError",
    "DibopError",
    "InternalError",
    "InvalidRequestError",
    "LocalError",
    "LocalStackError",
    "NatsKeysError",
    "NoServiceError",
    "NotAllowedError",
    "NotFoundError",
    "ReplyTimeoutError",
    "SealingKeysError",
    "UpstreamError",
    "UpstreamStatusError",
    "from_problem",
    "typed",
]
