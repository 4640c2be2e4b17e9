"""Bodies of commands: what is refused, and in which words."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.commands.base import Token
from shared.contracts.errors import DibopError
from shared.messaging.validation import read_body


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    value: int


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slug: str = Field(pattern="^[a-z]+$", max_length=5)
    limit: int = Field(10, ge=1, le=100)
    scope: Literal["catalogue", "enterprise"] = "catalogue"
    on: bool = False
    ratio: float = Field(1.0, gt=0, lt=2)
    names: list[str] = Field(default_factory=list, max_length=2)
    inner: Inner | None = None


def problems(body: str) -> list[tuple[str, str, str]]:
    with pytest.raises(DibopError) as refused:
        read_body(body.encode(), Body, max_bytes=10_000)
    assert refused.value.code == "invalid-request"
    return [(e["path"], e["problem"], e["mend"]) for e in refused.value.errors]


def test_a_good_body_is_read() -> None:
    assert read_body(b'{"slug": "abc"}', Body, max_bytes=100).slug == "abc"


def test_an_empty_body_counts_as_an_empty_object() -> None:
    class Nothing(BaseModel):
        limit: int = 5

    assert read_body(b"", Nothing, max_bytes=100).limit == 5


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        ("{}", "/slug", "is missing"),
        ('{"slug": 5}', "/slug", "is a number, and must be text"),
        ('{"slug": null}', "/slug", "is null, and must be text"),
        ('{"slug": "A"}', "/slug", "is 'A', and must match ^[a-z]+$"),
        ('{"slug": "abcdefg"}', "/slug", "has more than 5 characters"),
        ('{"slug": "a", "limit": 0}', "/limit", "is 0, and must be at least 1"),
        ('{"slug": "a", "limit": 101}', "/limit", "is 101, and must be at most 100"),
        ('{"slug": "a", "limit": "5"}', "/limit", "is text, and must be a whole number"),
        ('{"slug": "a", "limit": true}', "/limit", "is true or false, and must be a whole number"),
        ('{"slug": "a", "on": 1}', "/on", "is a number, and must be true or false"),
        ('{"slug": "a", "ratio": 0}', "/ratio", "is 0, and must be over 0"),
        ('{"slug": "a", "ratio": 2}', "/ratio", "is 2, and must be under 2"),
        ('{"slug": "a", "scope": "all"}', "/scope", "is 'all', and must be 'catalogue' or 'enterprise'"),
        ('{"slug": "a", "names": "x"}', "/names", "is text, and must be a list"),
        ('{"slug": "a", "names": ["x", 1]}', "/names/1", "is a number, and must be text"),
        ('{"slug": "a", "names": ["x", "y", "z"]}', "/names", "has more than 2 items"),
        ('{"slug": "a", "inner": []}', "/inner", "is a list, and must be an object"),
        ('{"slug": "a", "inner": {"value": 1.5}}', "/inner/value", "is a number, and must be a whole number"),
        ('{"slug": "a", "inner": {"value": 1, "x": 1}}', "/inner/x", "is not a known field"),
        ('{"slug": "a", "limt": 5}', "/limt", "is not a field of this command"),
    ],
)
def test_a_problem_is_told_with_its_place_in_plain_words(body: str, path: str, problem: str) -> None:
    [(told_path, told_problem, mend)] = problems(body)

    assert told_path == path
    assert told_problem.startswith(problem)
    assert mend


def test_a_mistyped_field_is_told_the_nearest() -> None:
    assert problems('{"slug": "a", "limt": 5}')[0][2] == "Did you mean 'limit'?"


def test_the_detail_names_the_first_problems_and_counts_the_rest() -> None:
    with pytest.raises(DibopError, match=r"/limit is 0.*; /scope is.*; /on is.*; and 1 more") as refused:
        read_body(b'{"slug": "a", "scope": "x", "limit": 0, "on": 1, "ratio": -1}', Body, max_bytes=1000)

    assert len(refused.value.errors) == 4


class Secretive(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client_secret: Literal["x"] = "x"
    values: dict[Token, int] = Field(default_factory=dict)
    origin: str = Field("", pattern="^https")


@pytest.mark.parametrize(
    "body",
    [
        '{"client_secret": "hunter2000"}',
        '{"values": {"My hunter2000": 1}}',
        '{"values": {"a": "hunter2000"}}',
        '{"values": "hunter2000"}',
        '{"hunter2000x": {"y": "hunter2000"}, "client_secret": ["hunter2000"]}',
    ],
)
def test_values_that_may_be_secrets_are_not_quoted(body: str) -> None:
    with pytest.raises(DibopError) as refused:
        read_body(body.encode(), Secretive, max_bytes=10_000)

    told = f"{refused.value} {[entry['problem'] + entry['mend'] for entry in refused.value.errors]}"
    assert "hunter2000" not in told.replace("hunter2000x", "").replace("values/My hunter2000", "")


def test_other_values_are() -> None:
    with pytest.raises(DibopError, match="'ftp"):
        read_body(b'{"origin": "ftp://a"}', Secretive, max_bytes=10_000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff\xfe{}",
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 100_000 + b"}",
        b"{'a': 1}",
        b"\x00",
        b"[]",
        b'{"a": 1} {"a": 2}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    class Anything(BaseModel):
        a: Any = None

    with pytest.raises(DibopError) as refused:
        read_body(body, Anything, max_bytes=1_000_000)

    assert refused.value.code == "invalid-request"
    assert len(str(refused.value)) < 1000


def test_a_nul_is_refused_in_fields_and_kept_in_documents() -> None:
    class Saving(BaseModel):
        note: str = ""
        document: dict[str, Any] = Field(default_factory=dict)

    with pytest.raises(DibopError, match="`note` holds a NUL"):
        read_body(b'{"note": "a\\u0000"}', Saving, max_bytes=100)
    assert read_body(b'{"document": {"a": "\\u0000"}}', Saving, max_bytes=100).document == {"a": "\0"}


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    assert read_body(b'{"slug": "a", "slug": "b"}', Body, max_bytes=100).slug == "b"


def test_text_that_only_speaks_of_infinity_is_taken() -> None:
    class Note(BaseModel):
        note: str

    assert read_body(b'{"note": "NaN and Infinity"}', Note, max_bytes=100).note == "NaN and Infinity"


def test_a_name_of_any_length_is_cut_short() -> None:
    with pytest.raises(DibopError) as refused:
        read_body(('{"' + "n" * 50_000 + '": 1}').encode(), Body, max_bytes=100_000)

    assert len(str(refused.value.to_problem())) < 2000
