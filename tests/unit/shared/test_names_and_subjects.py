"""Names, subjects and the sentences that help with mistyped ones."""

import time

import pytest

from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.names import did_you_mean, is_slug, is_token, nearest, require_slug, require_token


@pytest.mark.parametrize("name", ["a", "weather", "get_current_weather", "a-b_c9", "a" * 63])
def test_tokens(name: str) -> None:
    assert is_token(name)
    assert require_token(name, "name") == name


@pytest.mark.parametrize("name", ["", "A", "9a", "a.b", "a b", "a*", ">", "a\n", "ä", "a" * 64, "-a"])
def test_what_is_no_token_is_refused_with_the_rule(name: str) -> None:
    assert not is_token(name)
    with pytest.raises(DibopError, match="starts with a letter") as caught:
        require_token(name, "connection name")
    assert caught.value.code == "invalid-request"


def test_slugs_have_no_underscore() -> None:
    assert is_slug("open-weather")
    assert not is_slug("open_weather")
    with pytest.raises(DibopError):
        require_slug("open_weather")


def test_a_request_subject_is_read_back() -> None:
    address = subjects.parse(subjects.execute("acme", "weather", "get"))

    assert address == subjects.Address("exec", "acme", "weather", "get")


@pytest.mark.parametrize(
    "subject", ["", "exec", "exec.v1.acme.weather", "exec.v2.acme.a.b", "exec.v1.ACME.a.b", "a.v1.b.c.d.e"]
)
def test_other_subjects_are_refused(subject: str) -> None:
    with pytest.raises(DibopError, match="not a request subject"):
        subjects.parse(subject)


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("wether", ["weather", "orders"], "Did you mean 'weather'?"),
        ("zzz", ["weather", "orders"], "There is: orders, weather."),
        ("zzz", [], "There is no connector yet."),
        (
            "zzz",
            [f"c{n:02}" for n in range(12)],
            "There is: " + ", ".join(f"c{n:02}" for n in range(10)) + " and 2 more.",
        ),
    ],
)
def test_a_mistyped_name_gets_help(name: str, known: list[str], sentence: str) -> None:
    assert did_you_mean(name, known, "connector") == sentence


def test_looking_for_a_name_is_quick_however_many_there_are_and_however_long_it_is() -> None:
    names = [f"get_{number}_resource_by_{number % 7}" for number in range(10_000)]
    began = time.monotonic()
    for _ in range(20):
        assert nearest("get_9_resource_by_2", names)
        did_you_mean("x" * 500_000, names, "operation")

    assert time.monotonic() - began < 10
