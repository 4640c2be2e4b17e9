"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from shared.messaging.replies import PROBLEM_CONTENT_TYPE

_PROBLEM: Final = "#/components/schemas/ProblemView"
_DERIVED: Final = ("HTTPValidationError", "ValidationError")
_OPEN: Final = frozenset(
    {("/api/v1/session", "post"), ("/api/v1/session", "delete"), ("/api/v1/templates/schema", "get")}
)
"""What asks for nobody's token."""


class DescribedApi(FastAPI):
    """An application whose document says how callers are told apart and what refusals look like."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-dibop-session",
            "description": "What signing in sets; `dibop-session-<port>` where the console's address is http.",
        },
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["security"] = [] if (path, method) in _OPEN else [{"token": []}, {"session": []}]
            operation["responses"] = {
                status: _as_problem(response)
                for status, response in operation["responses"].items()
                if not _is_derived(response)
            }
    for name in _DERIVED:
        components["schemas"].pop(name, None)
    return document


def _is_derived(response: dict[str, Any]) -> bool:
    """FastAPI's own refusal of a request, which here is a problem like others."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")


def _as_problem(response: dict[str, Any]) -> dict[str, Any]:
    content = response.get("content", {}).get("application/json", {})
    if content.get("schema", {}).get("$ref") != _PROBLEM:
        return response
    return {**response, "content": {PROBLEM_CONTENT_TYPE: content}}
