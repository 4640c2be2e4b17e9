"""Pairs of documents for each row of the bump table: what is edited, and the bump forward and back.

The rows are those of docs/authoring.md, in its words; each has several pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.publisher.domain.versioning import Bump
from tests.unit.publisher.documents import DROP, Document, api_key, edited, oauth, open_api, regional

MAJOR, MINOR, PATCH = Bump.MAJOR, Bump.MINOR, Bump.PATCH

W: Final = "/operations/0"
R: Final = "/operations/1"
PROPERTIES: Final = f"{W}/response_schema/properties"
MAIN: Final = f"{W}/response_schema/$defs/main"
DETAILS: Final = f"{R}/parameters/1/schema"


@dataclass(frozen=True)
class Pair:
    """`bump` is what the edit makes, `back` what undoing it makes."""

    edits: dict[str, Any]
    bump: Bump
    back: Bump
    base: Callable[[], Document] = field(default=api_key)


def major(edits: dict[str, Any], back: Bump, base: Callable[[], Document] = api_key) -> Pair:
    return Pair(edits, MAJOR, back, base)


def minor(edits: dict[str, Any], back: Bump, base: Callable[[], Document] = api_key) -> Pair:
    return Pair(edits, MINOR, back, base)


def patch(edits: dict[str, Any], base: Callable[[], Document] = api_key) -> Pair:
    return Pair(edits, PATCH, PATCH, base)


def _parameter(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "location": "query", "type": "string", **more}


def _operation(name: str, **more: Any) -> dict[str, Any]:
    return {"operation": name, "description": "More.", "method": "GET", "path": f"/{name}", **more}


def _credential(**more: Any) -> dict[str, Any]:
    return {"label": "Area", "type": "string", **more}


def coded() -> Document:
    """OAuth2 with authorization_code."""
    return edited(
        oauth(), {"/grant_type": "authorization_code", "/authorization_url": "https://login.example.com/authorize"}
    )


def named_token() -> Document:
    """OAuth2 whose token_url is a credential field."""
    field = {"label": "Token URL", "type": "string", "required": True, "default": "https://login.example.com/token"}
    secret = {"label": "Secret", "type": "password"}
    fields = {"client_id": {"label": "Client"}, "client_secret": secret, "token_url": field}
    return edited(oauth(), {"/token_url": DROP, "/credential_schema": fields})


ROWS: Final[Mapping[str, Sequence[Pair]]] = {
    "operation removed": [
        major({R: DROP}, MINOR),
        major({W: DROP}, MINOR),
        major({f"{R}/operation": "file_report"}, MAJOR),
    ],
    "parameter removed": [
        major({f"{W}/parameters/2": DROP}, MINOR),
        major({f"{W}/parameters/1": DROP}, MINOR),
        major({f"{W}/parameters/5": DROP}, MINOR),
        major({f"{W}/parameters/2/name": "language"}, MAJOR),
        major({f"{DETAILS}/properties/level": DROP}, MINOR),
    ],
    "parameter retyped": [
        major({f"{W}/parameters/2/type": "integer"}, MAJOR),
        major({f"{W}/parameters/3/type": "number"}, MAJOR),
        major({f"{W}/parameters/4/schema/items/type": "integer"}, MAJOR),
        major({f"{DETAILS}/properties/level/type": "number"}, MAJOR),
    ],
    "parameter moved": [
        major({f"{W}/parameters/2/location": "header"}, MAJOR),
        major({f"{W}/parameters/5/location": "query"}, MAJOR),
        major({f"{R}/parameters/0/location": "query"}, MAJOR),
    ],
    "parameter made required": [
        major({f"{W}/parameters/2/required": True}, MINOR),
        major({f"{W}/parameters/4/required": True}, MINOR),
        major({f"{W}/parameters/1/required": True}, MINOR),
        major({f"{DETAILS}/required": ["kind", "level"]}, MINOR),
    ],
    "new required parameter without default": [
        major({f"{W}/parameters/-": _parameter("hour", required=True)}, MAJOR),
        major({f"{R}/parameters/-": _parameter("dry_run", type="boolean", required=True)}, MAJOR),
        major(
            {f"{DETAILS}/properties/note": {"type": "string"}, f"{DETAILS}/required": ["kind", "note"]},
            MAJOR,
        ),
    ],
    "default changed": [
        major({f"{W}/parameters/1/default": "imperial"}, MAJOR),
        major({f"{W}/parameters/1/default": DROP}, MAJOR),
        major({f"{W}/parameters/2/default": "en"}, MAJOR),
        major({f"{DETAILS}/properties/level/default": 2}, MAJOR),
        major({"/credential_schema/region/default": "us"}, MAJOR, regional),
        major({"/credential_schema/token_url/default": "https://id.example.com/token"}, MAJOR, named_token),
    ],
    "enum value removed": [
        major({f"{W}/parameters/1/enum": ["metric"]}, MINOR),
        major({f"{W}/parameters/2/enum": ["en", "fr"]}, MINOR),
        major({f"{PROPERTIES}/sky/enum": ["clear"]}, MINOR),
        major({f"{DETAILS}/properties/kind/enum": ["rain"]}, MINOR),
        major({f"{W}/parameters/1/enum": ["metric", "standard"]}, MAJOR),
    ],
    "response property removed": [
        major({f"{PROPERTIES}/sky": DROP}, MINOR),
        major({f"{MAIN}/properties/humidity": DROP}, MINOR),
        major({f"{PROPERTIES}/hours/items/properties/temp": DROP}, MINOR),
        major({f"{W}/response_schema": DROP}, MINOR),
    ],
    "response property retyped": [
        major({f"{PROPERTIES}/name/type": "integer"}, MAJOR),
        major({f"{PROPERTIES}/name/type": ["string", "null"]}, MAJOR),
        major({f"{MAIN}/properties/temp/type": "string"}, MAJOR),
        major({f"{PROPERTIES}/hours/items": {"type": "string"}}, MAJOR),
    ],
    "response property made optional": [
        major({f"{W}/response_schema/required": []}, MINOR),
        major({f"{W}/response_schema/required": DROP}, MINOR),
        major({f"{MAIN}/required": []}, MINOR),
    ],
    "auth type": [
        major({"/auth_type": "bearer"}, MAJOR, open_api),
        major({"/auth_type": "basic"}, MAJOR, open_api),
        major({"/auth_type": "api_key"}, MAJOR, open_api),
    ],
    "header_name": [
        major({"/header_name": "X-Other-Key"}, MAJOR),
        major({"/header_name": DROP}, MAJOR),
    ],
    "query_parameter": [
        major({"/header_name": DROP, "/query_parameter": "key"}, MAJOR),
        major({"/query_parameter": "appid"}, MAJOR, lambda: edited(api_key(), {"/header_name": DROP})),
    ],
    "key_prefix": [
        major({"/key_prefix": "Token "}, MAJOR),
        major({"/key_prefix": "Key "}, MAJOR, lambda: edited(api_key(), {"/key_prefix": "Token "})),
    ],
    "grant": [
        major(
            {"/grant_type": "authorization_code", "/authorization_url": "https://login.example.com/authorize"},
            MAJOR,
            oauth,
        ),
        major({"/token_auth_method": "post"}, MAJOR, oauth),
    ],
    "token or authorization host": [
        major({"/token_url": "https://id.example.com/token"}, MAJOR, oauth),
        major({"/token_url": "http://login.example.com/token"}, MAJOR, oauth),
        major({"/token_url": "https://login.example.com:8443/token"}, MAJOR, coded),
        major({"/authorization_url": "https://id.example.com/authorize"}, MAJOR, coded),
    ],
    "base_url scheme, host or port": [
        major({"/base_url": "http://api.example.com/v1"}, MAJOR),
        major({"/base_url": "https://api2.example.com/v1"}, MAJOR),
        major({"/base_url": "https://api.example.com:8443/v1"}, MAJOR),
        major({"/base_url": "https://api.example.org/v1"}, MAJOR, open_api),
        major({"/base_url": "https://{region}.example.org/v1"}, MAJOR, regional),
    ],
    "new required credential": [
        major({"/base_url": "https://api.example.com/{area}", "/credential_schema/area": _credential()}, MINOR),
        major({"/credential_schema/area": _credential()}, MINOR),
        major(
            {"/credential_schema/area/required": True},
            MINOR,
            lambda: edited(api_key(), {"/credential_schema/area": _credential(required=False)}),
        ),
    ],
    "method changed": [
        major({f"{R}/method": "PUT"}, MAJOR),
        major({f"{R}/method": "PATCH"}, MAJOR),
        major({f"{W}/method": "DELETE"}, MAJOR),
    ],
    "idempotent true to false": [
        major({f"{W}/idempotent": False}, MINOR),
        major({f"{W}/idempotent": DROP}, MINOR),
    ],
    "operation added": [
        minor({"/operations/-": _operation("list_cities")}, MAJOR),
        minor({"/operations/-": _operation("delete_report", method="DELETE")}, MAJOR),
    ],
    "optional parameter added": [
        minor({f"{W}/parameters/-": _parameter("hour")}, MAJOR),
        minor({f"{W}/parameters/-": _parameter("hour", required=True, default="now")}, MAJOR),
        minor({f"{R}/parameters/-": {"name": "note", "location": "body"}}, MAJOR),
        minor({f"{DETAILS}/properties/note": {"type": "string"}}, MAJOR),
    ],
    "response property added": [
        minor({f"{PROPERTIES}/visibility": {"type": "integer"}}, MAJOR),
        minor({f"{MAIN}/properties/pressure": {"type": "integer"}}, MAJOR),
        minor({f"{R}/response_schema/properties/at": {"type": "string"}}, MAJOR),
    ],
    "enum value added": [
        minor({f"{W}/parameters/1/enum": ["metric", "imperial", "standard"]}, MAJOR),
        minor({f"{PROPERTIES}/sky/enum": ["clear", "cloudy", "fog"]}, MAJOR),
        minor({f"{W}/parameters/1/enum": DROP}, MAJOR),
    ],
    "path": [
        minor({f"{W}/path": "/v2/weather/{city}"}, MINOR),
        minor({f"{R}/path": "/reports/new"}, MINOR),
    ],
    "base_url path": [
        minor({"/base_url": "https://api.example.com/v2"}, MINOR),
        minor({"/base_url": "https://{region}.example.com/v2"}, MINOR, regional),
        minor({"/token_url": "https://login.example.com/v2/token"}, MINOR, oauth),
    ],
    "scopes": [
        minor({"/scopes": "read write"}, MINOR, oauth),
        minor({"/scopes": DROP}, MINOR, oauth),
        minor({"/scopes": ["write"]}, MINOR, coded),
    ],
    "resilience": [
        minor({"/resilience/max_retries": 5}, MINOR),
        minor({"/resilience": DROP}, MINOR),
        minor({f"{W}/resilience": {"timeout_seconds": 5}}, MINOR),
    ],
    "idempotent false to true": [
        minor({f"{R}/idempotent": True}, MAJOR),
        minor({f"{W}/idempotent": True}, MAJOR, lambda: edited(api_key(), {f"{W}/idempotent": DROP})),
        minor({f"{R}/idempotent": True, f"{R}/description": "Files a report once."}, MAJOR),
    ],
    "whatever no row names": [
        minor({"/type": "CRM"}, MINOR),
        minor({"/x-team": "sky"}, MINOR),
        minor({f"{W}/sample": {"city": "Paris"}}, MINOR),
        minor({f"{W}/health_check": True}, MINOR),
        minor({f"{R}/idempotency_header": "X-Once"}, MINOR),
        minor({f"{W}/parameters/2/sensitive": True}, MINOR),
        minor({"/pkce": False}, MINOR, coded),
        minor({"/credential_schema/area": _credential(required=False)}, MINOR),
    ],
    "names": [
        patch({"/name": "World weather"}),
        patch({f"{W}/display_name": "Weather now"}),
        patch({"/credential_schema/api_key/label": "Key"}),
    ],
    "descriptions": [
        patch({"/description": "All weather."}),
        patch({f"{W}/description": "Now."}),
        patch({f"{W}/parameters/2/description": "The language"}),
        patch({f"{PROPERTIES}/name/description": "Town"}),
    ],
    "help": [
        patch({"/credential_schema/api_key/help": "Ask us"}),
        patch({"/credential_schema/region/help": DROP}, regional),
    ],
    "icon": [
        patch({"/icon": "logo.svg"}),
        patch({"/icon": "logo.png"}, lambda: edited(api_key(), {"/icon": "logo.svg"})),
    ],
    "documentation": [
        patch({"/documentation_url": "https://docs.example.com/v2"}),
        patch({"/documentation_url": DROP}),
    ],
}
