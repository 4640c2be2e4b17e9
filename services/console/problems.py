"""Problems over HTTP: the error catalogue as `application/problem+json` (RFC 9457), whatever has refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from shared.contracts.errors import DibopError, ErrorCode
from shared.messaging.replies import PROBLEM_CONTENT_TYPE
from shared.security.redaction import hide, redacted

_CODES: Final[Mapping[int, ErrorCode]] = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    429: "rate-limited",
    503: "overloaded",
}
_SAID: Final[Mapping[int, str]] = {
    404: "There is nothing at this address. /api/v1/openapi.json lists all there is.",
    405: "This address does not take this method. /api/v1/openapi.json lists what it takes.",
}
_POINTED: Final[frozenset[ErrorCode]] = frozenset({"invalid-template", "conflict"})
_MAX_PROBLEMS: Final = 100


class HttpError(DibopError):
    """A refusal that HTTP has a status of its own for (412, 413, 415, 428), and perhaps headers."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, errors=errors, request_id=request_id)
        self.http_status = status
        self.http_headers = dict(headers or {})


def problem_response(error: DibopError, request_id: str, *, status: int | None = None) -> JSONResponse:
    """The document of an error, with the status it has over HTTP; secrets at hand do not stand in it."""
    problem = error.to_problem(request_id)
    problem["detail"] = hide(problem["detail"])
    if isinstance(error, HttpError):
        status = status or error.http_status
    problem["status"] = status or error.status
    if "errors" in problem:
        listed = redacted(problem["errors"])
        problem["errors"] = [_pointed(each) for each in listed] if error.code in _POINTED else listed
    response = JSONResponse(problem, status_code=problem["status"], media_type=PROBLEM_CONTENT_TYPE)
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
    if problem["status"] == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HttpError):
        response.headers.update(error.http_headers)
    return response


def from_http(error: HTTPException) -> DibopError:
    """What Starlette refuses by itself: unknown addresses and methods."""
    code: ErrorCode = _CODES.get(error.status_code, "internal" if error.status_code >= 500 else "invalid-request")
    detail = _SAID.get(error.status_code, str(error.detail))
    return HttpError(error.status_code, code, detail, headers=error.headers)


def from_validation(error: RequestValidationError) -> DibopError:
    """What FastAPI refuses of parameters and bodies; what was given is not quoted, it may be a secret."""
    problems = [
        {
            "name": ".".join(map(str, one["loc"][1:])) or str(one["loc"][0]),
            "where": one["loc"][0],
            "problem": one["msg"],
        }
        for one in error.errors()[:_MAX_PROBLEMS]
    ]
    first = problems[0]
    return DibopError(
        "invalid-request",
        f"The request is not as /api/v1/openapi.json describes it: {first['name']} in {first['where']}: "
        f"{first['problem']}.",
        errors=problems,
    )


def _pointed(each: dict[str, Any]) -> dict[str, Any]:
    """A problem of a document by the names that the API has for it: `pointer` and `message`."""
    renamed = {"path": "pointer", "problem": "message"}
    return {renamed.get(name, name): value for name, value in each.items()}
