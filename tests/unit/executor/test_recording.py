"""What is kept of a test's request and response."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.executor.domain.auth import Credentials, credentials_of
from services.executor.domain.plan import AuthPlan, BodyEncoding, OperationPlan, ParameterPlan, ResiliencePlan
from services.executor.domain.recording import MAX_RECORDED_CHARACTERS, MAX_REDACTED_BYTES, Recorder
from services.executor.domain.request import Target, build_request, sensitive_texts
from services.executor.domain.response import decode_response
from services.executor.domain.schemas import SchemaCache
from services.executor.transport.interface import HttpRequest, HttpResponse
from shared.contracts.execution import Exchange, RecordedBody
from shared.security.redaction import REDACTED, keep_out, keep_out_too

SECRET = "S3cret/with+signs=and ünicode"
ONCE = ResiliencePlan(1.0, 0, 0.0, "none", 0, 0, 1.0)


def operation(
    *parameters: ParameterPlan, sensitive: tuple[str, ...] = (), body: BodyEncoding | None = None, method: str = "GET"
) -> OperationPlan:
    names = tuple(each.name for each in parameters if each.location == "path")
    return OperationPlan(
        "run", method, ("/run",) if not names else ("/run/", ""), names, parameters, body, True, None, None, ONCE,
        sensitive=sensitive,
    )  # fmt: skip


def parameter(name: str, location: Any) -> ParameterPlan:
    return ParameterPlan(name, location, "string", True, f"{name}=")


def recorded(
    plan: OperationPlan,
    given: dict[str, Any],
    auth: AuthPlan | None = None,
    values: dict[str, str] | None = None,
    answer: HttpResponse | None = None,
) -> Exchange:
    """The exchange as an executor records it."""
    auth = auth or AuthPlan("none")
    credentials = credentials_of(auth, values or {}) if values else Credentials()
    target = Target("https://api.example.com/v1", auth, credentials)
    keep_out(target.secrets)
    request = build_request(plan, target, given, {}, idempotency_key=None, schemas=SchemaCache())
    texts = tuple(sensitive_texts(plan, given))
    keep_out_too(*texts)
    return noted(request, plan, auth, texts, answer)


def noted(
    request: HttpRequest, plan: OperationPlan, auth: AuthPlan, texts: tuple[str, ...], answer: HttpResponse | None
) -> Exchange:
    recorder = Recorder()
    recorder.sending(request, plan, auth, texts)
    if answer is not None:
        recorder.answered(answer, decode_response(answer, None, SchemaCache()))
    exchange = recorder.exchange()
    assert exchange is not None
    return exchange


def answered(body: bytes, content_type: str = "application/json", **headers: str) -> HttpResponse:
    return HttpResponse(200, {"content-type": content_type, **headers}, body)


def body_of(exchange: Exchange) -> RecordedBody:
    assert exchange.response is not None
    assert exchange.response.body is not None
    return exchange.response.body


def test_nothing_is_kept_where_it_did_not_come_to_a_request() -> None:
    assert Recorder().exchange() is None


def test_a_request_and_its_response_are_kept_as_they_were() -> None:
    plan = operation(parameter("q", "query"), parameter("id", "path"))
    exchange = recorded(plan, {"q": "a b", "id": "7/8"}, answer=answered(b'{"a": [1, 2.5, null]}', server="x"))

    assert (exchange.request.method, exchange.request.url) == ("GET", "https://api.example.com/v1/run/7%2F8?q=a%20b")
    assert exchange.request.body is None
    assert exchange.response is not None
    assert exchange.response.headers == [("content-type", "application/json"), ("server", "x")]
    assert body_of(exchange) == RecordedBody("json", '{"a":[1,2.5,null]}', 21)


@pytest.mark.parametrize(
    "auth",
    [
        AuthPlan("api_key", ("key",), header="X-Own", prefix="Key "),
        AuthPlan("api_key", ("key",), query_parameter="k"),
        AuthPlan("bearer", ("key",), header="Authorization"),
        AuthPlan("basic", ("user", "key"), header="Authorization"),
    ],
    ids=lambda auth: f"{auth.kind}-{auth.header or auth.query_parameter}",
)
@pytest.mark.parametrize("secret", [SECRET.replace("ünicode", "ascii"), "abc", "a"])
def test_a_credential_is_nowhere_in_what_is_kept(auth: AuthPlan, secret: str) -> None:
    echoed = json.dumps({"you sent": secret, "more": [f"Key {secret}"]}) if len(secret) > 3 else "{}"
    plan = operation(parameter("q", "query"))

    exchange = recorded(plan, {"q": "Q"}, auth, {"key": secret, "user": "U"}, answered(echoed.encode(), etag="E"))

    sent = dict(exchange.request.headers)
    if auth.header:
        assert sent[auth.header] == REDACTED
    else:
        assert exchange.request.url == f"https://api.example.com/v1/run?q=Q&k={REDACTED}"
    if len(secret) > 3:
        assert secret not in msgspec.json.encode(exchange).decode()


@pytest.mark.parametrize("location", ["query", "header", "path", "body"])
@pytest.mark.parametrize("secret", [SECRET.replace("ünicode", "ascii"), "7q"])
def test_sensitive_parameters_are_left_out_however_short(location: str, secret: str) -> None:
    encoding: BodyEncoding | None = "json" if location == "body" else None
    plan = operation(parameter("pin", location), sensitive=("pin",), body=encoding, method="POST")

    exchange = recorded(plan, {"pin": secret})

    kept = msgspec.json.encode(exchange.request).decode()
    assert secret not in kept
    assert REDACTED in kept


@pytest.mark.parametrize("encoding", ["form", "multipart", "whole"])
def test_sensitive_parameters_of_other_bodies_are_left_out(encoding: BodyEncoding) -> None:
    plan = operation(parameter("pin", "body"), sensitive=("pin",), body=encoding, method="POST")

    exchange = recorded(plan, {"pin": "7q"})

    assert exchange.request.body is not None
    assert "7q" not in exchange.request.body.text


def test_fields_that_speak_of_secrets_are_left_out_of_responses() -> None:
    body = {"access_token": "abc", "user": {"password": "x", "name": "Ada"}}

    exchange = recorded(operation(), {}, answer=answered(json.dumps(body).encode(), **{"x-api-key": "k"}))

    assert json.loads(body_of(exchange).text) == {
        "access_token": REDACTED,
        "user": {"password": REDACTED, "name": "Ada"},
    }
    assert exchange.response is not None
    assert dict(exchange.response.headers)["x-api-key"] == REDACTED


def test_cookies_are_not_kept() -> None:
    exchange = recorded(operation(), {}, answer=answered(b"{}", **{"set-cookie": "session=1"}))

    assert "session" not in msgspec.json.encode(exchange).decode()


def test_a_body_is_redacted_before_it_is_cut() -> None:
    auth, values = AuthPlan("bearer", ("key",), header="Authorization"), {"key": "T0ken-" * 10}
    text = "x" * (MAX_RECORDED_CHARACTERS - 10) + values["key"] + "tail"

    exchange = recorded(operation(), {}, auth, values, answered(text.encode(), "text/plain"))

    kept = body_of(exchange)
    assert (len(kept.text), kept.truncated, kept.size) == (MAX_RECORDED_CHARACTERS, True, len(text))
    assert "T0ken" not in kept.text
    assert kept.text.endswith("[redacted]")


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\x00\xff" * MAX_RECORDED_CHARACTERS, "application/octet-stream", "base64"),
        (b"y" * 2 * MAX_REDACTED_BYTES, "text/plain", "text"),
        (b'["' + b"y" * 2 * MAX_REDACTED_BYTES + b'"]', "application/json", "text"),
        (b'["' + b"y" * 2 * MAX_RECORDED_CHARACTERS + b'"]', "application/json", "text"),
    ],
)
def test_large_bodies_are_kept_as_their_beginning(body: bytes, content_type: str, encoding: str) -> None:
    kept = body_of(recorded(operation(), {}, answer=answered(body, content_type)))

    assert (kept.encoding, kept.truncated, kept.size) == (encoding, True, len(body))
    assert len(kept.text) <= MAX_RECORDED_CHARACTERS


def test_headers_are_kept_until_they_are_too_many() -> None:
    many = {f"x-{number}": "v" * 1000 for number in range(100)}

    exchange = recorded(operation(), {}, answer=answered(b"{}", **many))

    assert exchange.response is not None
    assert 60 <= len(exchange.response.headers) <= 66
