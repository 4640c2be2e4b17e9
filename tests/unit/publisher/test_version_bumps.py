"""The bump table: each row is an edit of a valid document, read forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from services.publisher.domain.templates import changes, valid_template
from services.publisher.domain.versioning import BUMPS, Bump, Change, ChangeKind, bump_of
from tests.unit.publisher.documents import DROP, Document, api_key, edited, oauth, open_api, regional

K = ChangeKind
W: Final = "/operations/0"
R: Final = "/operations/1"
SCHEMA: Final = f"{W}/response_schema"
PROPERTIES: Final = f"{SCHEMA}/properties"
MAIN: Final = f"{SCHEMA}/$defs/main"
DETAILS: Final = f"{R}/parameters/1/schema"


@dataclass(frozen=True)
class Row:
    """`forward` is what the edit changes, `backward` what undoing it does; empty where it changes no meaning."""

    name: str
    edits: dict[str, Any]
    forward: set[ChangeKind]
    backward: set[ChangeKind]
    base: Callable[[], Document] = field(default=api_key)


def parameter(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "location": "query", "type": "string", **more}


def operation(name: str) -> dict[str, Any]:
    return {"operation": name, "description": "More.", "method": "GET", "path": f"/{name}"}


REGION: Final = {"label": "Region", "type": "string", "required": True}

TABLE: Final = [
    # operations
    Row("operation added", {"/operations/-": operation("more")}, {K.OPERATION_ADDED}, {K.OPERATION_REMOVED}),
    Row(
        "operation renamed",
        {f"{R}/operation": "file_report"},
        {K.OPERATION_ADDED, K.OPERATION_REMOVED},
        {K.OPERATION_ADDED, K.OPERATION_REMOVED},
    ),
    Row("method", {f"{R}/method": "PUT"}, {K.METHOD_CHANGED}, {K.METHOD_CHANGED}),
    Row("idempotent dropped", {f"{W}/idempotent": False}, {K.IDEMPOTENT_NO_MORE}, {K.IDEMPOTENT_NOW}),
    Row("idempotent set", {f"{R}/idempotent": True}, {K.IDEMPOTENT_NOW}, {K.IDEMPOTENT_NO_MORE}),
    Row("path", {f"{W}/path": "/v2/weather/{city}"}, {K.PATH_CHANGED}, {K.PATH_CHANGED}),
    Row("idempotency header", {f"{R}/idempotency_header": "X-Once"}, {K.OTHER}, {K.OTHER}),
    Row("body encoding", {f"{R}/body_encoding": "multipart", f"{R}/parameters/1": parameter("x", location="body")},
        {K.OTHER, K.PARAMETER_REMOVED, K.OPTIONAL_PARAMETER_ADDED},
        {K.OTHER, K.PARAMETER_REMOVED, K.OPTIONAL_PARAMETER_ADDED}),
    Row("health check", {f"{W}/health_check": True}, {K.OTHER}, {K.OTHER}),
    Row("sample", {f"{W}/sample": {"city": "Paris"}}, {K.OTHER}, {K.OTHER}),
    Row("operation's resilience", {f"{W}/resilience": {"max_retries": 0}},
        {K.RESILIENCE_CHANGED}, {K.RESILIENCE_CHANGED}),
    Row("display name", {f"{W}/display_name": "Weather"}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("operation's description", {f"{W}/description": "Now."}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("operations in another order", {"/operations": [api_key()["operations"][1], api_key()["operations"][0]]},
        set(), set()),
    # parameters
    Row("optional parameter", {f"{W}/parameters/-": parameter("hour")},
        {K.OPTIONAL_PARAMETER_ADDED}, {K.PARAMETER_REMOVED}),
    Row("required parameter", {f"{W}/parameters/-": parameter("hour", required=True)},
        {K.REQUIRED_PARAMETER_ADDED}, {K.PARAMETER_REMOVED}),
    Row("required parameter with default", {f"{W}/parameters/-": parameter("hour", required=True, default="now")},
        {K.OPTIONAL_PARAMETER_ADDED}, {K.PARAMETER_REMOVED}),
    Row("parameter retyped", {f"{W}/parameters/2/type": "integer"}, {K.PARAMETER_RETYPED}, {K.PARAMETER_RETYPED}),
    Row("parameter moved", {f"{W}/parameters/2/location": "header"}, {K.PARAMETER_MOVED}, {K.PARAMETER_MOVED}),
    Row("parameter made required", {f"{W}/parameters/2/required": True}, {K.PARAMETER_MADE_REQUIRED}, {K.OTHER}),
    Row("default changed", {f"{W}/parameters/1/default": "imperial"}, {K.DEFAULT_CHANGED}, {K.DEFAULT_CHANGED}),
    Row("default given", {f"{W}/parameters/2/default": "en"}, {K.DEFAULT_CHANGED}, {K.DEFAULT_CHANGED}),
    Row("default of another type", {f"{W}/parameters/3/default": 1}, {K.DEFAULT_CHANGED}, {K.DEFAULT_CHANGED}),
    Row("default written as a fraction", {f"{W}/parameters/3/default": 10.0}, set(), set()),
    Row("enum value added", {f"{W}/parameters/1/enum": ["metric", "imperial", "standard"]},
        {K.ENUM_VALUE_ADDED}, {K.ENUM_VALUE_REMOVED}),
    Row("enum value swapped", {f"{W}/parameters/1/enum": ["metric", "standard"]},
        {K.ENUM_VALUE_ADDED, K.ENUM_VALUE_REMOVED}, {K.ENUM_VALUE_ADDED, K.ENUM_VALUE_REMOVED}),
    Row("enum in another order", {f"{W}/parameters/1/enum": ["imperial", "metric"]}, set(), set()),
    Row("enum introduced", {f"{W}/parameters/2/enum": ["en", "fr"]}, {K.ENUM_VALUE_REMOVED}, {K.ENUM_VALUE_ADDED}),
    Row("parameter's description", {f"{W}/parameters/2/description": "The language"},
        {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("parameter sensitive", {f"{W}/parameters/2/sensitive": True}, {K.OTHER}, {K.OTHER}),
    Row("path parameter says required", {f"{W}/parameters/0/required": DROP}, set(), set()),
    Row("parameters in another order", {f"{R}/parameters": list(reversed(api_key()["operations"][1]["parameters"]))},
        set(), set()),
    Row("items retyped", {f"{W}/parameters/4/schema/items/type": "integer"},
        {K.PARAMETER_RETYPED}, {K.PARAMETER_RETYPED}),
    Row("item bound", {f"{W}/parameters/4/schema/maxItems": 5}, {K.OTHER}, {K.OTHER}),
    # the schema of a parameter
    Row("optional property sent", {f"{DETAILS}/properties/note": {"type": "string"}},
        {K.OPTIONAL_PARAMETER_ADDED}, {K.PARAMETER_REMOVED}),
    Row("required property sent", {f"{DETAILS}/properties/note": {"type": "string"},
                                   f"{DETAILS}/required": ["kind", "note"]},
        {K.REQUIRED_PARAMETER_ADDED}, {K.PARAMETER_REMOVED}),
    Row("property sent made required", {f"{DETAILS}/required": ["kind", "level"]},
        {K.PARAMETER_MADE_REQUIRED}, {K.OTHER}),
    Row("property sent retyped", {f"{DETAILS}/properties/level/type": "number"},
        {K.PARAMETER_RETYPED}, {K.PARAMETER_RETYPED}),
    Row("property's default", {f"{DETAILS}/properties/level/default": 2}, {K.DEFAULT_CHANGED}, {K.DEFAULT_CHANGED}),
    Row("property's enum", {f"{DETAILS}/properties/kind/enum": ["rain", "snow", "hail"]},
        {K.ENUM_VALUE_ADDED}, {K.ENUM_VALUE_REMOVED}),
    # responses
    Row("response property added", {f"{PROPERTIES}/rain": {"type": "number"}},
        {K.RESPONSE_PROPERTY_ADDED}, {K.RESPONSE_PROPERTY_REMOVED}),
    Row("nested response property", {f"{MAIN}/properties/pressure": {"type": "number"}},
        {K.RESPONSE_PROPERTY_ADDED}, {K.RESPONSE_PROPERTY_REMOVED}),
    Row("property of array items", {f"{PROPERTIES}/hours/items/properties/wet": {"type": "boolean"}},
        {K.RESPONSE_PROPERTY_ADDED}, {K.RESPONSE_PROPERTY_REMOVED}),
    Row("response property retyped", {f"{PROPERTIES}/name/type": "integer"},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("response property nullable", {f"{PROPERTIES}/name/type": ["string", "null"]},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("nested property retyped", {f"{MAIN}/properties/temp/type": "string"},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("array items retyped", {f"{PROPERTIES}/hours/items": {"type": "string"}},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("alternative retyped", {f"{PROPERTIES}/wind/anyOf/0/type": "string"},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("alternative added", {f"{PROPERTIES}/wind/anyOf/-": {"type": "string"}},
        {K.RESPONSE_PROPERTY_RETYPED}, {K.RESPONSE_PROPERTY_RETYPED}),
    Row("response property made optional", {f"{SCHEMA}/required": []},
        {K.RESPONSE_PROPERTY_MADE_OPTIONAL}, {K.OTHER}),
    Row("nested property made optional", {f"{MAIN}/required": []}, {K.RESPONSE_PROPERTY_MADE_OPTIONAL}, {K.OTHER}),
    Row("response enum value added", {f"{PROPERTIES}/sky/enum": ["clear", "cloudy", "fog"]},
        {K.ENUM_VALUE_ADDED}, {K.ENUM_VALUE_REMOVED}),
    Row("response enum introduced", {f"{PROPERTIES}/name/enum": ["London", "Paris"]},
        {K.OTHER}, {K.ENUM_VALUE_ADDED}),
    Row("response schema taken away", {f"{R}/response_schema": DROP},
        {K.RESPONSE_PROPERTY_REMOVED}, {K.RESPONSE_PROPERTY_ADDED}),
    Row("response description", {f"{PROPERTIES}/name/description": "Town"}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("response format", {f"{PROPERTIES}/name/minLength": 1}, {K.OTHER}, {K.OTHER}),
    Row("response closed", {f"{SCHEMA}/additionalProperties": False}, {K.OTHER}, {K.OTHER}),
    Row("reference written out", {f"{PROPERTIES}/main": api_key()["operations"][0]["response_schema"]["$defs"]["main"]},
        set(), set()),
    Row("implied type written out", {f"{PROPERTIES}/hours/type": DROP}, set(), set()),
    Row("property called title", {f"{PROPERTIES}/title": {"type": "string"}},
        {K.RESPONSE_PROPERTY_ADDED}, {K.RESPONSE_PROPERTY_REMOVED}),
    # how and where credentials are sent
    Row("header name", {"/header_name": "X-Other-Key"}, {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("query instead of header", {"/header_name": DROP, "/query_parameter": "key"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("key prefix", {"/key_prefix": "Token "}, {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("empty key prefix written out", {"/key_prefix": ""}, set(), set()),
    Row("auth type", {"/auth_type": "bearer"},
        {K.CREDENTIAL_SENT_OTHERWISE, K.REQUIRED_CREDENTIAL_ADDED}, {K.CREDENTIAL_SENT_OTHERWISE, K.OTHER}, open_api),
    Row("http instead of https", {"/base_url": "http://api.example.com/v1"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("another host", {"/base_url": "https://api2.example.com/v1"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("another port", {"/base_url": "https://api.example.com:8443/v1"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}),
    Row("default port written out", {"/base_url": "https://api.example.com:443/v1"},
        {K.PATH_CHANGED}, {K.PATH_CHANGED}),
    Row("base path", {"/base_url": "https://api.example.com/v2"}, {K.PATH_CHANGED}, {K.PATH_CHANGED}),
    Row("host of a placeholder", {"/base_url": "https://{region}.example.org/v1"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}, regional),
    Row("grant", {"/grant_type": "authorization_code", "/authorization_url": "https://login.example.com/authorize"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}, oauth),
    Row("token host", {"/token_url": "https://id.example.com/token"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}, oauth),
    Row("token path", {"/token_url": "https://login.example.com/v2/token"}, {K.PATH_CHANGED}, {K.PATH_CHANGED}, oauth),
    Row("token auth method", {"/token_auth_method": "post"},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}, oauth),
    Row("scopes", {"/scopes": "read write"}, {K.SCOPES_CHANGED}, {K.SCOPES_CHANGED}, oauth),
    Row("scopes as a list", {"/scopes": ["read"]}, set(), set(), oauth),
    Row("scope separator", {"/scope_separator": "comma"}, {K.SCOPES_CHANGED}, {K.SCOPES_CHANGED}, oauth),
    Row("token parameters", {"/token_parameters": {"audience": "x"}},
        {K.CREDENTIAL_SENT_OTHERWISE}, {K.CREDENTIAL_SENT_OTHERWISE}, oauth),
    Row("no token parameters written out", {"/token_parameters": {}}, set(), set(), oauth),
    Row("how an expired token is told", {"/expired_token": {"status_codes": [403]}}, {K.OTHER}, {K.OTHER}, oauth),
    # credential fields
    Row("required credential", {"/base_url": "https://api.example.com/{region}", "/credential_schema/region": REGION},
        {K.PATH_CHANGED, K.REQUIRED_CREDENTIAL_ADDED}, {K.PATH_CHANGED, K.OTHER}),
    Row("credential's default", {"/credential_schema/region/default": "us"},
        {K.DEFAULT_CHANGED}, {K.DEFAULT_CHANGED}, regional),
    Row("credential's label", {"/credential_schema/api_key/label": "Key"}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("credential's help", {"/credential_schema/api_key/help": "Ask us"}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("credential called sensitive", {"/credential_schema/api_key/sensitive": DROP}, set(), set()),
    # the rest
    Row("resilience", {"/resilience/max_retries": 5}, {K.RESILIENCE_CHANGED}, {K.RESILIENCE_CHANGED}),
    Row("name", {"/name": "World weather"}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("description", {"/description": "All weather."}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("documentation", {"/documentation_url": DROP}, {K.TEXT_CHANGED}, {K.TEXT_CHANGED}),
    Row("type", {"/type": "CRM"}, {K.OTHER}, {K.OTHER}),
    Row("extension", {"/x-team": "sky"}, {K.OTHER}, {K.OTHER}),
    Row("extension of an operation", {f"{W}/x-team": "sky"}, {K.OTHER}, {K.OTHER}),
    Row("nothing", {}, set(), set()),
]  # fmt: skip


def between(old: Document, new: Document) -> list[Change]:
    return changes(valid_template("weather", old), valid_template("weather", new))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "-"))
def test_a_change_is_of_its_kind_in_both_directions(row: Row) -> None:
    old = row.base()
    new = edited(old, row.edits)

    forward, backward = between(old, new), between(new, old)

    assert {change.kind for change in forward} == row.forward
    assert {change.kind for change in backward} == row.backward
    assert bump_of(forward) == max((BUMPS[kind] for kind in row.forward), default=Bump.PATCH)
    assert bump_of(backward) == max((BUMPS[kind] for kind in row.backward), default=Bump.PATCH)


def test_the_table_has_every_kind_of_change() -> None:
    seen = {kind for row in TABLE for kind in row.forward | row.backward}

    assert seen == set(ChangeKind)
    assert len(TABLE) >= 60


def test_paths_name_the_place_by_names() -> None:
    new = edited(api_key(), {f"{W}/parameters/1/default": "imperial", f"{MAIN}/properties/temp/type": "string"})

    paths = {change.path for change in between(api_key(), new)}

    assert paths == {
        "/operations/get_weather/parameters/units/default",
        "/operations/get_weather/response_schema/properties/main/properties/temp",
    }


def test_a_schema_that_refers_to_itself_is_walked_once() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "value": {"type": "integer"}}}
    old = edited(api_key(), {SCHEMA: tree})
    new = edited(old, {f"{PROPERTIES}/value/type": "string"})

    assert [change.kind for change in between(old, new)] == [ChangeKind.RESPONSE_PROPERTY_RETYPED]


def test_each_place_that_is_written_out_is_compared_with_what_it_referred_to() -> None:
    whole, part = {"type": "string"}, {"type": "integer"}
    shared = {"$defs": {"it": whole}, "properties": {"a": {"$ref": "#/$defs/it"}, "b": {"$ref": "#/$defs/it"}}}
    old = edited(api_key(), {SCHEMA: shared})
    new = edited(old, {f"{PROPERTIES}/a": whole, f"{PROPERTIES}/b": part})

    assert [change.path for change in between(old, new)] == ["/operations/get_weather/response_schema/properties/b"]


def test_several_changes_count_as_the_largest() -> None:
    edits = {"/name": "World weather", "/resilience/max_retries": 5, f"{W}/parameters/1/default": "imperial"}

    found = between(api_key(), edited(api_key(), edits))

    assert sorted(change.bump for change in found) == [Bump.PATCH, Bump.MINOR, Bump.MAJOR]
    assert bump_of(found) is Bump.MAJOR
