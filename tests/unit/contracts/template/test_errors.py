"""Every mistake an author can make is named at its place, with what would be right."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.contracts.template import check
from tests.unit.contracts.template.documents import MISSING, document, paths

PNG = b"\x89PNG\r\n\x1a\n"
PARAMETER = "/operations/0/parameters/1"
BODY = "/operations/1/parameters/0"
API_KEY = {"label": "Key", "type": "password"}
CLIENT_CERTIFICATE = {"client_certificate": {"label": "C"}, "client_key": {"label": "K"}}
OAUTH2: dict[str, Any] = {
    "auth_type": "oauth2",
    "grant_type": "client_credentials",
    "token_url": "https://auth.example.com/token",
}


def oauth2(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**OAUTH2, **fields}.items() if value is not None}


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# what is changed, where the problem stands, a part of the problem, a part of the mend
CASES: list[tuple[dict[str, Any], str, str, str]] = [
    # shape
    ({"/name": MISSING}, "/name", "`name` is missing", "name: OpenWeatherMap"),
    ({"/base_url": MISSING}, "/base_url", "`base_url` is missing", "https://api.example.com"),
    ({"/auth_type": MISSING}, "/auth_type", "`auth_type` is missing", "api_key"),
    ({"/name": 5}, "/name", "5 is not text", "in quotes"),
    ({"/name": ""}, "/name", "at least 1 character", "Write something"),
    ({"/name": "x" * 101}, "/name", "at most 100", "Shorten"),
    ({"/base_urll": "x"}, "/base_urll", "no field 'base_urll'", "`base_url`"),
    ({"/zzz": 1}, "/zzz", "no field 'zzz'", "Known here: name, slug"),
    ({"/operations/0/metod": "GET"}, "/operations/0/metod", "no field", "`method`"),
    ({f"{PARAMETER}/requird": True}, f"{PARAMETER}/requird", "no field", "`required`"),
    ({"/resilience/max_retry": 1}, "/resilience/max_retry", "no field", "`max_retries`"),
    ({"/type": "oem"}, "/type", "not one of General, OEM", "`OEM`"),
    ({"/type": "Weather"}, "/type", "not one of", "General, OEM, DMS, CRM, Finance, Telematics or Logistics"),
    ({"/operations": {}}, "/operations", "a mapping is not a list", "Write a list"),
    ({"/operations/0": "get"}, "/operations/0", "'get' is not a mapping", "Write a mapping"),
    ({"/operations/0/parameters": "q"}, "/operations/0/parameters", "not a list", "Write a list"),
    ({"/operations/0/operation": MISSING}, "/operations/0/operation", "missing", "get_current_weather"),
    ({"/operations/0/operation": "Get Vehicle"}, "/operations/0/operation", "not an identifier", "a-z"),
    ({"/operations/0/method": "get"}, "/operations/0/method", "not one of GET", "`GET`"),
    ({"/operations/0/method": "HEAD"}, "/operations/0/method", "not one of GET", "GET, POST, PUT, DELETE or PATCH"),
    ({"/operations/0/idempotent": "yes"}, "/operations/0/idempotent", "not true or false", "without quotes"),
    ({f"{PARAMETER}/location": "cookie"}, f"{PARAMETER}/location", "not one of query", "query, path, header or body"),
    ({f"{PARAMETER}/type": "int"}, f"{PARAMETER}/type", "not one of string", "`integer`"),
    ({"/slug": "Fleet_Portal"}, "/slug", "not a slug", "a-z"),
    ({"/slug": "9fleet"}, "/slug", "not a slug", "letter"),
    ({"/slug": "a" * 64}, "/slug", "not a slug", "62"),
    ({"/name": "車両"}, "/name", "No slug", "Add `slug`"),
    # resilience
    ({"/resilience/timeout_seconds": 0}, "/resilience/timeout_seconds", "out of bounds", "between 0.1 and 300"),
    ({"/resilience/timeout_seconds": 301}, "/resilience/timeout_seconds", "out of bounds", "between 0.1 and 300"),
    ({"/resilience/timeout_seconds": "30"}, "/resilience/timeout_seconds", "not a number", "without quotes"),
    ({"/resilience/max_retries": 11}, "/resilience/max_retries", "out of bounds", "between 0 and 10"),
    ({"/resilience/max_retries": 1.5}, "/resilience/max_retries", "not a whole number", "whole number"),
    ({"/resilience/max_retries": True}, "/resilience/max_retries", "not a whole number", "whole number"),
    ({"/resilience/retry_delay_seconds": 61}, "/resilience/retry_delay_seconds", "bounds", "between 0 and 60"),
    ({"/resilience/rate_limit_per_minute": 100_001}, "/resilience/rate_limit_per_minute", "bounds", "100,000"),
    ({"/resilience/rate_limit_per_minute": -1}, "/resilience/rate_limit_per_minute", "bounds", "between 0"),
    ({"/resilience/circuit_breaker_threshold": 1001}, "/resilience/circuit_breaker_threshold", "bounds", "1,000"),
    (
        {"/resilience/circuit_breaker_recovery_seconds": 0.5},
        "/resilience/circuit_breaker_recovery_seconds",
        "bounds",
        "between 1 and 3,600",
    ),
    ({"/resilience/retry_backoff": "expo"}, "/resilience/retry_backoff", "not one of none", "exponential"),
    (
        {"/operations/0/resilience": {"max_retries": 99}},
        "/operations/0/resilience/max_retries",
        "bounds",
        "between 0 and 10",
    ),
    # addresses
    ({"/base_url": "ftp://example.com"}, "/base_url", "not an http or https URL", "https://"),
    ({"/base_url": "example.com"}, "/base_url", "not an http or https URL", "https://"),
    ({"/base_url": "https://"}, "/base_url", "host is missing", "api.example.com"),
    ({"/base_url": "https://a b.com"}, "/base_url", "space", "Percent-encode"),
    ({"/base_url": "https://me:pw@example.com"}, "/base_url", "user name or password", "credential_schema"),
    ({"/base_url": "https://example.com?x=1"}, "/base_url", "query or fragment", "query parameter"),
    ({"/base_url": "https://example.com/#x"}, "/base_url", "query or fragment", "query parameter"),
    ({"/base_url": "https://example.com:0"}, "/base_url", "port", "leave it out"),
    ({"/base_url": "https://example.com:99999"}, "/base_url", "port", "leave it out"),
    ({"/base_url": "https://example.com/a/../b"}, "/base_url", "'.' or '..'", "without dots"),
    ({"/base_url": "https://127.1"}, "/base_url", "no IPv4", "192.0.2.1"),
    ({"/base_url": "https://2130706433"}, "/base_url", "no IPv4", "192.0.2.1"),
    ({"/base_url": "https://[::1"}, "/base_url", "bracket", "[::1]"),
    ({"/base_url": "https://exa_mple..com"}, "/base_url", "not a name", "api.example.com"),
    ({"/base_url": "https://{tenant}.example.com"}, "/base_url", "{tenant} is not a credential field", "Add `tenant`"),
    ({"/base_url": "https://{host}", "/credential_schema": {"host": {"label": "H"}}}, "/base_url", "any host", "fixed"),
    ({"/base_url": "https://a.com/{x"}, "/base_url", "brace", "{name}"),
    (
        {"/base_url": "https://{t}.a.com", "/credential_schema": {"t": {"label": "T", "sensitive": True}}},
        "/base_url",
        "sensitive",
        "not sensitive",
    ),
    (
        {"/base_url": "https://{password}.a.com", "/auth_type": "basic"},
        "/base_url",
        "sensitive",
        "not sensitive",
    ),
    ({"/documentation_url": "docs"}, "/documentation_url", "not an http", "https://"),
    ({"/icon": "../logo.png"}, "/icon", "neither", "logo.svg"),
    ({"/icon": "logo.gif"}, "/icon", "neither", "logo.svg"),
    ({"/icon": "data:image/gif;base64,R0lG"}, "/icon", "not a PNG or SVG", "image/png"),
    ({"/icon": "data:image/png;base64,@@"}, "/icon", "base64 is broken", "again"),
    ({"/icon": data_url("image/png", b"GIF89a")}, "/icon", "not what it says", "Correct the type"),
    ({"/icon": data_url("image/svg+xml", b"<html></html>")}, "/icon", "not what it says", "Correct the type"),
    ({"/icon": data_url("image/png", PNG + b"x" * 262_144)}, "/icon", "262,152 bytes", "at most 262,144"),
    # auth
    ({"/auth_type": "token"}, "/auth_type", "not one of none", "none, api_key, basic, oauth2 or bearer"),
    ({"/header_name": "X-Key"}, "/header_name", "means nothing for auth_type none", "api_key"),
    ({"/auth_type": "bearer", "/key_prefix": "x"}, "/key_prefix", "means nothing", "api_key"),
    ({"/auth_type": "basic", "/scopes": "read"}, "/scopes", "means nothing", "oauth2"),
    ({"/auth_type": "api_key", "/header_name": "Host"}, "/header_name", "set by the HTTP client", "another header"),
    ({"/auth_type": "api_key", "/header_name": "X Key"}, "/header_name", "not a header name", "X-API-Key"),
    ({"/auth_type": "api_key", "/key_prefix": "a\r\nb"}, "/key_prefix", "control character", "Take it out"),
    (
        {"/auth_type": "api_key", "/header_name": "X-Key", "/query_parameter": "key"},
        "/query_parameter",
        "header and to the query",
        "one of the two",
    ),
    (
        {"/auth_type": "api_key", "/credential_schema": {"key": {"label": "K"}}},
        "/credential_schema",
        "which field is the key",
        "`api_key`",
    ),
    (
        {"/auth_type": "api_key", "/credential_schema": {"a": API_KEY, "b": API_KEY}},
        "/credential_schema",
        "which field is the key",
        "exactly one",
    ),
    ({"/auth_type": "basic", "/credential_schema": {"password": API_KEY}}, "/credential_schema", "`username`", "Add"),
    ({"/auth_type": "bearer", "/credential_schema": {"key": API_KEY}}, "/credential_schema", "`token`", "Add"),
    (
        {"/auth_type": "bearer", "/credential_schema": {"token": {"label": "T", "sensitive": False}}},
        "/credential_schema/token/sensitive",
        "is a secret",
        "sensitive: true",
    ),
    (
        {"/auth_type": "bearer", "/credential_schema": {"token": {"label": "T", "default": "abc"}}},
        "/credential_schema/token/default",
        "not secret",
        "Take the default out",
    ),
    ({"/credential_schema/client_key": {"label": "K"}}, "/credential_schema", "without `client_certificate`", "both"),
    ({"/credential_schema/client_certificate": {"label": "C"}}, "/credential_schema", "without `client_key`", "both"),
    (
        {"/base_url": "http://a.test", "/auth_type": "none", "/credential_schema": CLIENT_CERTIFICATE},
        "/credential_schema",
        "presented in TLS",
        "Use https",
    ),
    (
        {"/credential_schema": {**CLIENT_CERTIFICATE, "client_key": {"label": "K", "sensitive": False}, "k": API_KEY}},
        "/credential_schema/client_key/sensitive",
        "is a secret",
        "sensitive: true",
    ),
    (
        {"/auth_type": "api_key", "/credential_schema": CLIENT_CERTIFICATE},
        "/credential_schema",
        "which field is the key",
        "Name it `api_key`",
    ),
    ({"/credential_schema": {"API Key": API_KEY}}, "/credential_schema/API Key", "not a name", "a-z"),
    ({"/credential_schema": {"a": "Key"}}, "/credential_schema/a", "not a mapping", "Write a mapping"),
    ({"/credential_schema": {"a": {}}}, "/credential_schema/a/label", "missing", "API Key"),
    ({"/credential_schema": {"a": {"label": "A", "type": "secret"}}}, "/credential_schema/a/type", "not one", "string"),
    (oauth2(grant_type=None), "/grant_type", "needs `grant_type`", "client_credentials"),
    (oauth2(token_url=None), "/token_url", "needs `token_url`", "credential field"),
    (oauth2(grant_type="authorization_code"), "/authorization_url", "needs `authorization_url`", "credential field"),
    (oauth2(token_url="auth/token"), "/token_url", "not an http", "https://"),
    (oauth2(token_url="https://{t}.example.com/token"), "/token_url", "placeholder", "whole"),
    (oauth2(scopes=[1]), "/scopes/0", "not text", "quotes"),
    (oauth2(scopes=["read write"]), "/scopes/0", "not one scope", "by itself"),
    (oauth2(scopes=["a,b"], scope_separator="comma"), "/scopes/0", "comma", "by itself"),
    (oauth2(scopes="a, b", scope_separator="comma"), "/scopes", "no scope beside it", "commas alone"),
    (oauth2(scope_separator="tab"), "/scope_separator", "not one of space", "space or comma"),
    (oauth2(token_parameters={"grant_type": "x"}), "/token_parameters/grant_type", "by the product", "Take it out"),
    (oauth2(token_parameters={"resource": 5}), "/token_parameters/resource", "not text", "quotes"),
    (oauth2(token_parameters={"resource": "a{"}), "/token_parameters/resource", "no partner", "{name}"),
    (oauth2(token_parameters={"resource": "a\n"}), "/token_parameters/resource", "control character", "Take it out"),
    (oauth2(token_parameters={"resource": "{area}"}), "/token_parameters/resource", "no credential field", "`area`"),
    (oauth2(token_parameters={"x": "{client_secret}"}), "/token_parameters/x", "is sensitive", "not"),
    (oauth2(authorization_parameters={"prompt": "x"}), "/authorization_parameters", "no authorization", "mean"),
    (
        oauth2(grant_type="authorization_code", authorization_parameters={"state": "x"}),
        "/authorization_parameters/state",
        "by the product",
        "Take it out",
    ),
    (oauth2(expired_token={}), "/expired_token", "Nothing here says", "status_codes, body_field"),
    (oauth2(expired_token={"status_codes": [200]}), "/expired_token/status_codes", "Every success", "body_field"),
    (oauth2(expired_token={"status_codes": [20]}), "/expired_token/status_codes/0", "out of bounds", "between 100"),
    (oauth2(expired_token={"body_values": ["x"]}), "/expired_token/body_values", "No `body_field`", "Add"),
    (oauth2(expired_token={"body_field": "a.b"}), "/expired_token/body_values", "needs the values", "list"),
    (
        oauth2(expired_token={"body_field": "a..b", "body_values": ["x"]}),
        "/expired_token/body_field",
        "not a path",
        "error.code",
    ),
    (
        oauth2(expired_token={"body_field": "a", "body_values": [["x"]]}),
        "/expired_token/body_values/0",
        "neither text",
        "as the system sends it",
    ),
    ({"/expired_token": {"status_codes": [403]}}, "/expired_token", "means nothing", "oauth2"),
    (oauth2(credential_schema={"client_id": {"label": "I"}}), "/credential_schema", "`client_secret`", "Add"),
    (
        oauth2(
            credential_schema={"client_id": {"label": "I"}, "client_secret": API_KEY, "token_url": {"label": "T"}},
        ),
        "/credential_schema/token_url",
        "fixed by the template",
        "one of the two",
    ),
    # operations
    (
        {"/operations/-": {"operation": "add_trip", "method": "GET", "path": "/x"}},
        "/operations/2/operation",
        "another",
        "own name",
    ),
    (
        {"/operations/0/health_check": True, "/operations/1/health_check": True},
        "/operations/1/health_check",
        "already",
        "one operation",
    ),
    ({"/operations/1/path": "trips"}, "/operations/1/path", "start with a slash", "'/trips'"),
    ({"/operations/1/path": "/a/../b"}, "/operations/1/path", "'.' or '..'", "without dots"),
    ({"/operations/1/path": "/a/%2e%2E"}, "/operations/1/path", "'.' or '..'", "without dots"),
    ({"/operations/1/path": "/a?x=1"}, "/operations/1/path", "query or fragment", "query parameters"),
    ({"/operations/1/path": "/a b"}, "/operations/1/path", "cannot carry", "/a%20b"),
    ({"/operations/1/path": "/a\nb"}, "/operations/1/path", "cannot carry", "%0A"),
    ({"/operations/1/path": "/a/{"}, "/operations/1/path", "brace", "{name}"),
    (
        {"/operations/0/path": "/vehicles/{id}/{part}"},
        "/operations/0/path",
        "{part} has no path parameter",
        "location path",
    ),
    ({"/operations/0/path": "/vehicles/{id}/{id}"}, "/operations/0/path", "twice", "own name"),
    ({"/operations/0/path": "/vehicles"}, "/operations/0/parameters/0/name", "no {id}", "Add {id}"),
    (
        {"/operations/0/parameters/0/location": "query"},
        "/operations/0/parameters/0/location",
        "stands in the path",
        "location: path",
    ),
    ({"/operations/1/body_encoding": "xml"}, "/operations/1/body_encoding", "not one of json", "multipart"),
    ({"/operations/1/idempotency_header": "a b"}, "/operations/1/idempotency_header", "not a header name", "X-API-Key"),
    ({"/operations/1/idempotency_header": "Connection"}, "/operations/1/idempotency_header", "HTTP client", "another"),
    ({"/operations/0/sample": {"idd": 1}}, "/operations/0/sample/idd", "no parameter 'idd'", "'id'"),
    ({"/operations/0/sample": {"id": "7"}}, "/operations/0/sample/id", "not of type integer", "whole number"),
    ({"/operations/0/sample": {"id": 1, "lang": "de"}}, "/operations/0/sample/lang", "not in the enum", "'en', 'fr'"),
    ({"/operations/0/sample": [1]}, "/operations/0/sample", "not a mapping", "Write a mapping"),
    ({"/operations/0/response_schema": []}, "/operations/0/response_schema", "not a mapping", "Write a mapping"),
    (
        {"/operations/0/response_schema": {"type": "objekt"}},
        "/operations/0/response_schema/type",
        "not a type",
        "object",
    ),
    (
        {"/operations/0/response_schema": {"minLength": -1}},
        "/operations/0/response_schema/minLength",
        "2020-12",
        "Mend",
    ),
    (
        {"/operations/0/response_schema": {"pattern": "("}},
        "/operations/0/response_schema/pattern",
        "regular expression",
        "Mend",
    ),
    (
        {"/operations/0/response_schema": {"$ref": "https://x.y/s"}},
        "/operations/0/response_schema/$ref",
        "out of this schema",
        "$defs",
    ),
    (
        {"/operations/0/response_schema": {"items": {"$ref": "other.json"}}},
        "/operations/0/response_schema/items/$ref",
        "out of",
        "$defs",
    ),
    (
        {"/operations/0/response_schema": {"$ref": "#/$defs/a"}},
        "/operations/0/response_schema/$ref",
        "nowhere",
        "#/$defs/name",
    ),
    ({"/operations/0/response_schema": {"$ref": "#gone"}}, "/operations/0/response_schema", "nowhere", "$ref"),
    (
        {"/operations/0/response_schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        "/operations/0/response_schema/$schema",
        "dialect",
        "2020-12",
    ),
    # parameters
    (
        {"/operations/0/parameters/-": {"name": "lang", "location": "header"}},
        "/operations/0/parameters/2/name",
        "another parameter",
        "own name",
    ),
    ({f"{PARAMETER}/default": 5}, f"{PARAMETER}/default", "not of type string", "text"),
    ({f"{PARAMETER}/default": "de"}, f"{PARAMETER}/default", "not in the enum", "'en', 'fr'"),
    ({f"{PARAMETER}/enum": ["en", 5]}, f"{PARAMETER}/enum/1", "not of type string", "quotes"),
    ({f"{PARAMETER}/enum": ["en", "en"]}, f"{PARAMETER}/enum/1", "twice", "Take one"),
    ({f"{PARAMETER}/enum": []}, f"{PARAMETER}/enum", "at least 1", "leave the field out"),
    ({f"{PARAMETER}/schema": {"type": 5}}, f"{PARAMETER}/schema/type", "not a type", "string"),
    ({f"{PARAMETER}/schema": {"maxLength": 1}}, f"{PARAMETER}/default", "does not fit the parameter's schema", "Mend"),
    ({f"{PARAMETER}/location": "header", f"{PARAMETER}/name": "Host"}, f"{PARAMETER}/name", "HTTP client", "another"),
    (
        {f"{PARAMETER}/location": "header", f"{PARAMETER}/name": "content-length"},
        f"{PARAMETER}/name",
        "HTTP client",
        "another",
    ),
    (
        {f"{PARAMETER}/location": "header", f"{PARAMETER}/name": "Läng"},
        f"{PARAMETER}/name",
        "not a header name",
        "letters",
    ),
    ({f"{PARAMETER}/name": "a\x00b"}, f"{PARAMETER}/name", "control character", "Take it out"),
    ({f"{PARAMETER}/whole_body": True}, f"{PARAMETER}/whole_body", "for the body", "location: body"),
    (
        {"/operations/0/parameters/0/required": False},
        "/operations/0/parameters/0/required",
        "left out",
        "required: true",
    ),
    ({"/operations/0/parameters/0/type": "array"}, "/operations/0/parameters/0/type", "A list cannot", "string"),
    ({f"{PARAMETER}/type": "object"}, f"{PARAMETER}/type", "A mapping cannot", "one parameter"),
    (
        {f"{BODY}/whole_body": True, "/operations/1/parameters/-": {"name": "b", "location": "body"}},
        f"{BODY}/whole_body",
        "no room",
        "alone",
    ),
    ({"/operations/1/body_encoding": "form", f"{BODY}/whole_body": True}, BODY, "type object", "type: object"),
    ({"/operations/1/body_encoding": "form", f"{BODY}/type": "object"}, f"{BODY}/type", "one field", "json"),
    (
        {
            "/operations/1/idempotency_header": "X-Once",
            "/operations/1/parameters/-": {"name": "x-once", "location": "header"},
        },
        "/operations/1/parameters/1/name",
        "idempotency_header",
        "Idempotency-Key",
    ),
    (
        {"/auth_type": "api_key", f"{PARAMETER}/location": "header", f"{PARAMETER}/name": "x-api-key"},
        f"{PARAMETER}/name",
        "carries the credential",
        "another header",
    ),
    (
        {"/auth_type": "bearer", f"{PARAMETER}/location": "header", f"{PARAMETER}/name": "authorization"},
        f"{PARAMETER}/name",
        "carries the credential",
        "another header",
    ),
    (
        {"/auth_type": "basic", "/operations/1/idempotency_header": "Authorization"},
        "/operations/1/idempotency_header",
        "carries the credential",
        "another header",
    ),
    (
        {"/auth_type": "api_key", "/query_parameter": "lang"},
        f"{PARAMETER}/name",
        "carries the credential",
        "Take the parameter out",
    ),
    # values that JSON does not carry
    ({f"{PARAMETER}/default": 2**53}, f"{PARAMETER}/default", "2^53", "in quotes"),
    ({f"{PARAMETER}/default": 2.0**53}, f"{PARAMETER}/default", "2^53", "in quotes"),
    ({"/x-limit": float("nan")}, "/x-limit", "NaN", "finite"),
    ({"/resilience/timeout_seconds": float("inf")}, "/resilience/timeout_seconds", "infinity", "finite"),
    ({"/description": "\ud800"}, "/description", "surrogate", "whole character"),
]


@pytest.mark.parametrize(
    ("changes", "path", "problem", "mend"), CASES, ids=[f"{index}-{case[1]}" for index, case in enumerate(CASES)]
)
def test_a_mistake_is_named_at_its_place(changes: dict[str, Any], path: str, problem: str, mend: str) -> None:
    report = check(document(changes))

    assert report.template is None
    told = [each for each in report.errors if each.path == path]
    assert any(problem in each.problem and mend in each.mend for each in told), report.errors
    assert all(each.problem.strip() and each.mend.strip() for each in report.errors)
    assert not any("pydantic" in each.problem or "errors.pydantic" in each.mend for each in report.errors)


def test_all_mistakes_come_at_once_whatever_else_is_wrong() -> None:
    report = check(
        document(
            {
                "/name": 5,
                "/slgu": "x",
                "/base_url": "https://{tenant}.example.com",
                "/header_name": "X-Key",
                "/operations/0/method": "FETCH",
                "/operations/0/path": "/vehicles/{id}/{part}",
                "/operations/0/sample": {"idd": 1},
                "/operations/0/response_schema": {"type": "objekt"},
                "/operations/1/operation": "get_vehicle",
                "/operations/1/parameters/0/default": "far",
                "/operations/-": 7,
                "/resilience/max_retries": 99,
            }
        )
    )

    assert set(paths(report)) == {
        "/name",
        "/slgu",
        "/base_url",
        "/header_name",
        "/operations/0/method",
        "/operations/0/path",
        "/operations/0/sample/idd",
        "/operations/0/response_schema/type",
        "/operations/1/operation",
        "/operations/1/parameters/0/default",
        "/operations/2",
        "/resilience/max_retries",
    }


def test_a_value_of_the_wrong_type_is_explained_once() -> None:
    report = check(document({"/operations/0/parameters/1/enum": "en"}))

    assert paths(report) == ["/operations/0/parameters/1/enum"]


@pytest.mark.parametrize("junk", [None, 5, "name: x", [], [{}], True, float("nan")])
def test_what_is_no_mapping_is_refused_as_a_whole(junk: Any) -> None:
    report = check(junk)

    assert [problem.path for problem in report.errors] == [""]
    assert "Write a mapping" in report.errors[0].mend


def test_nesting_without_end_is_refused() -> None:
    looping: dict[str, Any] = {}
    looping["x-self"] = looping

    report = check(document({"/x-deep": looping}))

    assert "deeper than 64" in report.errors[0].problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({1: "a"}, "not a string"),
        (object(), "of type object"),
        ((1, 2), "of type tuple"),
        (b"bytes", "of type bytes"),
        ([0] * 200_001, "more than 200,000 values"),
        ("x" * 1_600_000, "at most 1,572,864 bytes"),
    ],
)
def test_what_is_not_plain_data_of_bounded_size_is_refused(value: Any, problem: str) -> None:
    report = check(document({"/x-value": value}))

    assert len(report.errors) == 1
    assert problem in report.errors[0].problem


def test_sensitive_values_are_not_repeated_in_messages() -> None:
    report = check(
        document(
            {
                "/operations/0/parameters/1/sensitive": True,
                "/operations/0/parameters/1/default": "hunter2",
                "/auth_type": "bearer",
                "/credential_schema": {"token": {"label": "T", "type": "password", "default": "s3cret"}},
            }
        )
    )

    assert report.errors
    assert "hunter2" not in str(report)
    assert "s3cret" not in str(report)


def test_an_endless_name_is_cut_wherever_it_stands() -> None:
    report = check({**document(), "credential_schema": {"A" * 5000: {"label": "a", "type": "string"}}})

    assert report.errors
    assert all(len(str(problem)) < 1500 for problem in [*report.errors, *report.warnings])
