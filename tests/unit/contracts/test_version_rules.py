"""The order of versions, what a policy takes, and a connector's state."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shared.contracts.projections import VersionState
from shared.contracts.versions import chosen, connector_state, in_order, latest


@dataclass(frozen=True)
class V:
    version: str
    state: VersionState = "published"


def test_versions_are_ordered_by_number() -> None:
    assert [v.version for v in in_order([V("1.10.0"), V("1.9.0"), V("0.20.0")])] == ["0.20.0", "1.9.0", "1.10.0"]


def test_the_latest_is_the_highest_published() -> None:
    assert latest([V("1.0.0"), V("1.10.0"), V("1.9.0"), V("2.0.0", "deprecated")]) == V("1.10.0")
    assert latest([V("1.0.0", "retired"), V("1.1.0", "deprecated")]) == V("1.1.0", "deprecated")
    assert latest([]) is None


@pytest.mark.parametrize(
    ("policy", "version"), [("^1", "1.10.0"), ("^2", "2.0.0"), ("1.9.0", "1.9.0"), ("^3", None), ("1.8.0", None)]
)
def test_a_policy_takes_one_version_or_none(policy: str, version: str | None) -> None:
    taken = chosen([V("1.9.0"), V("1.10.0"), V("2.0.0"), V("3.0.0", "unpublished")], policy)

    assert (taken.version if taken else None) == version


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([], "draft"),
        (["retired", "published"], "published"),
        (["retired", "deprecated"], "deprecated"),
        (["unpublished", "retired"], "unpublished"),
        (["retired"], "retired"),
    ],
)
def test_a_connector_has_the_best_state_of_its_versions(states: list[VersionState], state: str) -> None:
    assert connector_state([V("1.0.0", each) for each in states]) == state
