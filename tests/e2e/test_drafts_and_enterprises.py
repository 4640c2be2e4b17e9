"""Drafts that several authors edit, their history, copies and ends; enterprises that are suspended and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import nats
import pytest
import yaml

from shared.contracts.events import Event
from tests.support.polling import wait_until
from tests.support.stack import Stack

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "openweathermap.yaml"


def document(slug: str, **changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(EXAMPLE.read_text()), "slug": slug, **changes}


def write(path: Path, content: Any) -> str:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def refusal(stack: Stack, *arguments: str) -> Any:
    return json.loads(stack.run(*arguments, "--json", expect=1).stderr)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(work)) as pool:
        return [each.result() for each in [pool.submit(one) for one in work]]


def test_two_authors_who_save_at_once_lose_nothing(stack: Stack, tmp_path: Path) -> None:
    base = document("shared-draft")
    stack.run("connector", "apply", write(tmp_path / "base.yaml", base))
    operations = base["operations"]
    ada = write(
        tmp_path / "ada.yaml",
        {**base, "operations": [{**operations[0], "description": "Ada's words."}, *operations[1:]]},
    )
    bob = write(tmp_path / "bob.yaml", {**base, "description": "Bob's words.", "x-bob": 1})
    dan = {"x-dan": 1, "documentation_url": "https://dan.example.com"}
    on = ("--revision", "1")

    saved = at_once(
        lambda: stack.json("connector", "apply", ada, *on, "--merge"),
        lambda: stack.json("connector", "apply", bob, *on, "--merge"),
        lambda: stack.json("draft", "patch", "shared-draft", "-", *on, stdin=json.dumps(dan)),
    )

    assert sorted(each["revision"] for each in saved) == [2, 3, 4]
    assert sorted(each["merged"] for each in saved) == [False, True, True]
    left = stack.json("draft", "show", "shared-draft")["document"]
    assert left["operations"][0]["description"] == "Ada's words."
    assert {name: left[name] for name in ("description", "x-bob", *dan)} == {
        "description": "Bob's words.",
        "x-bob": 1,
        **dan,
    }
    late = write(tmp_path / "late.yaml", {**base, "description": "Too late."})
    told = refusal(stack, "connector", "apply", late, *on, "--merge")
    assert told["type"] == "urn:dibop:error:conflict"
    assert [error["path"] for error in told["errors"] if error["both"]] == ["/description"]


def test_a_drafts_history_and_its_ways_back(stack: Stack, tmp_path: Path) -> None:
    slug = "with-history"
    stack.run("connector", "apply", write(tmp_path / "1.yaml", document(slug)))
    stack.run("draft", "patch", slug, write(tmp_path / "2.yaml", {"description": "Second."}))

    told = stack.json("draft", "history", slug)["revisions"]
    restored = stack.json("draft", "restore", slug, "1")
    nothing = refusal(stack, "draft", "discard", slug)
    copy = stack.json("connector", "duplicate", slug, "a-copy", "--name", "A copy")
    shown = yaml.safe_load(stack.run("draft", "show", slug, "--revision", "2").stdout)
    deleted = stack.json("connector", "delete", slug, "--yes")

    assert [(each["revision"], each["changed"]) for each in told] == [(2, ["description (changed)"]), (1, [])]
    assert (restored["revision"], shown["description"]) == (3, "Second.")
    assert nothing["type"] == "urn:dibop:error:conflict"
    assert (copy["slug"], copy["errors"]) == ("a-copy", [])
    assert stack.json("draft", "show", "a-copy")["document"]["name"] == "A copy"
    assert deleted == {"slug": slug, "owner": "platform"}
    assert refusal(stack, "draft", "show", slug)["type"] == "urn:dibop:error:not-found"


class Tenancy:
    """Another service of the platform, with a NATS user of its own."""

    def __init__(self, stack: Stack, credentials: Path) -> None:
        self._stack = stack
        self._credentials = credentials
        self._prefix = stack.json("nats", "add-service", "tenancy", "--out", str(credentials))["nats_inbox_prefix"]

    async def tell(self, what: str, at: str, **data: Any) -> None:
        context = json.loads((self._stack.home / "context.json").read_text())
        nc = await nats.connect(
            context["nats_url"], user_credentials=str(self._credentials), inbox_prefix=self._prefix.encode()
        )
        event = Event("platform", "enterprise", "local", what, "tenancy", data, time=at)
        await nc.jetstream().publish(event.subject, event.body(), headers=event.headers())
        await nc.close()


@pytest.fixture
def suspended_stack(own_stack: Callable[..., Stack]) -> Stack:
    return own_stack(workers=1)


async def test_another_service_suspends_and_resumes_an_enterprise(suspended_stack: Stack, tmp_path: Path) -> None:
    stack = suspended_stack
    stack.run("connector", "apply", str(EXAMPLE), "--set", f"base_url={stack.parts()['demo-weather']['address']}")
    key = write(tmp_path / "key.yaml", {"api_key": (stack.home / "demo" / "api-key").read_text().strip()})
    stack.run("connector", "test", "openweathermap", "--credentials-file", key)
    stack.run("connector", "publish", "openweathermap")
    stack.run("connection", "create", "openweathermap", "--credentials-file", key)
    call = ("exec", "openweathermap", "get_current_weather", "-p", "q=London")
    tenancy = Tenancy(stack, tmp_path / "tenancy.creds")

    await tenancy.tell("resumed", "2026-01-31T09:00:02Z")
    await tenancy.tell("suspended", "2026-01-31T09:00:01Z", reason="told too late")
    stack.run(*call)
    await tenancy.tell("suspended", "2026-01-31T09:00:03Z", reason="unpaid")
    wait_until(lambda: stack.run(*call, expect=None).returncode == 1, 20)

    assert refusal(stack, *call)["type"] == "urn:dibop:error:enterprise-suspended"
    assert refusal(stack, "connection", "delete", "openweathermap")["type"] == "urn:dibop:error:enterprise-suspended"
    [told] = stack.json("enterprise", "list", "--state", "suspended")
    assert (told["id"], told["reason"]) == ("local", "unpaid")
    stack.run("enterprise", "resume", "local")
    wait_until(lambda: stack.run(*call, expect=None).returncode == 0, 20)


def test_an_operator_takes_and_gives_sdk_access(suspended_stack: Stack, tmp_path: Path) -> None:
    stack = suspended_stack
    own = ("connector", "apply", write(tmp_path / "own.yaml", document("own")), "--owner", "enterprise")

    shown = stack.json("enterprise", "sdk-access", "local", "off")
    wait_until(lambda: stack.run(*own, expect=None).returncode == 1, 20)
    told = refusal(stack, *own)
    stack.run("enterprise", "sdk-access", "local", "on")
    wait_until(lambda: stack.run(*own, expect=None).returncode == 0, 20)

    assert (shown["state"], shown["sdk_access"]) == ("active", False)
    assert told["type"] == "urn:dibop:error:forbidden"
    assert "SDK access" in told["detail"]
    assert "local is active" in stack.run("enterprise", "show", "local").stdout
    assert stack.json("enterprise", "register", "acme", "--name", "Acme AG")["name"] == "Acme AG"
    assert refusal(stack, "enterprise", "show", "nobody")["type"] == "urn:dibop:error:not-found"
