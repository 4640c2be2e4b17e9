"""Version numbers."""

from __future__ import annotations

import pytest

from services.publisher.domain.versioning import BUMPS, Change, ChangeKind, VersionNumber, highest, next_version

MAJOR = Change("/a", ChangeKind.OPERATION_REMOVED)
MINOR = Change("/b", ChangeKind.OPERATION_ADDED)
PATCH = Change("/c", ChangeKind.TEXT_CHANGED)


@pytest.mark.parametrize(
    ("last", "changes", "expected"),
    [
        (None, [], "1.0.0"),
        (None, [MAJOR], "1.0.0"),
        ("1.0.0", [], "1.0.1"),
        ("1.0.0", [PATCH], "1.0.1"),
        ("1.2.3", [MINOR], "1.3.0"),
        ("1.2.3", [PATCH, MINOR], "1.3.0"),
        ("1.2.3", [MINOR, MAJOR, PATCH], "2.0.0"),
        ("1.9.9", [PATCH], "1.9.10"),
        ("9.9.9", [MAJOR], "10.0.0"),
    ],
)
def test_the_largest_bump_decides(last: str | None, changes: list[Change], expected: str) -> None:
    assert next_version(last, changes) == expected


def test_versions_compare_as_numbers() -> None:
    assert highest(["1.9.0", "1.10.0", "1.2.30"]) == "1.10.0"
    assert highest([]) is None


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "1.2.x", "v1.2.3", "1.2.3 ", "1.2.3\n", "\u0661.2.3", "-1.0.0"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="three numbers"):
        VersionNumber.parse(text)


def test_every_kind_of_change_has_its_bump() -> None:
    assert set(BUMPS) == set(ChangeKind)
