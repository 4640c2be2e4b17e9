"""The HTTP application: routes, guards and error answers put together, over parts that are made elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

from services.console.api import (
    administration,
    authorizations,
    calls,
    connections,
    connectors,
    drafts,
    executions,
    health,
    health_events,
    oidc_routes,
    reviews,
    session,
    status,
    templates,
    test_runs,
    testing,
    versions,
)
from services.console.api.description import DescribedApi
from services.console.api.models import ProblemView
from services.console.parts import Parts
from services.console.problems import from_http, from_validation, problem_response
from services.console.security.callers import request_id_of
from services.console.security.middleware import BodyLimit, RequestContext, SameOrigin
from shared.contracts.errors import CATALOGUE, DibopError
from shared.messaging.replies import as_dibop_error

API: Final = "/api/v1"
ROUTERS: Final = (
    session.router,
    connectors.router,
    drafts.router,
    templates.router,
    testing.router,
    test_runs.router,
    versions.router,
    reviews.router,
    connections.router,
    authorizations.router,
    health_events.router,
    executions.router,
    calls.router,
    administration.router,
    status.router,
)
_DESCRIPTION: Final = (
    "Everything the console does, for programs. Send a token as `Authorization: Bearer <token>`. Errors are "
    "`application/problem+json` with the codes of the error catalogue."
)
_MIN_GZIP_BYTES: Final = 1024
_EVERYWHERE: Final = ("invalid-request", "unauthenticated", "forbidden", "not-found", "overloaded", "deadline-exceeded")

ErrorPage = Callable[[Request, DibopError], Awaitable[Response]]
"""Shows a person what an API call would answer as a problem document."""


def make_application(parts: Parts, *, error_page: ErrorPage | None = None) -> FastAPI:
    """The API over `parts`; whatever is not beneath `/api` fails with `error_page`, where there is one."""
    app = _with_routes(
        Middleware(RequestContext, origins=parts.origins),
        Middleware(GZipMiddleware, minimum_size=_MIN_GZIP_BYTES),
        Middleware(BodyLimit),
        Middleware(SameOrigin, origins=parts.origins),
    )
    app.state.parts = parts
    _answer_errors(app, error_page)
    return app


def openapi_document() -> dict[str, Any]:
    """What `/api/v1/openapi.json` says."""
    return _with_routes().openapi()


def _with_routes(*middleware: Middleware) -> FastAPI:
    app = DescribedApi(
        title="DIBOP Connectors",
        version=version("dibop-connectors"),
        description=_DESCRIPTION,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        middleware=middleware,
        separate_input_output_schemas=False,
    )
    app.include_router(health.router)
    app.include_router(authorizations.callback_router)
    app.include_router(oidc_routes.router)
    api = APIRouter(prefix=API, responses=_problems())
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    return app


def _problems() -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for code in _EVERYWHERE:
        kind = CATALOGUE[code]
        found[kind.status] = {"model": ProblemView, "description": f"`{code}`: {kind.when}"}
    found[413] = {"model": ProblemView, "description": "The body is too large."}
    found["default"] = {"model": ProblemView, "description": "Another error of the catalogue."}
    return found


def _answer_errors(app: FastAPI, error_page: ErrorPage | None) -> None:
    async def answer(request: Request, error: DibopError) -> Response:
        if error_page is not None and not request.url.path.startswith("/api"):
            return await error_page(request, error)
        return problem_response(error, request_id_of(request))

    async def refused(request: Request, error: Exception) -> Response:
        return await answer(request, cast("DibopError", error))

    async def http(request: Request, error: Exception) -> Response:
        return await answer(request, from_http(cast("HTTPException", error)))

    async def invalid(request: Request, error: Exception) -> Response:
        return await answer(request, from_validation(cast("RequestValidationError", error)))

    async def broken(request: Request, error: Exception) -> Response:
        return await answer(request, as_dibop_error(error, request_id_of(request)))

    app.add_exception_handler(DibopError, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, broken)
