"""Each row of the bump table, several pairs of documents each, forward and back."""

from __future__ import annotations

from typing import Final

import pytest

from services.publisher.domain.difference import document_changes
from services.publisher.domain.sentences import sentence
from services.publisher.domain.templates import changes, valid_template
from services.publisher.domain.versioning import Bump, Change, bump_of
from tests.unit.publisher.bump_pairs import ROWS, Pair
from tests.unit.publisher.documents import Document, edited

PAIRS: Final = [
    pytest.param(pair, id=f"{row}-{number}".replace(" ", "-"))
    for row, pairs in ROWS.items()
    for number, pair in enumerate(pairs, start=1)
]


def between(old: Document, new: Document) -> list[Change]:
    return changes(valid_template("weather", old), valid_template("weather", new))


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_has_the_bump_of_its_row_in_both_directions(pair: Pair) -> None:
    old = pair.base()
    new = edited(old, pair.edits)

    assert bump_of(between(old, new)) is pair.bump
    assert bump_of(between(new, old)) is pair.back


@pytest.mark.parametrize("pair", PAIRS)
def test_every_change_is_told_in_a_sentence(pair: Pair) -> None:
    old = pair.base()

    for change in between(old, edited(old, pair.edits)):
        told = sentence(change)
        assert told.endswith(".")
        assert "None" not in told
        assert len(told) < 400


def test_mappings_are_a_patch() -> None:
    found = document_changes({"mappings": [{"from": "temp"}]}, {"mappings": [{"from": "temperature"}]})

    assert bump_of(found) is Bump.PATCH
    assert [change.path for change in found] == ["/mappings"]


def test_there_are_pairs_enough() -> None:
    assert len(PAIRS) >= 100
    assert all(len(pairs) >= 2 for pairs in ROWS.values())
