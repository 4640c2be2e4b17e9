"""A person's consent on the command line: from the address that is printed to operations in the person's name."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.e2e.conftest import allowing
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, PERSON, OAuthServer, oauth_server
from tests.support.polling import wait_until
from tests.support.stack import DIBOP, Stack

pytestmark = pytest.mark.timeout(240)

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "oauth2-authorization-code.yaml"
SLUG: Final = "oauth2-authorization-code"
ALL_OPERATIONS: Final = ("--operation", "show_me")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(tmp_path_factory.mktemp("oauth")) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, server: OAuthServer) -> Path:
    """The example, at this server, and the client's credentials."""
    folder = tmp_path_factory.mktemp("files")
    document = yaml.safe_load(EXAMPLE.read_text())
    document |= {
        "base_url": f"{server.url}/api",
        "authorization_url": f"{server.url}/authorize",
        "token_url": f"{server.url}/token",
    }
    (folder / "connector.json").write_text(json.dumps(document))
    (folder / "credentials.json").write_text(json.dumps({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}))
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, server: OAuthServer, files: Path) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("authorize"), environment=allowing(server.url)).up()
    made.run("connector", "apply", str(files / "connector.json"), "--owner", "platform")
    yield made
    made.down()


def in_a_browser(stack: Stack, *command: str, deny: bool = False) -> tuple[int, str, str, list[httpx.Response]]:
    """Run a command that waits for a person, who goes where it says; exit code, what it printed, and the pages."""
    environment = {**os.environ, "DIBOP_HOME": str(stack.home)}
    with subprocess.Popen(
        [DIBOP, *command, "--no-browser"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        while not said.startswith("http"):
            said = process.stderr.readline()
            assert said, "it ended without an address"
        url = said.strip() + ("&deny=1" if deny else "")
        answer = httpx.get(url, follow_redirects=True, trust_env=False, timeout=60)
        out, rest = process.communicate(timeout=60)
    return process.returncode, out, rest, [*answer.history, answer]


def authorize(stack: Stack) -> dict[str, Any]:
    code, out, rest, pages = in_a_browser(stack, "connection", "authorize", SLUG, "--json")
    assert (code, pages[-1].status_code) == (0, 200), rest
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_from_a_draft_to_operations_in_a_persons_name(stack: Stack, server: OAuthServer, files: Path) -> None:
    credentials = ("--credentials-file", str(files / "credentials.json"))
    without = stack.run("connector", "test", SLUG, *ALL_OPERATIONS, *credentials, expect=1)
    assert "connector test" in without.stdout

    code, out, rest, _ = in_a_browser(stack, "connector", "test", SLUG, "--authorize", *ALL_OPERATIONS, *credentials)
    assert (code, "1 passed" in out) == (0, True), out + rest
    stack.run("connector", "publish", SLUG, "--scope", "catalogue")
    created = stack.run("connection", "create", SLUG, *credentials)
    assert f"dibop connection authorize {SLUG}" in created.stderr
    refused = stack.run("exec", SLUG, "show_me", expect=1)
    assert "credentials-rejected" in refused.stderr
    assert f"dibop connection authorize {SLUG}" in refused.stderr

    answered = authorize(stack)

    assert (answered["refreshable"], answered["scopes"]) == (True, "profile offline_access")
    reply = stack.json("exec", SLUG, "show_me")
    assert (reply["status_code"], reply["response"]["person"]) == (200, PERSON)
    shown = stack.json("connection", "show", SLUG)
    assert shown["token"]["scopes"] == "profile offline_access"
    actors = {
        entry["actor"] for entry in stack.json("audit", "list")["entries"] if entry["action"] == "connection.authorize"
    }
    assert actors == {"local-admin"}


def test_a_person_who_says_no_changes_nothing(stack: Stack, server: OAuthServer) -> None:
    before = stack.json("connection", "show", SLUG)["token"]

    code, out, rest, pages = in_a_browser(stack, "connection", "authorize", SLUG, deny=True)

    assert (code, out, pages[-1].status_code) == (1, "", 400)
    assert "consent was not given" in rest
    assert stack.json("connection", "show", SLUG)["token"] == before


def test_what_was_revoked_is_authorized_again(stack: Stack, server: OAuthServer) -> None:
    server.revoke(refresh=True)
    said: list[str] = []

    def is_refused() -> bool:
        said.append(stack.run("exec", SLUG, "show_me", expect=None).stderr)
        return "credentials-rejected" in said[-1]

    wait_until(is_refused, 30)
    assert "status 401" in said[0]
    assert "Authorize the connection again" in said[-1]
    assert stack.json("connection", "show", SLUG)["health"]["state"] == "auth_error"

    authorize(stack)

    assert stack.json("exec", SLUG, "show_me")["status_code"] == 200
    kept = [path for path in stack.home.rglob("*") if path.is_file() and CLIENT_SECRET.encode() in path.read_bytes()]
    assert kept == []
