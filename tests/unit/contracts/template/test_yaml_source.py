"""From text to data: what is read, what is refused, and where it stands."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from shared.contracts.template import MAX_TEMPLATE_BYTES, SourceError, check, parse_source


def problems(data: bytes | str) -> list[tuple[str, int | None, str]]:
    with pytest.raises(SourceError) as caught:
        parse_source(data)
    assert all(problem.mend for problem in caught.value.problems)
    return [(problem.path, problem.line, problem.problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("2026-01-31", "2026-01-31"),
        ("12:30:45", "12:30:45"),
        ("1.2.0", "1.2.0"),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-", None),
        ('"5"', "5"),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("=", "="),
        ("0b1", "0b1"),
        ("1e", "1e"),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: Any) -> None:
    expected = [None] if text == "-" else value

    read = parse_source(f"a: {text}\n" if text != "-" else "a:\n  -\n").document["a"]

    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "9" * 5000])
def test_numbers_out_of_all_bounds_are_left_to_the_check(text: str) -> None:
    source = parse_source(f"name: x\nx-value: {text}\n")

    report = check(source.document, position=source.position)

    assert ("/x-value", 2) in [(problem.path, problem.line) for problem in report.errors]


@pytest.mark.parametrize(
    ("data", "path", "line", "problem"),
    [
        (b"", "", None, "empty"),
        (b"# only a comment\n", "", None, "empty"),
        (b"---\n", "", 2, "empty"),
        (b"name: \xff\n", "", 1, "byte 6"),
        (b"a: 1\nb: \xc3\x28\n", "", 2, "byte 8"),
        (b"\xff\xfea\x00", "", 1, "byte 0"),
        ("a: \ud800", "", None, "surrogate"),
        ("a: b: c", "", 1, "A second `:`"),
        ("a:\n\t- b", "", 2, "nothing can start"),
        ("a: 'open", "", 1, "inside quotes"),
        ("a: [1, 2\nb: 3\n", "", 2, "closing bracket"),
        ("a:\n  b: 1\n c: 2\n", "", 3, "indentation"),
        ("a: 1\nb\nc: 2\n", "", 3, "A name has no `:`"),
        ('a: "\\q"', "", 1, "backslash"),
        ("a: \x07", "", 1, "control character"),
        ("a: 1\n---\nb: 2\n", "", 2, "more than one document"),
        ("a: 1\na: 2\n", "/a", 2, "twice; the first is at line 1"),
        ("ops:\n  - x: 1\n    x: 2\n", "/ops/0/x", 3, "twice"),
        ('{"a": 1,\n "a": 2}', "/a", 2, "twice"),
        ("1: a\n", "/1", 1, "not text"),
        ("true: a\n", "/True", 1, "not text"),
        ("null: a\n", "/None", 1, "not text"),
        ("? [a]\n: 1\n", "", 1, "cannot be a name"),
        ("a: &k x\n*k : 1\n", "", 2, "alias cannot be a name"),
        ("a: &a [*a]\n", "/a/0", 1, "inside what it repeats"),
        ("a: *gone\n", "/a", 1, "no anchor before it"),
        ("<<: {a: 1}\n", "/<<", 1, "Merge keys"),
        ("a: !!python/object/apply:os.system [ls]\n", "/a", 1, "!!python/object/apply:os.system"),
        ("a: !mine x\n", "/a", 1, "!mine"),
        ("a: !!int '5'\n", "/a", 1, "!!int"),
        ("a: !u!x 5\n", "", 1, "tag"),
        ('a: {b: "\\ud83d\\ude00"}', "", 1, "half of a surrogate pair"),
        ('{a: "\\ud83d\\ude00"}', "", None, "not JSON"),
    ],
)
def test_what_is_no_document_is_told_with_its_line(
    data: bytes | str, path: str, line: int | None, problem: str
) -> None:
    told = problems(data)

    assert (told[0][0], told[0][1]) == (path, line), told
    assert problem in told[0][2]


def test_several_problems_of_the_text_come_at_once() -> None:
    told = problems("a: 1\na: 2\nb: !x 1\n3: c\n")

    assert [line for _, line, _ in told] == [2, 3, 4]


@pytest.mark.parametrize(
    "data", [b"x" * 5_000_000, "x" * (MAX_TEMPLATE_BYTES + 1), "ä" * (MAX_TEMPLATE_BYTES // 2 + 1)]
)
def test_what_is_too_large_is_refused_with_its_size(data: bytes | str) -> None:
    size = len(data.encode() if isinstance(data, str) else data)

    assert f"{size:,} bytes" in problems(data)[0][2]


def test_alias_bombs_are_refused() -> None:
    levels = "abcdefghijkl"
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in itertools.pairwise(levels)
    )

    assert "more than 200,000 values" in problems(text)[0][2]


def test_long_texts_repeated_by_aliases_are_refused() -> None:
    assert "too large" in problems(f"a: &a {'x' * 1_000_000}\nb: [*a, *a]\n")[0][2]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: &a [[[[]]]]\nb: " + "[" * 62 + "*a" + "]" * 62]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert any("deep" in problem or "nested" in problem for _, _, problem in problems(text))


def test_aliases_repeat_values() -> None:
    source = parse_source("a: &a {b: [1, 2]}\nc: *a\n")

    assert source.document == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert source.position("/c/b/1") == (2, 1)


def test_positions_are_those_of_names_and_elements() -> None:
    source = parse_source("name: x\noperations:\n  - operation: a\n    path: /x\n  - operation: b\nx-a/b~c: 1\n")

    assert source.position("") == (1, 1)
    assert source.position("/operations/0/path") == (4, 5)
    assert source.position("/operations/1") == (5, 5)
    assert source.position("/operations/1/method") == (5, 5), "what is missing stands where its parent does"
    assert source.position("/x-a~1b~0c") == (6, 1)


def test_json_is_read_with_positions() -> None:
    document = {"name": "Zoë 😀", "a": [1, 2.5, True, None, "\t/"], "b": {"c": "d"}}
    text = json.dumps(document, indent="\t")

    source = parse_source(text)

    assert source.document == document
    assert source.position("/b/c") == (11, 3)


def test_json_on_one_line_and_with_escaped_slashes_is_read() -> None:
    assert parse_source('{"a":"b\\/c","d":{"e":[]}}').document == {"a": "b/c", "d": {"e": []}}


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert parse_source(b"\xef\xbb\xbfname: x\n").document == {"name": "x"}


def test_problems_of_the_check_stand_at_their_lines_in_order() -> None:
    text = """\
name: Weather
base_url: https://api.example.com
auth_type: none
operations:
  - operation: current
    method: get
    path: /weather/{city}
  - operation: current
    method: GET
    path: weather
resilience:
  max_retries: many
"""
    source = parse_source(text, name="weather.yaml")

    report = check(source.document, position=source.position)

    assert [(problem.line, problem.path) for problem in report.errors] == [
        (6, "/operations/0/method"),
        (7, "/operations/0/path"),
        (8, "/operations/1/operation"),
        (10, "/operations/1/path"),
        (12, "/resilience/max_retries"),
    ]
    assert report.errors[0].as_dict() == {
        "path": "/operations/0/method",
        "problem": "'get' is not one of GET, POST, PUT, DELETE, PATCH.",
        "mend": "Write `GET`?",
        "line": 6,
        "column": 5,
    }


def test_the_name_of_the_source_stands_in_the_error() -> None:
    with pytest.raises(SourceError, match=r"^weather\.yaml: line 1, column 4: /a:"):
        parse_source("a: !x 1", name="weather.yaml")
