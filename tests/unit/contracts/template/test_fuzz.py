"""Whatever comes in, a report comes out."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.template import (
    Auth,
    CredentialField,
    Operation,
    Parameter,
    Report,
    Resilience,
    SourceError,
    Template,
    canonical_json,
    check,
    check_part,
    parse_source,
)
from tests.unit.contracts.template.documents import document

MODELS = (Template, Auth, Operation, Parameter, Resilience, CredentialField)
FIELD_NAMES = sorted({field.alias or name for model in MODELS for name, field in model.model_fields.items()})
WORDS = [
    "GET",
    "POST",
    "path",
    "query",
    "header",
    "body",
    "string",
    "integer",
    "object",
    "api_key",
    "oauth2",
    "{id}",
    "/a/{id}",
]
WORDS += [
    "https://{a}.example.com",
    "Authorization",
    "#/$defs/x",
    "data:image/png;base64,",
    "http://[::1",
    "$ref",
    "type",
    "",
]

keys = st.sampled_from([*FIELD_NAMES, "x-own", "$ref", "type", "a/b~c"]) | st.text(max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec=None), max_size=10)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=25
)
quick = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def well_formed(report: Report) -> None:
    assert (report.template is None) == bool(report.errors)
    for problem in [*report.errors, *report.warnings]:
        assert problem.problem
        assert problem.mend
        assert problem.path == "" or problem.path.startswith("/")


@quick
@given(values)
def test_any_value_gets_a_report(value: Any) -> None:
    well_formed(check(value))
    check_part("auth", value)
    check_part("operation", value)
    check_part("response_schema", value)


@quick
@given(
    st.dictionaries(st.sampled_from(FIELD_NAMES), values, max_size=8),
    st.sampled_from(["", "/operations/0", "/operations/0/parameters/0"]),
)
def test_a_document_with_any_fields_changed_gets_a_report(fields: dict[str, Any], place: str) -> None:
    report = check(document({f"{place}/{name}": value for name, value in fields.items()}))

    well_formed(report)
    if report.template is not None:
        stored = json.loads(canonical_json(document({f"{place}/{name}": value for name, value in fields.items()})))
        assert check(stored).errors == [], "a valid document stays valid as it is stored"


@quick
@given(st.text(max_size=60) | st.binary(max_size=60) | st.text("{}[]:,-&*!|>'\"%@` \n\t#ab1?", max_size=60))
def test_any_text_is_a_document_or_a_source_error(text: str | bytes) -> None:
    with contextlib.suppress(SourceError):
        source = parse_source(text)
        report = check(source.document, position=source.position)
        assert all(problem.line is not None for problem in report.errors)


@quick
@given(
    st.recursive(
        scalars.filter(lambda value: value == value),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
)
def test_json_reads_as_json(value: Any) -> None:
    try:
        text = json.dumps({"value": value}, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        return
    if not text.isprintable():
        return
    assert parse_source(text).document == json.loads(text)
