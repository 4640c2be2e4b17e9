"""Two edits of one document: what is put together, and what takes a decision."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.merging import merge, merge_patch
from tests.support.connectors import document, operation

NOW, TOMORROW = operation("now"), operation("tomorrow")
BASE = document(operations=[NOW, TOMORROW], resilience={"timeout_seconds": 5, "max_retries": 1})


def with_operation(name: str, **changes: Any) -> dict[str, Any]:
    """BASE with fields of one operation changed."""
    edited = copy.deepcopy(BASE)
    next(each for each in edited["operations"] if each["operation"] == name).update(changes)
    return edited


def names(merged: dict[str, Any]) -> list[str]:
    return [each["operation"] for each in merged["operations"]]


def test_different_fields_are_put_together() -> None:
    merged = merge(BASE, BASE | {"description": "Theirs."}, BASE | {"base_url": "https://mine.example.com"})

    assert merged.conflicts == []
    assert merged.document == BASE | {"description": "Theirs.", "base_url": "https://mine.example.com"}


def test_fields_inside_of_a_mapping_are_put_together() -> None:
    theirs = BASE | {"resilience": {"timeout_seconds": 9, "max_retries": 1}}
    mine = BASE | {"resilience": {"timeout_seconds": 5, "max_retries": 0, "retry_backoff": "none"}}

    merged = merge(BASE, theirs, mine)

    assert merged.conflicts == []
    assert merged.document["resilience"] == {"timeout_seconds": 9, "max_retries": 0, "retry_backoff": "none"}


def test_different_operations_are_put_together() -> None:
    merged = merge(BASE, with_operation("now", path="/a"), with_operation("tomorrow", path="/b"))

    assert merged.conflicts == []
    assert [each["path"] for each in merged.document["operations"]] == ["/a", "/b"]


def test_different_fields_of_one_operation_are_put_together() -> None:
    merged = merge(BASE, with_operation("now", path="/a"), with_operation("now", description="Mine."))

    assert merged.conflicts == []
    assert merged.document["operations"][0] == NOW | {"path": "/a", "description": "Mine."}


def test_different_parameters_are_put_together() -> None:
    def parameters(*extra: str) -> list[dict[str, Any]]:
        return [{"name": each, "location": "query", "type": "string"} for each in ("q", *extra)]

    base = document(operations=[operation("now", parameters=parameters())])
    theirs = document(operations=[operation("now", parameters=parameters("units"))])
    mine = document(operations=[operation("now", parameters=parameters("lang"))])

    merged = merge(base, theirs, mine)

    assert merged.conflicts == []
    assert [each["name"] for each in merged.document["operations"][0]["parameters"]] == ["q", "units", "lang"]


def test_additions_and_removals_are_put_together() -> None:
    theirs = BASE | {"operations": [NOW, operation("hourly"), TOMORROW]}
    mine = BASE | {"operations": [TOMORROW, operation("weekly")]}

    merged = merge(BASE, theirs, mine)

    assert merged.conflicts == []
    assert names(merged.document) == ["hourly", "tomorrow", "weekly"]


def test_an_order_is_taken_from_the_side_that_changed_it() -> None:
    theirs = BASE | {"operations": [TOMORROW, NOW]}
    mine = BASE | {"operations": [NOW, TOMORROW, operation("weekly")]}

    for merged in (merge(BASE, theirs, mine), merge(BASE, mine, theirs)):
        assert merged.conflicts == []
        assert names(merged.document) == ["tomorrow", "weekly", "now"]


@pytest.mark.parametrize(
    ("theirs", "mine", "path", "told"),
    [
        (BASE | {"name": "A"}, BASE | {"name": "B"}, "/name", "name (changed)"),
        (with_operation("now", path="/a"), with_operation("now", path="/b"), "/operations/0/path", "'now': path"),
        (with_operation("now", path="/a"), BASE | {"operations": [TOMORROW]}, "/operations/0", "operation 'now'"),
        (BASE | {"operations": [NOW]}, with_operation("tomorrow", path="/b"), "/operations/1", "'tomorrow' (removed)"),
        (
            BASE | {"operations": [NOW, TOMORROW, operation("new", path="/a")]},
            BASE | {"operations": [NOW, TOMORROW, operation("new", path="/b")]},
            "/operations/2",
            "operation 'new' (added)",
        ),
        (
            with_operation("now", response_schema={"type": "object", "properties": {"a": {}}}),
            with_operation("now", response_schema={"type": "object", "properties": {"b": {}}}),
            "/operations/0/response_schema",
            "response_schema",
        ),
        (BASE | {"operations": "junk"}, with_operation("now", path="/b"), "/operations", "operations (changed)"),
        (
            BASE | {"resilience": {"timeout_seconds": 6, "max_retries": 1}},
            BASE | {"resilience": {"timeout_seconds": 7, "max_retries": 1}},
            "/resilience/timeout_seconds",
            "resilience.timeout_seconds (changed)",
        ),
        (BASE | {"x-flag": True}, BASE | {"x-flag": 1}, "/x-flag", "x-flag (added)"),
    ],
)
def test_what_both_changed_is_told_and_theirs_stays(
    theirs: dict[str, Any], mine: dict[str, Any], path: str, told: str
) -> None:
    merged = merge(BASE, theirs, mine)

    (conflict,) = merged.conflicts
    assert conflict.path == path
    assert told in str(conflict)
    assert merged.document == theirs


def test_two_new_orders_are_a_conflict() -> None:
    three = [operation(name) for name in ("a", "b", "c")]
    base, theirs, mine = (
        BASE | {"operations": [three[i] for i in order]} for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2])
    )

    merged = merge(base, theirs, mine)

    assert [str(each) for each in merged.conflicts] == ["the order of operations (changed)"]
    assert names(merged.document) == ["c", "b", "a"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pqr"), inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.lists(
    st.fixed_dictionaries({"operation": st.sampled_from("uvw"), "x": VALUES}),
    max_size=3,
    unique_by=lambda each: str(each["operation"]),
)
DOCUMENTS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "operations": ITEMS})


@given(base=DOCUMENTS, theirs=DOCUMENTS)
def test_an_edit_beside_none_is_that_edit(base: dict[str, Any], theirs: dict[str, Any]) -> None:
    for merged in (merge(base, theirs, base), merge(base, base, theirs), merge(base, theirs, theirs)):
        assert (merged.document, merged.conflicts) == (theirs, [])


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_without_conflict_either_side_may_come_first(
    base: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    one, other = merge(base, theirs, mine), merge(base, mine, theirs)

    assert bool(one.conflicts) is bool(other.conflicts)
    if not one.conflicts:
        assert content(one.document) == content(other.document)


def content(merged: dict[str, Any]) -> dict[str, Any]:
    """Without the order of operations, where what both added may stand either way."""
    return merged | {"operations": sorted(merged.get("operations", []), key=lambda each: str(each["operation"]))}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_does_what_rfc_7396_says(target: Any, patch: Any, result: Any) -> None:
    """The examples of its appendix A that are objects."""
    assert merge_patch(target, patch) == result
