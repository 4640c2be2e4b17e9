"""Words of documents and of questions, and the cursors of sorted lists."""

from __future__ import annotations

import pytest

from services.registry.domain.search import MAX_CHARACTERS, MAX_WORD, MAX_WORDS, cursor, question, words, words_of
from shared.contracts.commands import ConnectorRow, ConnectorSort, ListConnectors
from shared.contracts.errors import DibopError
from tests.support.connectors import document, operation

ROW = ConnectorRow(
    slug="weather",
    owner="acme",
    name="Wetter in ZÜRICH",
    type="General",
    state="draft",
    draft_revision=3,
    latest_version=None,
    changed_at="2026-01-31T09:05:00.123Z",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Open-Weather_map v2.5", ["open", "weather", "map", "v2", "5"]),
        ("Straße in ZÜRICH", ["strasse", "in", "zurich"]),
        ("\uff26\uff35\uff2c\uff2c \ufb01ne", ["full", "fine"]),
        ("İstanbul", ["istanbul"]),
        ("天気 予報", ["天気", "予報"]),
        ("x" * 100, ["x" * MAX_WORD]),
        (" ,.;:'\"*()%_ ", []),
        ("", []),
    ],
)
def test_words_are_compared_without_case_accents_and_signs(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_connector_is_found_by_slug_name_type_description_and_operations() -> None:
    made = document(
        name="Rain radar",
        type="Logistics",
        description="Rain on roads.",
        operations=[operation("get_map", display_name="Show map", description="A picture.")],
    )

    assert words_of("my-weather", made) == "my weather rain radar logistics on roads get map show a picture"


@pytest.mark.parametrize(
    "broken",
    [{}, {"name": 7}, {"operations": "none"}, {"operations": [7, None, {"operation": ["x"]}]}, {"description": None}],
)
def test_a_document_that_is_not_valid_is_found_by_what_it_has(broken: dict[str, object]) -> None:
    assert words_of("weather", broken) == "weather"


def test_words_are_bounded() -> None:
    many = {"operations": [{"operation": f"a{number}"} for number in range(MAX_WORDS + 10)]}
    long = {"operations": [{"operation": f"{number:0>64}"} for number in range(10_000)]}

    assert len(words_of("weather", many).split(" ")) == MAX_WORDS
    assert MAX_CHARACTERS - 100 < len(words_of("weather", long)) <= MAX_CHARACTERS


def test_a_question_without_any_word_is_told_from_no_question() -> None:
    assert question(ListConnectors()).words is None
    assert question(ListConnectors(search="  ")).words is None
    assert question(ListConnectors(search="%")).words == ()
    assert question(ListConnectors(search="Rain rain")).words == ("rain",)


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("slug", "weather"),
        ("name", "wetter in zürich"),
        ("type", "General"),
        ("state", "draft"),
        ("changed", "2026-01-31T09:05:00.123Z"),
    ],
)
def test_a_cursor_leads_to_the_row_that_it_was_made_of(sort: ConnectorSort, value: str) -> None:
    after = cursor(ROW, sort)

    assert question(ListConnectors(sort=sort, after=after)).after == (value, "weather")


@pytest.mark.parametrize(
    "after", ["weather", "", "====", "bnVsbA==", "WyJ0eXBlIiwiYSIsImIiXQ==", "WyJuYW1lIiwiXHUwMDAwIiwiYiJd"]
)
def test_what_is_no_cursor_of_the_list_is_refused(after: str) -> None:
    with pytest.raises(DibopError, match="sorted by name") as refused:
        question(ListConnectors(sort="name", after=after))

    assert refused.value.code == "invalid-request"
