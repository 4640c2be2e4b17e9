"""From parameters and headers to a request: every rule of the template model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any

import pytest

from services.executor.domain.auth import Credentials
from services.executor.domain.plan import AuthPlan
from services.executor.transport.interface import HttpRequest
from shared.contracts.errors import DibopError

Build = Callable[..., HttpRequest]
BASE = "https://api.example.com/v1"


def query(name: str = "q", **changes: Any) -> dict[str, Any]:
    return {"name": name, "location": "query", **changes}


def path(name: str = "id", **changes: Any) -> dict[str, Any]:
    return {"name": name, "location": "path", "required": True, **changes}


def header(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "location": "header", **changes}


def body(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "location": "body", **changes}


def refused(build: Build, *arguments: Any, **options: Any) -> list[dict[str, str]]:
    with pytest.raises(DibopError) as caught:
        build(*arguments, **options)
    assert caught.value.code == "invalid-parameters"
    return [dict(error) for error in caught.value.errors]


# ---- path ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("plain", "plain"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("../up", "..%2Fup"),
        ("...", "..."),
        ("%2e%2e", "%252e%252e"),
        ("a?b#c", "a%3Fb%23c"),
        ("a\\b", "a%5Cb"),
        ("é", "%C3%A9"),
        ("a\r\nb", "a%0D%0Ab"),
        ("~-._", "~-._"),
    ],
)
def test_a_path_value_stays_one_segment(build: Build, value: str, segment: str) -> None:
    assert build([path()], {"id": value}, path="/things/{id}/x").url == f"{BASE}/things/{segment}/x"


@pytest.mark.parametrize("value", [".", "..", ""])
def test_a_path_value_that_leads_elsewhere_is_refused(build: Build, value: str) -> None:
    (error,) = refused(build, [path()], {"id": value}, path="/things/{id}")
    assert error["name"] == "id"
    assert "another resource" in error["problem"]


# ---- query --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        (query(), "London,UK", "q=London%2CUK"),
        (query(), "", "q="),
        (query(), "a&b=c", "q=a%26b%3Dc"),
        (query(type="boolean"), True, "q=true"),
        (query(type="boolean"), False, "q=false"),
        (query(type="integer"), 7, "q=7"),
        (query(type="integer"), 3.0, "q=3"),
        (query(type="integer"), -(2**53 - 1), "q=-9007199254740991"),
        (query(type="number"), 1.5, "q=1.5"),
        (query(type="number"), 10, "q=10"),
        (query(type="array"), ["a", "b c", 1, True], "q=a&q=b%20c&q=1&q=true"),
        (query(enum=["a", "b"]), "b", "q=b"),
        (query("a b"), "x", "a%20b=x"),
    ],
)
def test_a_query_value_is_encoded(build: Build, parameter: dict[str, Any], value: Any, text: str) -> None:
    assert build([parameter], {parameter["name"]: value}).url == f"{BASE}/things?{text}"


def test_an_empty_array_sends_nothing(build: Build) -> None:
    assert build([query(type="array")], {"q": []}).url == f"{BASE}/things"


def test_defaults_are_sent_and_optional_values_are_not(build: Build) -> None:
    request = build([query(), query("units", default="metric"), query("page", type="integer")], {"q": "x"})
    assert request.url == f"{BASE}/things?q=x&units=metric"


# ---- types --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (query(), 5, "is an integer, not a string"),
        (query(), None, "is null, not a string"),
        (query(), ["x"], "is an array, not a string"),
        (query(type="integer"), "5", "is a string, not an integer"),
        (query(type="integer"), 1.5, "is a number, not an integer"),
        (query(type="integer"), True, "is a boolean, not an integer"),
        (query(type="integer"), 2**53, "an integer beyond"),
        (query(type="integer"), 10**400, "an integer beyond"),
        (query(type="number"), True, "is a boolean, not a number"),
        (query(type="number"), math.nan, "is not finite"),
        (query(type="number"), math.inf, "is not finite"),
        (query(type="number"), -math.inf, "is not finite"),
        (query(type="boolean"), 1, "is an integer, not a boolean"),
        (query(type="boolean"), "true", "is a string, not a boolean"),
        (query(type="array"), "a", "is a string, not an array"),
        (query(type="array"), [["a"]], "only a body can carry"),
        (query(type="array"), [None], "only a body can carry"),
        (query(type="array"), [math.nan], "is not finite"),
        (query(enum=["metric", "imperial"]), "kelvin", "is not one of the allowed values"),
        (query(type="integer", enum=[1, 2]), 3, "is not one of the allowed values"),
        (query(type="array", schema={"items": {"type": "string"}}), [1], "does not fit its schema at /0"),
        (query(), "\ud800", "lone surrogate"),
        (header("X-A"), "a\r\nInjected: b", "CR, LF or NUL"),
        (header("X-A"), "a\nb", "CR, LF or NUL"),
        (header("X-A"), "a\0b", "CR, LF or NUL"),
        (body("b", type="object"), {"deep": [{"x": math.inf}]}, "is not finite"),
        (body("b", type="object"), {"deep": 2**60}, "an integer beyond"),
        (body("b", type="object"), {"deep": {"\ud800": 1}}, "lone surrogate"),
        (body("b", type="object"), {"deep": {1, 2}}, "holds a set"),
        (body("b", type="object"), {1: 2}, "key that is not a string"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    build: Build, parameter: dict[str, Any], value: Any, problem: str
) -> None:
    method = "POST" if parameter["location"] == "body" else "GET"
    (error,) = refused(build, [parameter], {parameter["name"]: value}, method=method)
    assert error["name"] == parameter["name"]
    assert problem in error["problem"]
    assert error["allowed"]


def test_a_value_nested_too_deep_is_refused(build: Build) -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    (error,) = refused(build, [body("b", type="array")], {"b": value}, method="POST")
    assert "nested deeper" in error["problem"]


def test_no_refusal_quotes_the_value(build: Build) -> None:
    secret = "hunter2-hunter2"
    parameters = [
        query("a", type="integer", sensitive=True),
        query("b", enum=["x"], sensitive=True),
        header("X-C", sensitive=True),
        query("d", type="array", schema={"items": {"maxLength": 3}}, sensitive=True),
    ]
    errors = refused(build, parameters, {"a": secret, "b": secret, "X-C": f"{secret}\r\n", "d": [secret]})
    assert len(errors) == 4
    assert secret not in str(errors)


# ---- all problems at once -----------------------------------------------------------------------
def test_all_problems_come_at_once(build: Build) -> None:
    errors = refused(
        build,
        [query(required=True), query("units"), path()],
        {"unitz": "metric", "id": ".."},
        path="/things/{id}",
        headers={"Host": "evil.example"},
    )
    assert {error["name"] for error in errors} == {"q", "id", "unitz", "Host"}
    by_name = {error["name"]: error for error in errors}
    assert by_name["q"]["problem"] == "is required"
    assert by_name["q"]["allowed"] == "a string"
    assert "'units'" in by_name["unitz"]["allowed"]


def test_an_unknown_parameter_of_an_operation_without_any_is_refused(build: Build) -> None:
    (error,) = refused(build, [], {"q": "x"})
    assert error["allowed"] == "The operation takes no parameters."


def test_a_flood_of_unknown_parameters_is_told_in_part(build: Build) -> None:
    errors = refused(build, [query()], {f"name{number}": 1 for number in range(10_000)})
    assert len(errors) == 100


# ---- headers ------------------------------------------------------------------------------------
def test_header_parameters_and_own_headers_are_sent(build: Build) -> None:
    request = build([header("X-Trace"), header("X-Flag", type="boolean")], {"X-Trace": "t", "X-Flag": True},
                    headers={"Accept-Language": "de"})  # fmt: skip
    assert request.headers == [("X-Trace", "t"), ("X-Flag", "true"), ("Accept-Language", "de")]


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "TE", "Trailer", "Expect", "X-API-Key",
     "x-api-key"],
)  # fmt: skip
def test_a_header_that_a_caller_may_not_set_is_refused(build: Build, name: str) -> None:
    (error,) = refused(build, [], {}, headers={name: "x"}, auth=AuthPlan("api_key", ("api_key",), "X-API-Key"))
    assert error["name"] == name


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"X-A": "a\r\nb"}, "CR, LF or NUL"),
        ({"X-A": "a\nb"}, "CR, LF or NUL"),
        ({"X-A": "a\0"}, "CR, LF or NUL"),
        ({"X-A": "\ud800"}, "lone surrogate"),
        ({"X A": "a"}, "is not a header name"),
        ({"": "a"}, "is not a header name"),
        ({"X-A\r\nX-B": "a"}, "is not a header name"),
        ({"X-A\n": "a"}, "is not a header name"),
        ({"X-A:": "a"}, "is not a header name"),
        ({"Ünï": "a"}, "is not a header name"),
        ({"X-A": "a", "x-a": "b"}, "is given twice"),
        ({"x-declared": "a"}, "is a parameter of the operation"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(build: Build, headers: dict[str, str], problem: str) -> None:
    (error,) = refused(build, [header("X-Declared")], {}, headers=headers)
    assert problem in error["problem"]


def test_credentials_come_last_and_in_the_query_too(build: Build) -> None:
    credentials = Credentials(headers=(("X-API-Key", "k"),), query="appid=k")
    request = build([query()], {"q": "x"}, credentials=credentials)
    assert request.url == f"{BASE}/things?q=x&appid=k"
    assert request.headers == [("X-API-Key", "k")]


# ---- bodies -------------------------------------------------------------------------------------
def test_body_parameters_form_one_json_object(build: Build) -> None:
    request = build(
        [body("name"), body("tags", type="array"), body("size", type="integer"), body("note", default="-")],
        {"tags": ["a", {"b": None}], "name": "n", "size": 2.0},
        method="POST",
    )
    assert request.body == b'{"name":"n","tags":["a",{"b":null}],"size":2,"note":"-"}'
    assert ("Content-Type", "application/json") in request.headers


def test_a_json_body_may_have_a_type_of_its_own(build: Build) -> None:
    request = build([body("a")], {"a": "x"}, method="POST", headers={"content-type": "application/vnd.api+json"})
    assert request.headers == [("content-type", "application/vnd.api+json")]


def test_a_form_body(build: Build) -> None:
    parameters = [body("name"), body("tags", type="array"), body("on", type="boolean")]
    request = build(parameters, {"name": "a b&c=é", "tags": ["x", "y"], "on": True}, method="POST",
                    body_encoding="form")  # fmt: skip
    assert request.body == b"name=a+b%26c%3D%C3%A9&tags=x&tags=y&on=true"
    assert ("Content-Type", "application/x-www-form-urlencoded") in request.headers


def test_a_multipart_body(build: Build) -> None:
    parameters = [body('na"me'), body("tags", type="array"), body("on", type="boolean")]
    request = build(parameters, {'na"me': "é\r\nx", "tags": ["x", "y"], "on": False}, method="POST",
                    body_encoding="multipart")  # fmt: skip
    content_type = dict(request.headers)["Content-Type"]
    message = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + (request.body or b""))
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in message.walk()
        if not part.is_multipart()
    ]
    assert parts == [("na%22me", "é\r\nx".encode()), ("tags", b"x"), ("tags", b"y"), ("on", b"false")]


@pytest.mark.parametrize("encoding", ["form", "multipart"])
def test_the_type_of_a_form_cannot_be_set(build: Build, encoding: str) -> None:
    (error,) = refused(build, [body("a")], {"a": "x"}, method="POST", body_encoding=encoding,
                       headers={"Content-Type": "text/plain"})  # fmt: skip
    assert "body encoding" in error["problem"]


def test_a_whole_body(build: Build) -> None:
    request = build([body("b", type="array", whole_body=True)], {"b": [1, "two", None]}, method="PUT")
    assert json.loads(request.body or b"") == [1, "two", None]


def test_a_whole_body_that_is_not_given_is_no_body(build: Build) -> None:
    request = build([body("b", type="object", whole_body=True)], {}, method="POST")
    assert (request.body, request.headers) == (None, [])


@pytest.mark.parametrize(("method", "sent"), [("POST", b"{}"), ("PUT", b"{}"), ("PATCH", b"{}"), ("DELETE", None)])
def test_a_json_body_without_values(build: Build, method: str, sent: bytes | None) -> None:
    assert build([body("a")], {}, method=method).body == sent


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_every_method_is_sent_as_it_is(build: Build, method: str) -> None:
    request = build([], {}, method=method)
    assert (request.method, request.body) == (method, None)


# ---- idempotency --------------------------------------------------------------------------------
def test_the_callers_idempotency_key_is_sent(build: Build) -> None:
    request = build([], {}, method="POST", idempotency_header="Idempotency-Key", key="order-7")
    assert request.headers == [("Idempotency-Key", "order-7")]


def test_an_idempotency_key_is_made_and_differs_between_requests(build: Build) -> None:
    keys = {dict(build([], {}, method="POST", idempotency_header="X-Once").headers)["X-Once"] for _ in range(10)}
    assert len(keys) == 10


def test_a_key_among_the_headers_wins(build: Build) -> None:
    request = build([], {}, method="POST", idempotency_header="X-Once", headers={"x-once": "mine"}, key="other")
    assert request.headers == [("x-once", "mine")]


def test_an_idempotency_key_that_no_header_carries_is_refused(build: Build) -> None:
    (error,) = refused(build, [], {}, method="POST", idempotency_header="X-Once", key="a\r\nb")
    assert error["name"] == "Idempotency-Key"


def test_without_an_idempotency_header_a_key_goes_nowhere(build: Build) -> None:
    assert build([], {}, method="POST", key="order-7").headers == []
