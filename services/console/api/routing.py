"""Routes that read JSON as the services do, and commands built from what came with a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from shared.contracts.unreadable import UNREADABLE
from shared.messaging.validation import invalid_request

M = TypeVar("M", bound=BaseModel)


class _StrictRequest(Request):
    """JSON by RFC 8259 alone: no NaN, no half surrogate pairs, no nesting without end."""

    async def json(self) -> Any:
        try:
            return msgspec.json.decode(await self.body())
        except UNREADABLE as error:
            raise HTTPException(400, f"The body is not JSON ({error}). Send one JSON value, in UTF-8.") from None


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def router(tag: str, prefix: str = "") -> APIRouter:
    """A router of the API."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=_StrictRoute)


def built(model: type[M], **values: Any) -> M:
    """A command of these values; `invalid-request` where they make none."""
    try:
        return model(**values)
    except ValidationError as error:
        raise invalid_request(error, model) from None
