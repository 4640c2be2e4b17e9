"""Two tenants on one stack, each with its own NATS user, token and command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.connectors import operation
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(180)

SLUG = "fig-private-shop"
SECRET = "correct-horse-battery-staple"
NOTHING = "olive-nothing"


class Tenant:
    """Another enterprise's command line on the same stack."""

    def __init__(self, stack: Stack, home: Path, name: str, *roles: str) -> None:
        self._stack = stack
        self.home = home
        home.mkdir()
        stack.run("nats", "add-client", name, "--out", str(home / "user.creds"))
        granted = [word for role in roles for word in ("--role", role)]
        issued = stack.json("token", "--subject", f"{name}-eve", "--enterprise", name, *granted)
        assert (issued["enterprise"], issued["roles"]) == (name, sorted(roles))
        (home / "token.jwt").write_text(issued["token"])
        common = json.loads((stack.home / "context.json").read_text())
        own = {
            "enterprise": name,
            "nats_creds": str(home / "user.creds"),
            "nats_inbox_prefix": f"_INBOX.{name}.client",
            "token_file": str(home / "token.jwt"),
        }
        (home / "context.json").write_text(json.dumps({**common, **own}))

    def json(self, *arguments: str) -> Any:
        return self._stack.json(*arguments, "--home", str(self.home))

    def refused(self, *arguments: str) -> str:
        """What it is told when it is refused."""
        return self._stack.run(*arguments, "--home", str(self.home), expect=1).stderr


@pytest.fixture(scope="module")
def shop(stack: Stack, fault_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A connector that the stack's own enterprise keeps to itself, with a connection; its slug."""
    directory = tmp_path_factory.mktemp("shop")
    template = {
        "name": "Fig Private Shop",
        "slug": SLUG,
        "type": "General",
        "description": "Nobody else's.",
        "base_url": fault_url,
        "auth_type": "api_key",
        "credential_schema": {"api_key": {"label": "API key", "type": "password", "required": True, "sensitive": True}},
        "operations": [operation("run", path="/json", sample={"q": "x"})],
    }
    (directory / "shop.json").write_text(json.dumps(template))
    (directory / "secrets.json").write_text(json.dumps({"api_key": SECRET}))
    given = ["--credentials-file", str(directory / "secrets.json")]
    stack.run("connector", "apply", str(directory / "shop.json"), "--owner", "enterprise")
    stack.run("connector", "test", SLUG, *given)
    stack.run("connector", "publish", SLUG, "--scope", "enterprise")
    stack.run("connection", "create", SLUG, *given)
    assert stack.json("exec", SLUG, "run", "-p", "q=x")["status_code"] == 200
    return SLUG


@pytest.fixture(scope="module")
def stranger(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    return Tenant(stack, tmp_path_factory.mktemp("globex") / "home", "globex", "enterprise_admin_sdk")


def test_lists_hold_nothing_of_another_tenant(shop: str, stranger: Tenant) -> None:
    assert shop not in {row["slug"] for row in stranger.json("connector", "list")}
    assert stranger.json("connection", "list") == []
    assert stranger.json("audit", "list")["entries"] == []


@pytest.mark.parametrize(
    "command",
    [
        ["connector", "show", "{}"],
        ["connector", "test", "{}"],
        ["connector", "publish", "{}", "--scope", "enterprise"],
        ["connection", "show", "{}"],
        ["connection", "delete", "{}", "--yes"],
        ["exec", "{}", "run", "-p", "q=x"],
        ["circuit", "show", "{}"],
        ["circuit", "reset", "{}"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_is_anothers_is_nowhere(shop: str, stranger: Tenant, command: list[str]) -> None:
    told = [stranger.refused(*(word.format(slug) for word in command)) for slug in (shop, NOTHING)]
    assert said(told[0], shop) == said(told[1], NOTHING)
    assert "Fig" not in told[0]


def said(text: str, slug: str) -> list[str]:
    """What a refusal says, without the name that was asked for and the request's id."""
    return [line for line in text.replace(slug, "<slug>").splitlines() if "request id" not in line]


def test_another_tenants_token_opens_nothing_with_ones_own_nats_user(
    stack: Stack, shop: str, stranger: Tenant, tmp_path: Path
) -> None:
    """With all of the victim's context but its NATS user: the server refuses."""
    context = json.loads((stranger.home / "context.json").read_text())
    stolen = {**context, "enterprise": "local", "token_file": str(stack.home / "keys" / "local-admin.jwt")}
    (tmp_path / "context.json").write_text(json.dumps(stolen))
    for command in (["connector", "list"], ["exec", shop, "run", "-p", "q=x"], ["circuit", "show", shop]):
        told = stack.run(*command, "--home", str(tmp_path), expect=1).stderr
        assert "NATS refuses this user the subject" in told
        assert "v1.local." in told


def test_a_role_does_what_the_table_says(stack: Stack, shop: str, tmp_path: Path) -> None:
    """A token that `dibop token` signed for a viewer reads and changes nothing."""
    context = json.loads((stack.home / "context.json").read_text())
    (tmp_path / "viewer.jwt").write_text(stack.run("token", "--subject", "vic", "--role", "viewer").stdout)
    (tmp_path / "context.json").write_text(json.dumps({**context, "token_file": str(tmp_path / "viewer.jwt")}))
    home = ["--home", str(tmp_path)]

    assert shop in {row["slug"] for row in stack.json("connector", "list", *home)}
    told = stack.run("connection", "delete", shop, "--yes", *home, expect=1).stderr
    assert "forbidden" in told
    assert "enterprise_admin" in told
    shown = stack.run("token", "show", *home).stdout
    assert "vic" in shown
    assert "viewer" in shown


def test_a_token_that_was_changed_is_told_as_such(stack: Stack, tmp_path: Path) -> None:
    context = json.loads((stack.home / "context.json").read_text())
    file = tmp_path / "cut.jwt"
    token = stack.run("token").stdout.strip()
    file.write_text(token[:-8] + "AAAAAAAA")
    (tmp_path / "context.json").write_text(json.dumps({**context, "token_file": str(file)}))
    told = stack.run("connector", "list", "--home", str(tmp_path), expect=1).stderr
    assert "unauthenticated" in told
    assert token[:-8] not in told
