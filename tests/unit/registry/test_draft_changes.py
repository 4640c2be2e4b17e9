"""What changed between two documents, and how a stale save is told."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.domain.drafts import Revision, changes, headline, stale_save
from tests.support.connectors import document, operation

CURRENT = Revision(5, "sha256:" + "0" * 64, "ada", "2026-01-31T09:05:00.123Z")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"base_url": "https://other.example.com"}, ["base_url (changed)"]),
        ({"description": None}, ["description (removed)"]),
        ({"x-team": "blue"}, ["x-team (added)"]),
        ({"operations": [operation("now"), operation("tomorrow", path="/then")]}, ["operation 'tomorrow' (changed)"]),
        ({"operations": [operation("now")]}, ["operation 'tomorrow' (removed)"]),
        ({"operations": None}, ["operation 'now' (removed)", "operation 'tomorrow' (removed)"]),
        ({"operations": [operation("tomorrow"), operation("now")]}, ["the order of operations (changed)"]),
        ({"operations": "junk"}, ["operations (changed)"]),
        ({"operations": [{}, 7]}, ["operations (changed)"]),
        ({"operations": [operation("now"), operation("now")]}, ["operations (changed)"]),
        ({}, []),
    ],
)
def test_fields_and_operations_that_differ_are_named(changed: dict[str, Any], told: list[str]) -> None:
    assert [str(change) for change in changes(document(), document(**changed))] == told


def test_a_change_points_into_the_newer_document() -> None:
    after = document(operations=[operation("now"), operation("later"), operation("tomorrow")])

    assert [change.path for change in changes(document(), after)] == ["/operations/1"]


def test_a_stale_save_is_told_revision_author_time_and_changes() -> None:
    error = stale_save("weather", 3, CURRENT, changes(document(), document(base_url="https://b.example")))

    assert error.code == "conflict"
    for told in ("revision 5", "'ada'", "2026-01-31T09:05:00.123Z", "since revision 3", "base_url (changed)"):
        assert told in error.detail
    assert error.errors[0]["path"] == "/base_url"


def test_a_save_without_base_is_told_the_current_revision() -> None:
    assert "base_revision 5" in stale_save("weather", None, CURRENT, ()).detail


def test_a_base_from_the_future_is_told_to_not_exist() -> None:
    assert "revision 9 does not exist" in stale_save("weather", 9, CURRENT, ()).detail


def test_a_great_many_changes_are_cut_in_the_sentence() -> None:
    after = {f"x-{number}": number for number in range(50)}

    assert "and 30 more" in stale_save("weather", 1, CURRENT, changes({}, after)).detail


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "Weather", "type": "General"}, ("Weather", "General")),
        ({}, ("weather", "")),
        ({"name": 7, "type": ["x"]}, ("weather", "")),
        ({"name": "a\0b" + "c" * 300}, ("a b" + "c" * 197, "")),
    ],
)
def test_any_document_has_a_headline(given: dict[str, Any], expected: tuple[str, str]) -> None:
    assert headline("weather", given) == expected
