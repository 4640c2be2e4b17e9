"""The console's web pages."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.responses import Response

from services.console.parts import Parts
from services.console.problems import problem_response
from services.console.security.callers import request_id_of
from shared.contracts.errors import DibopError


def mount(app: FastAPI, parts: Parts) -> None:
    """Add every page and the static files."""


async def error_page(request: Request, error: DibopError) -> Response:
    """What a person sees where a page cannot be shown."""
    return problem_response(error, request_id_of(request))
