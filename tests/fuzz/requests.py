"""Requests: from the bytes on the bus to the bytes to the external system, with RFC 3986 and RFC 9110 held."""

from __future__ import annotations

import json
from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from hypothesis import strategies as st

from services.executor.domain.auth import Credentials
from services.executor.domain.compiling import compile_document
from services.executor.domain.encoding import texts
from services.executor.domain.plan import AuthPlan
from services.executor.domain.redirects import redirected
from services.executor.domain.request import Target as RequestTarget
from services.executor.domain.request import build_request
from services.executor.domain.resolution import check_headers
from services.executor.domain.schemas import SchemaCache
from services.executor.domain.timing import check_timeout, read_deadline
from services.executor.handlers import _decode, _decode_draft, _decode_request
from services.executor.resolve import read_ask
from services.executor.transport.interface import HttpRequest, HttpResponse
from services.executor.transport.wire import FRAMING, BadRequest, encode_request, split_url
from shared.contracts.errors import DibopError
from shared.contracts.execution import ExecutionRequest
from shared.contracts.limits import MAX_URL_CHARACTERS
from shared.contracts.template import canonical_json
from tests.fuzz.contracts import only_the_catalogue
from tests.fuzz.driver import Target
from tests.fuzz.inputs import any_json, as_bytes, mutated, nasty_text

BASE: Final = "https://api.example.com/v1/tenant"
TYPES: Final = ("string", "number", "integer", "boolean", "array")
BODIES: Final = ("json", "form", "multipart")
PLAN: Final = compile_document(
    canonical_json(
        {
            "name": "Any",
            "base_url": BASE,
            "auth_type": "api_key",
            "query_parameter": "appid",
            "operations": [
                {
                    "operation": f"run_{encoding}",
                    "method": "POST",
                    "path": "/a/{id}/b{n}/c",
                    "body_encoding": encoding,
                    "idempotency_header": "X-Once",
                    "parameters": [
                        {"name": "id", "location": "path", "required": True},
                        {"name": "n", "location": "path", "type": "number", "required": True},
                        *({"name": f"q_{kind}", "location": "query", "type": kind} for kind in TYPES),
                        {"name": "q&=?#/ü", "location": "query"},
                        {"name": "X-Own", "location": "header"},
                        *({"name": f"b_{kind}", "location": "body", "type": kind} for kind in TYPES),
                        {"name": 'b"\u00fc; x', "location": "body", "schema": {"maxLength": 5}},
                    ],
                }
                for encoding in BODIES
            ],
        }
    )
)
NAMES: Final = sorted({parameter.name for parameter in PLAN.operations["run_json"].parameters})
TARGET: Final = RequestTarget(
    BASE,
    AuthPlan("api_key", ("api_key",), query_parameter="appid"),
    Credentials((), "appid=secret-key", ("secret-key",)),
)
GOOD: Final = {
    "parameters": {"id": "a/b", "n": 1.5, "q_array": ["x", 2], "X-Own": "v", "b_string": "text", "b_array": [True]},
    "headers": {"Accept": "text/plain", "X-Extra": "1"},
    "timeout": 2.5,
}
DRAFT: Final = {
    **GOOD,
    "owner": "platform",
    "digest": "sha256:00",
    "credentials": {"id": "i", "origin": "o", "kid": "k", "values": {}, "sealed": {"api_key": "AAAA"}},
}
CACHE: Final = SchemaCache()


def request_bytes(given: tuple[str, bytes, str | None]) -> None:
    operation, body, key = given
    try:
        request = _decode(_decode_request, body, "Send it well.")
        check_timeout(request.timeout)
    except DibopError as error:
        assert error.code == "invalid-request"
        only_the_catalogue(error)
        return
    _built(operation, request, key)


def request_values(given: tuple[str, dict[str, Any], dict[str, str], str | None]) -> None:
    operation, parameters, headers, key = given
    _built(operation, ExecutionRequest(parameters, headers), key)


def draft_bytes(body: bytes) -> None:
    try:
        _decode(_decode_draft, body, "Send it well.")
    except DibopError as error:
        assert error.code == "invalid-request"
        only_the_catalogue(error)


def _built(operation: str, request: ExecutionRequest, key: str | None) -> None:
    plan = PLAN.operations[f"run_{operation}"]
    try:
        built = build_request(plan, TARGET, request.parameters, request.headers, idempotency_key=key, schemas=CACHE)
    except DibopError as error:
        assert error.code == "invalid-parameters"
        assert error.errors
        only_the_catalogue(error)
        return
    _check_url(built, request.parameters)
    _check_head(built)
    _check_body(operation, built, request.parameters)


