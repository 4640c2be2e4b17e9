"""Requests: ask a service, and get its answer or its error."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from pydantic import BaseModel

from shared.contracts.errors import ERROR_CODE_HEADER, DibopError
from shared.contracts.execution import AUTHORIZATION_HEADER, REQUEST_ID_HEADER
from shared.contracts.unreadable import UNREADABLE

M = TypeVar("M", bound=BaseModel)

_SERVICES: Final[Mapping[str, str]] = {
    "registry": "registry",
    "publisher": "publisher",
    "executor": "executor",
    "exec": "executor",
    "execas": "executor",
    "draft": "executor",
}


async def request(
    nc: Client,
    subject: str,
    body: bytes | Mapping[str, Any] | BaseModel | msgspec.Struct,
    *,
    timeout: float,  # noqa: ASYNC109  # it ends in our own error, not in asyncio's
    token: str | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Send one request and return the reply's body; `timeout` in seconds.

    Raises the DibopError that the service answered; `overloaded` when no service listens,
    `deadline-exceeded` when none answered in time, `invalid-request` when the body is too large to send.
    """
    request_id = request_id or str(uuid.uuid4())
    sent = {**(headers or {}), REQUEST_ID_HEADER: request_id}
    if token is not None:
        sent[AUTHORIZATION_HEADER] = f"Bearer {token}"
    try:
        reply = await nc.request(subject, _encode(body), timeout=timeout, headers=sent)
    except NoRespondersError:
        service = _SERVICES.get(subject.partition(".")[0], "service")
        raise DibopError(
            "overloaded",
            f"No {service} answers on {subject}. Is it running? 'dibop status' shows what runs; "
            "after a restart, repeat in a moment.",
            request_id=request_id,
        ) from None
    except NatsTimeoutError:
        raise DibopError(
            "deadline-exceeded",
            f"No answer from {subject} within {timeout:g} s; whether it was carried out is not known. "
            "Look before repeating, or allow more time.",
            request_id=request_id,
            outcome="unknown",
        ) from None
    except MaxPayloadError:
        raise DibopError(
            "invalid-request",
            f"The request to {subject} is over the {nc.max_payload} bytes that the NATS server takes. Send less.",
            request_id=request_id,
        ) from None
    except NatsError as error:
        raise DibopError(
            "overloaded",
            f"The connection to NATS is not usable ({error}). Repeat in a moment, or check the server.",
            request_id=request_id,
        ) from error
    if reply.headers and ERROR_CODE_HEADER in reply.headers:
        raise _failure(reply.data, reply.headers, request_id)
    return reply.data


async def command(
    nc: Client,
    subject: str,
    body: bytes | Mapping[str, Any] | BaseModel | msgspec.Struct,
    reply: type[M],
    *,
    timeout: float,  # noqa: ASYNC109  # as above
    token: str | None = None,
    request_id: str | None = None,
) -> M:
    """`request`, with the answer read as `reply`."""
    answer = await request(nc, subject, body, timeout=timeout, token=token, request_id=request_id)
    return reply.model_validate_json(answer)


def _encode(body: bytes | Mapping[str, Any] | BaseModel | msgspec.Struct) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.model_dump_json().encode() if isinstance(body, BaseModel) else msgspec.json.encode(body)


def _failure(body: bytes, headers: Mapping[str, str], request_id: str) -> DibopError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        said = headers.get("Nats-Service-Error", "no reason")
        problem = {"detail": f"The service answered an error without a document: {said}."}
    error = DibopError.from_problem(problem)
    error.request_id = error.request_id or request_id
    return error
