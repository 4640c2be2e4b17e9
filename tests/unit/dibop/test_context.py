"""The context file: found, read, overridden, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibop.context import Context, resolve_home
from dibop.errors import ContextError


def write(home: Path, **content: object) -> None:
    (home / "context.json").write_text(json.dumps(content))


def test_what_was_dumped_is_loaded_again(tmp_path: Path) -> None:
    context = Context("nats://127.0.0.1:1", "local", token_file=tmp_path / "t", seal_key_file=tmp_path / "k")

    (tmp_path / "context.json").write_text(context.dump())

    assert Context.load(tmp_path) == context
    assert "console_url" not in json.loads(context.dump())


def test_the_home_is_the_argument_then_the_variable_then_a_folder_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIBOP_HOME", str(tmp_path / "variable"))

    assert resolve_home(tmp_path / "argument") == tmp_path / "argument"
    assert resolve_home() == tmp_path / "variable"
    monkeypatch.delenv("DIBOP_HOME")
    assert resolve_home() == tmp_path / ".dibop"


def test_overrides_take_the_place_of_the_files_values(tmp_path: Path) -> None:
    write(tmp_path, nats_url="nats://a:1", enterprise="local", token_file="/t")

    context = Context.load(tmp_path, enterprise="acme", nats_url=None)

    assert (context.enterprise, context.nats_url, context.token_file) == ("acme", "nats://a:1", Path("/t"))


def test_no_file_is_needed_where_address_and_enterprise_are_given(tmp_path: Path) -> None:
    assert Context.load(tmp_path, nats_url="nats://a:1", enterprise="acme").nats_inbox_prefix == "_INBOX.acme"


def test_an_unknown_override_is_a_mistake_in_the_program(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="nats_uri"):
        Context.load(tmp_path, nats_uri="nats://a:1")


def test_a_field_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, nats_url="nats://a:1", enterprise="local", colour="blue")

    assert Context.load(tmp_path).enterprise == "local"


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="dibop up") as caught:
        Context.load(tmp_path)

    assert str(tmp_path / "context.json") in caught.value.detail
    assert str(caught.value).startswith("no-context: ")


@pytest.mark.parametrize("text", ["{", "[]", '{"nats_url": 1, "enterprise": "local"}', '{"nats_url": "nats://a:1"}'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "context.json").write_text(text)

    with pytest.raises(ContextError, match=r"context\.json"):
        Context.load(tmp_path)


def test_the_token_is_read_anew_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    context = Context("nats://a:1", "local", token_file=token)

    token.write_text("first\n")
    assert context.token() == "first"
    token.write_text("second\n")
    assert context.token() == "second"
    token.unlink()
    with pytest.raises(ContextError, match="token"):
        context.token()