def _check_url(built: HttpRequest, given: dict[str, Any]) -> None:
    """The address is below the base, with as many segments as the template says, and the values that were given."""
    assert len(built.url) <= MAX_URL_CHARACTERS
    assert built.url.isascii()
    assert built.url.isprintable()
    parts = urlsplit(built.url)
    assert f"{parts.scheme}://{parts.netloc}" == "https://api.example.com"
    assert not parts.fragment
    segments = [unquote(segment, errors="surrogatepass") for segment in parts.path.split("/")]
    assert segments[:3] == ["", "v1", "tenant"]
    assert len(segments) == 7
    assert [segments[3], segments[6]] == ["a", "c"]
    assert segments[4] == ",".join(texts(given["id"]))
    assert segments[5] == "b" + ",".join(texts(given["n"]))
    assert not {".", ".."} & set(segments)
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    expected = [(name, text) for name in NAMES if name.startswith("q") and name in given for text in texts(given[name])]
    assert sorted(pairs) == sorted([*expected, ("appid", "secret-key")])


def _check_head(built: HttpRequest) -> None:
    """What is written is one request, whose head says what was meant (RFC 9112)."""
    _, target = split_url(built.url)
    message = encode_request(built, "api.example.com", target)
    head, _, body = message.partition(b"\r\n\r\n")
    assert body == (built.body or b"")
    lines = head.split(b"\r\n")
    assert lines[0] == f"POST {target} HTTP/1.1".encode()
    assert not any(set(b"\r\n\0") & set(line) for line in lines)
    fields = [line.partition(b": ") for line in lines[1:]]
    names = [name.decode().lower() for name, _, _ in fields]
    assert [name for name in names if name in FRAMING] == ["host", "content-length"]
    assert len(names) == len(set(names))
    assert dict(zip(names, (value for _, _, value in fields), strict=True))["content-length"] == str(len(body)).encode()
    for name, value in built.headers:
        assert f"{name}: {value}".encode() in lines


def _check_body(operation: str, built: HttpRequest, given: dict[str, Any]) -> None:
    values = {name: value for name, value in given.items() if name.startswith("b")}
    content = {name.lower(): value for name, value in built.headers}["content-type"]
    body = built.body or b""
    flat = sorted((name, text) for name, value in values.items() for text in texts(value))
    if operation == "json":
        assert json.loads(body) == values
    elif operation == "form":
        assert sorted(parse_qsl(body.decode(), keep_blank_values=True)) == flat
    elif flat:
        parsed = message_from_bytes(f"Content-Type: {content}\r\n\r\n".encode() + body, policy=HTTP)
        assert parsed.is_multipart()
        assert len(parsed.get_payload()) == len(flat)


def names_and_headers(given: tuple[str, str | None, str | None, str | None]) -> None:
    subject, connection, version, deadline = given
    reads: tuple[Callable[[], object], ...] = (
        lambda: check_headers(read_ask((subject, connection, version))),
        lambda: read_deadline(deadline),
    )
    for read in reads:
        try:
            read()
        except DibopError as error:
            assert error.code in {"invalid-request", "deadline-exceeded"}
            only_the_catalogue(error)


def redirect(location: str) -> None:
    """No redirect leads to another origin, or to an address that cannot be written."""
    request = HttpRequest("GET", f"{BASE}/a?b=1", [("Authorization", "Bearer x")])
    following = redirected(request, HttpResponse(302, {"location": location}, b""))
    if following is None:
        return
    assert following.headers == request.headers
    parts = urlsplit(following.url)
    assert (parts.scheme, parts.hostname, parts.port or 443) == ("https", "api.example.com", 443)
    try:
        origin, target = split_url(following.url)
    except BadRequest:
        return
    assert origin.lower().rstrip(":").removesuffix(":443") == "https://api.example.com"
    assert encode_request(following, "api.example.com", target).count(b"\r\n\r\n") == 1


_parameters = st.dictionaries(st.sampled_from(NAMES) | nasty_text, any_json, max_size=8)
_headers = st.dictionaries(
    st.sampled_from(["Host", "appid", "X-Own", "Accept", "Content-Type", "x-once", "Transfer-Encoding"]) | nasty_text,
    nasty_text,
    max_size=4,
)
_locations = [
    b"/elsewhere",
    b"//evil.example/x",
    b"https://api.example.com/v1/x",
    b"https://api.example.com:443/",
    b"https://api.example.com@evil.example/",
    b"\\\\evil.example",
    b"https:/\\evil.example",
    b"?page=2",
    b"#x",
    b"..//..//x",
]

TARGETS: Final = (
    Target(
        "request bytes",
        st.tuples(st.sampled_from(BODIES), mutated(as_bytes([GOOD])), st.none() | nasty_text),
        request_bytes,
    ),
    Target(
        "request values",
        st.tuples(
            st.sampled_from(BODIES),
            st.builds(lambda own, more: {**own, **more}, st.just({"id": "x", "n": 1}) | _parameters, _parameters),
            _headers,
            st.none() | nasty_text,
        ),
        request_values,
    ),
    Target("draft bytes", mutated(as_bytes([DRAFT])), draft_bytes),
    Target(
        "names and headers",
        st.tuples(nasty_text | st.just("exec.v1.acme.a.b"), *[st.none() | nasty_text] * 3),
        names_and_headers,
    ),
    Target("redirect", mutated(_locations).map(lambda data: data.decode("latin-1")), redirect),
)
