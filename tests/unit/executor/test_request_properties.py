"""Whatever a caller sends, a request is built or refused in the catalogue's words, and it is the request it says."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.domain.auth import Credentials
from services.executor.domain.compiling import compile_document
from services.executor.domain.plan import AuthPlan
from services.executor.domain.request import FORBIDDEN_HEADERS, Target, build_request
from services.executor.domain.schemas import SchemaCache
from services.executor.transport.interface import HttpRequest
from services.executor.transport.wire import encode_request, split_url
from shared.contracts.errors import DibopError
from shared.contracts.template import canonical_json

BASE: Final = "https://api.example.com/v1"
TYPES: Final = ("string", "number", "integer", "boolean", "array")
PLAN: Final = compile_document(
    canonical_json(
        {
            "name": "Any",
            "base_url": BASE,
            "auth_type": "api_key",
            "operations": [
                {
                    "operation": f"run_{encoding}",
                    "method": "POST",
                    "path": "/a/{id}/b/{n}",
                    "body_encoding": encoding,
                    "idempotency_header": "X-Once",
                    "parameters": [
                        {"name": "id", "location": "path", "required": True},
                        {"name": "n", "location": "path", "type": "number", "required": True},
                        *({"name": f"q_{kind}", "location": "query", "type": kind} for kind in TYPES),
                        {"name": "X-Own", "location": "header"},
                        *({"name": f"b_{kind}", "location": "body", "type": kind} for kind in TYPES),
                    ],
                }
                for encoding in ("json", "form", "multipart")
            ],
        }
    )
)
NAMES: Final = sorted({parameter.name for parameter in PLAN.operations["run_json"].parameters})
TARGET: Final = Target(
    BASE,
    AuthPlan("api_key", ("api_key",), "X-API-Key"),
    Credentials((("X-API-Key", "secret-key"),), "", ("secret-key",)),
)

any_text = st.text(st.characters(codec=None), max_size=20)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
parameters = st.dictionaries(st.sampled_from(NAMES) | any_text, any_json, max_size=8)
headers = st.dictionaries(
    st.sampled_from(["Host", "X-API-Key", "x-api-key", "X-Own", "Accept", "Content-Type", "X-Once"]) | any_text,
    any_text,
    max_size=4,
)


def build(operation: str, values: dict[str, Any], sent: dict[str, str], key: str | None) -> HttpRequest | None:
    try:
        return build_request(
            PLAN.operations[operation], TARGET, values, sent, idempotency_key=key, schemas=SchemaCache()
        )
    except DibopError as error:
        refusal = error
    assert refusal.code == "invalid-parameters"
    assert refusal.errors
    assert all(problem.keys() == {"name", "problem", "allowed"} for problem in refusal.errors)
    return None


@settings(deadline=None)
@given(st.sampled_from(sorted(PLAN.operations)), parameters, headers, st.none() | any_text)
def test_anything_is_built_or_refused(
    operation: str, values: dict[str, Any], sent: dict[str, str], key: str | None
) -> None:
    request = build(operation, values, sent, key)
    if request is not None:
        origin, target = split_url(request.url)
        assert origin == "https://api.example.com"
        assert encode_request(request, "api.example.com", target)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_values_arrive_as_they_were_given(identifier: str, text: str, item: str) -> None:
    values = {"id": identifier, "n": 1, "q_string": text, "q_array": [item, text]}
    request = build("run_json", values, {}, None)
    if request is None:
        assert identifier in {".", ".."}
        return
    parts = urlsplit(request.url)
    segments = parts.path.split("/")
    assert [unquote(segment) for segment in segments] == ["", "v1", "a", identifier, "b", "1"]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    assert pairs == [("q_string", text), ("q_array", item), ("q_array", text)]


@settings(deadline=None)
@given(headers)
def test_no_caller_sets_framing_or_the_credential(sent: dict[str, str]) -> None:
    request = build("run_json", {"id": "x", "n": 1}, sent, None)
    if request is None:
        return
    names = [name.lower() for name, _ in request.headers]
    assert not FORBIDDEN_HEADERS.intersection(names)
    assert names.count("x-api-key") == 1
    assert dict(request.headers)["X-API-Key"] == "secret-key"
    assert not any(set("\r\n\0") & set(name + value) for name, value in request.headers)
