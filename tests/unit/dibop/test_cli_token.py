"""`dibop token`: the caller's own, others that a local stack signs, and what one says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dibop.cli.main import app
from dibop.context import Context
from dibop.errors import ContextError, LocalStackError
from dibop.local.home import Home
from shared.security.principals import Role, TokenIssuer, TokenVerifier

ISSUER = TokenIssuer.generate()
OWN = (Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A stack's home, as far as tokens go."""
    made = Home.of(tmp_path / "home")
    made.prepare()
    made.signing_key_file.write_text(ISSUER.dump())
    made.token_keys_file.write_text(ISSUER.dump_public())
    own = made.token_file("local-admin")
    own.write_text(ISSUER.issue("local-admin", "local", OWN, lifetime_seconds=600) + "\n")
    made.context_file.write_text(Context("nats://127.0.0.1:1", "local", token_file=own).dump())
    return made


def run(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments, "--home", str(home.root)])


def signed(home: Home, *arguments: str) -> dict[str, Any]:
    """What a signed token says, once a service would take it."""
    printed: dict[str, Any] = json.loads(run(home, *arguments, "--json").stdout)
    taken = TokenVerifier.load(home.token_keys_file).verify(f"Bearer {printed['token']}")
    assert (taken.subject, taken.enterprise) == (printed["subject"], printed["enterprise"])
    assert sorted(role.value for role in taken.roles) == printed["roles"]
    return printed


def test_without_options_it_is_the_callers_own(home: Home) -> None:
    assert run(home).stdout == home.token_file("local-admin").read_text()
    assert signed(home)["subject"] == "local-admin"


def test_another_person_has_the_roles_that_are_named_alone(home: Home) -> None:
    said = signed(home, "--subject", "ann", "--enterprise", "acme", "--role", "viewer", "--role", "service")
    assert (said["subject"], said["enterprise"], said["roles"]) == ("ann", "acme", ["service", "viewer"])


@pytest.mark.parametrize("arguments", [["--subject", "ann"], ["--enterprise", "acme"]])
def test_nobody_else_gets_the_callers_roles_unasked(home: Home, arguments: list[str]) -> None:
    result = run(home, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--role" in result.stderr
    assert "viewer" in result.stderr


def test_the_caller_can_have_fewer_roles_or_another_lifetime(home: Home) -> None:
    assert signed(home, "--role", "viewer")["roles"] == ["viewer"]
    assert signed(home, "--lifetime", "90s")["roles"] == sorted(OWN)


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28_800), ("7d", 604_800)]
)
def test_lifetimes(home: Home, lifetime: str, seconds: int) -> None:
    token = run(home, "--lifetime", lifetime).stdout.strip()
    home.token_file("local-admin").write_text(token)
    left = json.loads(run(home, "show", "--json").stdout)["expires_in_seconds"]
    assert seconds - 30 <= left <= seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lifetime", "0"],
        ["--lifetime", "-1h"],
        ["--lifetime", "1y"],
        ["--lifetime", "366d"],
        ["--lifetime", "soon"],
        ["--role", "king"],
        ["--subject", "a\nb", "--role", "viewer"],
        ["--subject", "a" * 257, "--role", "viewer"],
        ["--enterprise", "Acme Inc.", "--role", "viewer"],
        ["--enterprise", "acme.>", "--role", "viewer"],
    ],
    ids=str,
)
def test_wrong_usage_signs_nothing(home: Home, arguments: list[str]) -> None:
    result = run(home, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_without_the_stacks_key_nothing_is_signed(home: Home) -> None:
    home.signing_key_file.unlink()
    result = run(home, "--role", "viewer")
    assert isinstance(result.exception, LocalStackError)
    assert "no key to sign tokens with" in str(result.exception)
    assert run(home).exit_code == 0, "one's own is there all the same"


def test_a_broken_key_is_told_without_being_quoted(home: Home) -> None:
    home.signing_key_file.write_text('{"kty": "OKP", "d": "a-secret"}')
    result = run(home, "--role", "viewer")
    assert isinstance(result.exception, LocalStackError)
    assert "a-secret" not in str(result.exception)


def test_without_a_token_it_says_what_to_do(home: Home) -> None:
    home.token_file("local-admin").write_text("no token")
    for command in ([], ["show"]):
        assert isinstance(run(home, *command).exception, ContextError)


def test_show_says_whose_it_is_and_keeps_it_to_itself(home: Home) -> None:
    shown = run(home, "show").stdout
    for word in ("local-admin", "platform_admin", "dibop-connectors", "it expires in 10 min"):
        assert word in shown
    assert home.token_file("local-admin").read_text().strip() not in shown


def test_show_says_that_it_has_expired(home: Home) -> None:
    file = home.token_file("local-admin")
    file.write_text(ISSUER.issue("local-admin", "local", OWN, lifetime_seconds=-7200))
    assert "it expired 2 h ago" in run(home, "show").stdout
    told = json.loads(run(home, "show", "--json").stdout)
    assert told["expired"] is True
    assert told["claims"]["exp"] < time.time()
    assert told["expires_at"].endswith("Z")
    assert file.read_text() not in run(home, "show", "--json").stdout
