"""The error catalogue: every refusal and failure that can cross the bus, in one table.

A failed request is answered with an RFC 9457 problem document and two headers that NATS
micro clients understand (`Nats-Service-Error`, `Nats-Service-Error-Code`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

ErrorCode = Literal[
    "invalid-request",
    "unauthenticated",
    "forbidden",
    "invalid-template",
    "not-found",
    "already-exists",
    "conflict",
    "not-publishable",
    "enterprise-suspended",
    "unknown-connector",
    "unknown-operation",
    "unknown-connection",
    "unknown-version",
    "invalid-parameters",
    "connection-required",
    "credentials-rejected",
    "rate-limited",
    "circuit-open",
    "overloaded",
    "upstream-unreachable",
    "upstream-timeout",
    "deadline-exceeded",
    "response-too-large",
    "egress-denied",
    "internal",
]

Outcome = Literal["not_sent", "unknown"]

TYPE_PREFIX: Final = "urn:dibop:error:"
ERROR_HEADER: Final = "Nats-Service-Error"
ERROR_CODE_HEADER: Final = "Nats-Service-Error-Code"


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the catalogue."""

    status: int
    title: str
    when: str
    next_step: str
    retryable: bool = False


CATALOGUE: Final[Mapping[ErrorCode, ErrorKind]] = {
    "invalid-request": ErrorKind(
        400,
        "The request is not well formed",
        "The body is not JSON, has the wrong shape, or is over 512 KiB.",
        "Mend the request; the detail names the place.",
    ),
    "unauthenticated": ErrorKind(
        401,
        "No valid token",
        "A token is needed here, and it is missing, expired or not signed by a trusted key.",
        "Send a current token in the Authorization header.",
    ),
    "forbidden": ErrorKind(
        403,
        "Not allowed",
        "The caller's roles or enterprise do not cover this.",
        "Ask an administrator for the role that the detail names.",
    ),
    "invalid-template": ErrorKind(
        422,
        "The template is not valid",
        "The template breaks rules; `errors` lists all of them.",
        "Mend each place that `errors` names.",
    ),
    "not-found": ErrorKind(
        404, "Not found", "Registry or publisher has no such thing.", "Check the name, or list what there is."
    ),
    "already-exists": ErrorKind(
        409, "Already exists", "The name is taken.", "Choose another name, or change the existing one."
    ),
    "conflict": ErrorKind(
        409,
        "In conflict with how it stands",
        "It was changed since it was read, or its state or what uses it is in the way; the detail says which.",
        "Look at how it stands now, and go on from there.",
    ),
    "not-publishable": ErrorKind(
        409,
        "The gate is not passed",
        "Something that publishing needs is missing; `errors` lists the gate's items.",
        "Do what each item asks, then publish again.",
    ),
    "enterprise-suspended": ErrorKind(
        403, "The enterprise is suspended", "The enterprise was suspended.", "Ask the platform's operator."
    ),
    "unknown-connector": ErrorKind(
        404,
        "No such connector",
        "No published connector of this name is visible to the enterprise.",
        "Use one of the nearest names, or publish the connector first.",
    ),
    "unknown-operation": ErrorKind(
        404,
        "No such operation",
        "This version of the connector has no such operation.",
        "Use one of the operations that the detail names.",
    ),
    "unknown-connection": ErrorKind(
        404,
        "No such connection",
        "The enterprise has no connection of this name for the connector.",
        "Use one of the connections that the detail names, or create it.",
    ),
    "unknown-version": ErrorKind(
        404,
        "No such version",
        "No published version fits what was asked for.",
        "Use one of the versions that the detail names.",
    ),
    "invalid-parameters": ErrorKind(
        422,
        "The parameters are not valid",
        "Parameters or headers do not fit the operation; `errors` lists each.",
        "Mend each parameter that `errors` names.",
    ),
    "connection-required": ErrorKind(
        424,
        "A connection is needed",
        "The connector authenticates, and the enterprise has no connection to it.",
        "Create a connection, then repeat the request.",
    ),
    "credentials-rejected": ErrorKind(
        424,
        "The credentials cannot be used",
        "The credentials were refused, or do not belong to this connector, connection and host.",
        "Rotate the connection's credentials.",
    ),
    "rate-limited": ErrorKind(
        429,
        "The rate limit is reached",
        "The wait for a permit is longer than the caller's deadline.",
        "Repeat after `retry_after_ms`, or allow more time.",
        retryable=True,
    ),
    "circuit-open": ErrorKind(
        503,
        "The circuit is open",
        "The external system has failed too often and is left alone for a while.",
        "Repeat after `retry_after_ms`.",
        retryable=True,
    ),
    "overloaded": ErrorKind(
        503,
        "The worker is full",
        "The worker's bounded queue is full.",
        "Repeat after a short while, or run more workers.",
        retryable=True,
    ),
    "upstream-unreachable": ErrorKind(
        502,
        "The external system cannot be reached",
        "Name resolution, connecting or the TLS handshake failed; nothing was sent.",
        "Check the address and the external system; repeating is safe.",
        retryable=True,
    ),
    "upstream-timeout": ErrorKind(
        504,
        "The external system did not answer",
        "The connection broke or time ran out after sending may have begun.",
        "`outcome: unknown` means that the operation may have happened: repeat only what is idempotent.",
    ),
    "deadline-exceeded": ErrorKind(
        504,
        "The caller's time ran out",
        "The deadline passed before anything was sent.",
        "Allow more time; repeating is safe.",
        retryable=True,
    ),
    "response-too-large": ErrorKind(
        502,
        "The response is too large",
        "The decoded response is over the cap.",
        "Ask the external system for less, by paging or filtering.",
    ),
    "egress-denied": ErrorKind(
        403,
        "The address is not allowed",
        "The host leads to an internal address that no operator has allowed, or can be read in more than one way.",
        "Use a public address, or have an operator allow this host and port.",
    ),
    "internal": ErrorKind(
        500,
        "Something broke here",
        "A bug.",
        "Report the request id; it finds the log line.",
    ),
}


