"""What a listener may hear of what it asks for."""

from __future__ import annotations

import pytest

from shared.contracts.events import PUBLIC_EVENTS, narrowed


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        (">", list(PUBLIC_EVENTS)),
        ("*.*.*", list(PUBLIC_EVENTS)),
        ("connector.>", list(PUBLIC_EVENTS)),
        ("connector.crm.>", [each.replace("*", "crm") for each in PUBLIC_EVENTS]),
        ("connector.*.version_published", ["connector.*.version_published"]),
        ("connector.crm.version_published", ["connector.crm.version_published"]),
        ("*.*.unpublished", ["connector.*.unpublished"]),
        ("connector.*.draft_saved", []),
        ("connection.>", []),
        ("connector.*", []),
        ("connector.*.version_published.>", []),
    ],
)
def test_of_a_pattern_remains_what_is_allowed(pattern: str, heard: list[str]) -> None:
    assert narrowed(pattern, PUBLIC_EVENTS) == heard
