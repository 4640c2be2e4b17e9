"""Replies: what a request is answered with when it fails, whoever answers it.

FastStream's services and the executor's own request path both use these, so that every failure
looks the same on the bus: the two NATS micro headers and an RFC 9457 document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any, Final

import msgspec
import structlog
from pydantic import BaseModel

from shared.contracts.errors import DibopError
from shared.contracts.execution import MAX_PAYLOAD_BYTES, REPLY_RESERVE_BYTES, REQUEST_ID_HEADER
from shared.security.redaction import hide, redacted

MAX_REPLY_BYTES: Final = MAX_PAYLOAD_BYTES - REPLY_RESERVE_BYTES
PROBLEM_CONTENT_TYPE: Final = "application/problem+json"
_MAX_ERRORS: Final = 100
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")

_log = structlog.get_logger(__name__)


def request_id_of(headers: Mapping[str, str] | None) -> str:
    """The caller's request id, or a new one where it gave none or one that cannot be echoed."""
    given = (headers or {}).get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.match(given) else f"{getrandbits(128):032x}"


def problem_bytes(error: DibopError, request_id: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an error reply; secrets at hand do not stand in it."""
    problem = _without_secrets(error.to_problem(request_id))
    body = msgspec.json.encode(problem)
    if len(body) > MAX_REPLY_BYTES:
        problem["errors"] = problem.get("errors", [])[:_MAX_ERRORS]
        problem["detail"] = problem["detail"][:4096]
        problem.pop("attempts", None)
        body = msgspec.json.encode(problem)
    if len(body) > MAX_REPLY_BYTES:
        problem.pop("errors", None)
        body = msgspec.json.encode(problem)
    return body, {**error.headers(), REQUEST_ID_HEADER: request_id, "content-type": PROBLEM_CONTENT_TYPE}


def _without_secrets(problem: dict[str, Any]) -> dict[str, Any]:
    """`problem` as it may be shown. Its own fields are ours; texts may quote what somebody else has said."""
    problem["detail"] = hide(problem["detail"])
    if "errors" in problem:
        problem["errors"] = redacted(problem["errors"])
    return problem


def as_dibop_error(error: Exception, request_id: str) -> DibopError:
    """What to tell the caller about `error`: itself, or `internal` for a bug, whose traceback goes to the log."""
    if isinstance(error, DibopError):
        return error
    _log.error("A request failed because of a bug", request_id=request_id, exc_info=error)
    return DibopError(
        "internal",
        f"Something broke here ({type(error).__name__}). Report the request id {request_id}: it finds the log line.",
        request_id=request_id,
    )


def encode_reply(reply: object) -> bytes:
    """JSON of a pydantic model, a msgspec struct or a mapping; too large a reply is a DibopError, not a silence."""
    body = reply.model_dump_json().encode() if isinstance(reply, BaseModel) else msgspec.json.encode(reply)
    if len(body) > MAX_REPLY_BYTES:
        raise DibopError(
            "response-too-large",
            f"The answer has {len(body)} bytes, and a reply may have {MAX_REPLY_BYTES}. "
            "Ask for less at once: a smaller limit, or a narrower filter.",
        )
    return body