class DibopError(Exception):
    """A failure of the catalogue, on its way to whoever asked.

    `detail` says what happened, to what, and what to do next, in whole sentences. `errors` holds one
    mapping for each problem: template problems have `path`, `problem`, `mend` (and `line`, `column`),
    parameter problems `name`, `problem`, `allowed`, gate items `item`, `reason`. `exchange` is what the test of a
    draft sent before it failed.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after_ms: int | None = None,
        outcome: Outcome | None = None,
        attempts: Sequence[Any] = (),
        request_id: str | None = None,
        exchange: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code: ErrorCode = code
        self.detail = detail
        self.errors = tuple(dict(e) for e in errors)
        self.retry_after_ms = retry_after_ms
        self.outcome = outcome
        self.attempts = tuple(attempts)
        self.request_id = request_id
        self.exchange = exchange

    @property
    def kind(self) -> ErrorKind:
        return CATALOGUE[self.code]

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def title(self) -> str:
        return self.kind.title

    @property
    def retryable(self) -> bool:
        """True where the same request may succeed later and repeating it can do no harm."""
        return self.kind.retryable

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    def headers(self) -> dict[str, str]:
        """The two headers that mark a reply as an error."""
        return {ERROR_HEADER: f"{self.code}: {self.title}", ERROR_CODE_HEADER: str(self.status)}

    def to_problem(self, request_id: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document; members that say nothing are left out."""
        problem: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id or self.request_id,
        }
        if self.retry_after_ms is not None:
            problem["retry_after_ms"] = self.retry_after_ms
        if self.outcome is not None:
            problem["outcome"] = self.outcome
        if self.attempts:
            problem["attempts"] = msgspec.to_builtins(list(self.attempts))
        if self.errors:
            problem["errors"] = list(self.errors)
        if self.exchange is not None:
            problem["exchange"] = dict(self.exchange)
        return problem

    @classmethod
    def from_problem(cls, problem: Mapping[str, Any]) -> DibopError:
        """Read what `to_problem` wrote. A type that this version does not know becomes `internal`."""
        code = str(problem.get("type", "")).removeprefix(TYPE_PREFIX)
        detail = str(problem.get("detail") or problem.get("title") or "The service gave no reason.")
        known = code in get_args(ErrorCode)
        return cls(
            code if known else "internal",  # type: ignore[arg-type]  # narrowed by `known`
            detail if known else f"{code or 'unnamed error'}: {detail}",
            errors=problem.get("errors") or (),
            retry_after_ms=problem.get("retry_after_ms"),
            outcome=problem.get("outcome"),
            attempts=problem.get("attempts") or (),
            request_id=problem.get("request_id"),
            exchange=problem.get("exchange"),
        )
