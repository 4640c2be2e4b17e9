"""The whole life of a connector by the command line: drafted, published, withdrawn, brought back, retired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.polling import wait_until
from tests.support.stack import Stack

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "openweathermap.yaml"
SLUG: Final = "life"
RUN: Final = ("exec", SLUG, "get_current_weather", "-p", "q=London")


class Life:
    """Steps of one connector's life, and what is seen of it."""

    def __init__(self, stack: Stack, credentials: Path) -> None:
        self.stack, self._credentials = stack, credentials

    def publish(self, description: str) -> str:
        """Save, test and publish; the version."""
        stack = self.stack
        stack.run("connector", "apply", str(EXAMPLE), "--set", f"slug={SLUG}", "--set", f"description={description}",
                  "--set", f"base_url={stack.parts()['demo-weather']['address']}")  # fmt: skip
        stack.run("connector", "test", SLUG, "--credentials-file", str(self._credentials))
        version: str = stack.json("connector", "publish", SLUG)["version"]
        return version

    def connect(self, *arguments: str) -> Any:
        return self.stack.json("connection", "create", SLUG, "--credentials-file", str(self._credentials), *arguments)

    def step(self, verb: str, *arguments: str) -> Any:
        return self.stack.json("connector", verb, SLUG, *arguments)

    def refused(self, *arguments: str) -> Any:
        return json.loads(self.stack.run(*arguments, "--json", expect=1).stderr)

    def states(self) -> dict[str, str]:
        versions = self.stack.json("connector", "show", SLUG)["versions"]
        return {version["version"]: version["state"] for version in versions}

    def runs(self, *arguments: str) -> str:
        """The version that a call runs."""
        version: str = self.stack.json(*RUN, *arguments)["version"]
        return version


@pytest.fixture
def life(stack: Stack, tmp_path: Path) -> Life:
    path = tmp_path / "key.yaml"
    path.write_text(f"api_key: {(stack.home / 'demo' / 'api-key').read_text()}")
    return Life(stack, path)


def test_from_the_first_version_to_the_end(life: Life) -> None:
    assert [life.publish("The weather."), life.publish("The weather, told anew.")] == ["1.0.0", "1.0.1"]
    life.connect()
    assert life.runs() == "1.0.1"

    moved = life.step("deprecate", "1.0.0", "--successor", "1.0.1", "--date", "2090-01-31", "--notes", "Read 1.0.1.")
    assert (moved["versions"], moved["changed"], moved["connector_state"]) == (["1.0.0"], True, "published")
    shown = life.stack.json("connector", "show", SLUG)["versions"]
    assert shown[0]["deprecation"] == {"successor": "1.0.1", "date": "2090-01-31"}
    assert "deprecation" not in shown[1]

    back = life.step("rollback", "1.0.0")
    assert (back["version"], back["digest"]) == ("1.0.2", shown[0]["digest"])
    wait_until(lambda: life.runs() == "1.0.2", 10)

    assert life.step("unpublish", "1.0.2")["connector_state"] == "published"
    wait_until(lambda: life.runs() == "1.0.1", 10)
    assert life.step("unpublish")["versions"] == ["1.0.0", "1.0.1"]
    assert life.step("unpublish")["changed"] is False
    assert set(life.states().values()) == {"unpublished"}
    wait_until(lambda: life.runs() == "1.0.2", 10)
    refused = life.refused("connection", "create", SLUG, "--name", "late", "--credentials-file", str(EXAMPLE))
    assert refused["type"] in {"urn:dibop:error:not-found", "urn:dibop:error:invalid-request"}

    in_use = life.refused("connector", "retire", SLUG, "--yes")
    assert (in_use["type"], "1 connection" in in_use["detail"]) == ("urn:dibop:error:conflict", True)
    life.stack.run("connection", "delete", SLUG, "--yes")
    assert life.step("retire", "--yes")["versions"] == ["1.0.0", "1.0.1", "1.0.2"]
    assert "does not come back" in life.refused("connector", "rollback", SLUG, "1.0.0")["detail"]
    wait_until(lambda: "retired" in life.refused(*RUN)["detail"], 10)

    assert life.publish("The weather, told anew.") == "1.0.3"
    audited = life.stack.json("audit", "list", "--owner", "platform", "--noun", "connector", "--id", SLUG)["entries"]
    assert {"connector.deprecate", "connector.rollback", "connector.unpublish", "connector.retire"} <= {
        entry["action"] for entry in audited
    }


def another_admin(stack: Stack, home: Path) -> Path:
    """The home of a Platform Admin besides the stack's own."""
    home.mkdir()
    issued = stack.json("token", "--subject", "pat", "--enterprise", "local", "--role", "platform_admin")
    (home / "token.jwt").write_text(issued["token"])
    common = json.loads((stack.home / "context.json").read_text())
    (home / "context.json").write_text(json.dumps({**common, "token_file": str(home / "token.jwt")}))
    return home


def test_an_enterprises_draft_enters_the_catalogue_when_another_admin_approves(life: Life, tmp_path: Path) -> None:
    stack, slug = life.stack, "reviewed"
    other = ("--home", str(another_admin(stack, tmp_path / "pat")))
    stack.run("connector", "apply", str(EXAMPLE), "--owner", "enterprise", "--set", f"slug={slug}",
              "--set", f"base_url={stack.parts()['demo-weather']['address']}")  # fmt: skip
    stack.run("connector", "test", slug, "--credentials-file", str(tmp_path / "key.yaml"))

    asked = stack.json("connector", "publish", slug, "--scope", "catalogue")
    assert (asked["owner"], asked["version"], asked["changed"]) == ("local", None, True)
    assert "another platform admin" in stack.run("connector", "publish", slug, "--scope", "catalogue").stdout.lower()
    own = life.refused("review", "approve", asked["review"])
    assert own["type"] == "urn:dibop:error:forbidden"
    stack.run("review", "reject", asked["review"], "Say more.", *other)

    again = stack.json("connector", "publish", slug, "--scope", "catalogue")["review"]
    assert [row["state"] for row in stack.json("review", "list", slug, *other)] == ["open", "rejected"]
    stack.run("review", "comment", again, "Nothing more to say.")
    shown = stack.json("review", "show", again, *other)
    assert [said["text"] for said in shown["comments"]] == ["Nothing more to say."]
    decided = stack.json("review", "approve", again, *other)

    assert (decided["state"], decided["published"]["version"]) == ("approved", "1.0.0")
    found = stack.json("connector", "show", slug, "--owner", "platform")
    assert (found["owner"], found["state"], found["latest_version"]) == ("platform", "published", "1.0.0")
