"""Documents that the publisher's tests begin with, and small edits of them."""

from __future__ import annotations

import copy
from typing import Any, Final

Document = dict[str, Any]
DROP: Final[Any] = object()
"""As a value in `edited`: take the place out."""

_WEATHER: Final[Document] = {
    "operation": "get_weather",
    "display_name": "Get weather",
    "description": "The weather of a city now.",
    "method": "GET",
    "path": "/weather/{city}",
    "idempotent": True,
    "parameters": [
        {"name": "city", "location": "path", "type": "string", "required": True, "description": "City name"},
        {"name": "units", "location": "query", "type": "string", "enum": ["metric", "imperial"], "default": "metric"},
        {"name": "lang", "location": "query", "type": "string", "description": "Language"},
        {"name": "limit", "location": "query", "type": "integer", "default": 10},
        {"name": "fields", "location": "query", "type": "array", "schema": {"items": {"type": "string"}}},
        {"name": "X-Trace", "location": "header", "type": "string"},
    ],
    "response_schema": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "City name"},
            "sky": {"type": "string", "enum": ["clear", "cloudy"]},
            "main": {"$ref": "#/$defs/main"},
            "hours": {"type": "array", "items": {"type": "object", "properties": {"temp": {"type": "number"}}}},
            "wind": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "$defs": {
            "main": {
                "type": "object",
                "required": ["temp"],
                "properties": {"temp": {"type": "number"}, "humidity": {"type": "integer"}},
            }
        },
    },
    "sample": {"city": "London"},
}
_REPORT: Final[Document] = {
    "operation": "create_report",
    "description": "Files a report.",
    "method": "POST",
    "path": "/reports",
    "parameters": [
        {"name": "title", "location": "body", "type": "string", "required": True},
        {
            "name": "details",
            "location": "body",
            "type": "object",
            "schema": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": ["rain", "snow"]},
                    "level": {"type": "integer", "default": 1},
                },
            },
        },
    ],
    "response_schema": {"type": "object", "properties": {"id": {"type": "string"}}},
    "sample": {"title": "Flood"},
}
_API_KEY: Final[Document] = {
    "name": "Weather",
    "slug": "weather",
    "type": "General",
    "description": "Weather of the world.",
    "base_url": "https://api.example.com/v1",
    "documentation_url": "https://docs.example.com",
    "auth_type": "api_key",
    "header_name": "X-Weather-Key",
    "credential_schema": {
        "api_key": {"label": "API key", "type": "password", "required": True, "sensitive": True, "help": "Your account"}
    },
    "operations": [_WEATHER, _REPORT],
    "resilience": {"timeout_seconds": 10, "max_retries": 2},
}
_REGIONAL: Final[Document] = {
    **_API_KEY,
    "base_url": "https://{region}.example.com/v1",
    "credential_schema": {
        **_API_KEY["credential_schema"],
        "region": {"label": "Region", "type": "string", "required": True, "help": "Where you are", "default": "eu"},
    },
}
_OAUTH: Final[Document] = {
    **{field: value for field, value in _API_KEY.items() if field not in {"header_name", "credential_schema"}},
    "auth_type": "oauth2",
    "grant_type": "client_credentials",
    "scopes": "read",
    "token_url": "https://login.example.com/token",
}


def api_key() -> Document:
    """An api_key connector with a GET and a POST operation."""
    return copy.deepcopy(_API_KEY)


def regional() -> Document:
    """The same on a host that a credential names."""
    return copy.deepcopy(_REGIONAL)


def oauth() -> Document:
    """The same with OAuth2 client credentials."""
    return copy.deepcopy(_OAUTH)


def open_api() -> Document:
    """The same without any credential."""
    kept = {field: value for field, value in _API_KEY.items() if field not in {"header_name", "credential_schema"}}
    return copy.deepcopy({**kept, "auth_type": "none"})


def edited(document: Document, edits: dict[str, Any]) -> Document:
    """A copy with other values at the JSON pointers; `-` appends to a list, DROP takes a place out."""
    result = copy.deepcopy(document)
    for pointer, value in edits.items():
        *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
        place: Any = result
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            if last == "-":
                place.append(copy.deepcopy(value))
            elif value is DROP:
                del place[int(last)]
            else:
                place[int(last)] = copy.deepcopy(value)
        elif value is DROP:
            del place[last]
        else:
            place[last] = copy.deepcopy(value)
    return result
