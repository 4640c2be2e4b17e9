"""From a file to an executed operation by the command line alone, as a program uses it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.polling import wait_until
from tests.support.stack import DIBOP, Stack

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "openweathermap.yaml"


def demo_url(stack: Stack) -> str:
    url: str = stack.parts()["demo-weather"]["address"]
    return url


def apply(stack: Stack, slug: str, *arguments: str) -> Any:
    return stack.json("connector", "apply", str(EXAMPLE), "--set", f"slug={slug}", "--set", f"name={slug}",
                      "--set", f"base_url={demo_url(stack)}", *arguments)  # fmt: skip


@pytest.fixture
def credentials(stack: Stack, tmp_path: Path) -> Path:
    path = tmp_path / "key.yaml"
    path.write_text(f"api_key: {(stack.home / 'demo' / 'api-key').read_text()}")
    return path


def problem(stack: Stack, *arguments: str, stdin: str | None = None) -> Any:
    """The problem document that a refused command prints for programs, on standard error."""
    done = stack.run(*arguments, "--json", stdin=stdin, expect=1)
    assert done.stdout == ""
    return json.loads(done.stderr)


def test_from_a_file_to_an_executed_operation(stack: Stack, credentials: Path) -> None:
    slug = "golden"
    saved = apply(stack, slug)
    assert (saved["owner"], saved["revision"], saved["changed"], saved["errors"]) == ("platform", 1, True, [])
    assert apply(stack, slug)["changed"] is False

    shown = stack.json("connector", "show", slug)
    assert list(shown) == ["slug", "owner", "state", "draft", "versions", "latest_version"]
    assert shown["draft"] == {"revision": 1, "digest": saved["digest"], "errors": []}
    assert (shown["state"], shown["versions"], shown["latest_version"]) == ("draft", [], None)

    assert problem(stack, "connector", "publish", slug)["type"] == "urn:dibop:error:not-publishable"
    report = stack.json("connector", "test", slug, "--credentials-file", str(credentials))
    operations = {step["operation"]: step["outcome"] for step in report["steps"] if step["kind"] == "operation"}
    assert operations == {"get_current_weather": "pass", "get_forecast": "pass"}
    [row] = stack.json("test", "list", slug)["runs"]
    assert (row["run_id"], row["state"], row["passed"]) == (report["run_id"], "passed", 2)
    shown = stack.json("test", "show", report["run_id"])
    sent = next(step["exchange"] for step in shown["steps"] if step["operation"] == "get_current_weather")
    assert sent["request"]["url"].endswith("/data/2.5/weather?q=London&units=metric")
    assert "[redacted]" in dict(sent["request"]["headers"]).values()
    assert json.loads(sent["response"]["body"]["text"])["name"]
    told = stack.run("test", "show", report["run_id"]).stdout
    assert "> GET http" in told
    assert "< 200" in told
    assert stack.json("test", "cancel", report["run_id"])["changed"] is False
    published = stack.json("connector", "publish", slug, "--scope", "catalogue")
    assert (published["version"], published["changed"]) == ("1.0.0", True)
    assert stack.json("connector", "publish", slug)["changed"] is False
    version = stack.json("connector", "show", slug)["versions"][0]
    assert list(version) == ["version", "state", "digest", "published_at"]
    assert version["digest"] == saved["digest"]

    refused = problem(stack, "exec", slug, "get_current_weather", "-p", "q=London")
    assert refused["type"] == "urn:dibop:error:connection-required"
    made = stack.json("connection", "create", slug, "--credentials-file", "-", stdin=credentials.read_text())
    assert (made["name"], made["version_policy"], made["origin"]) == ("default", "^1", demo_url(stack))
    reply = stack.json("exec", slug, "get_current_weather", "-p", "q=London", "-p", "units=imperial", "--timeout", "5")
    assert reply["status_code"] == 200
    assert reply["response"]["main"]["temp"] == 52.52
    assert (reply["version"], reply["connection"], reply["schema_valid"]) == ("1.0.0", "default", True)
    assert stack.json("exec", slug, "get_forecast", "-p", "q=Paris", "-p", "cnt=2")["response"]["cnt"] == 2

    pinged = stack.json("connection", "ping", slug)
    assert (pinged["outcome"], len(pinged["steps"])) == ("online", 5), pinged
    assert [each["outcome"] for each in stack.json("connection", "ping", slug, "--all")] == ["online"]
    assert stack.json("connection", "show", slug)["health"]["state"] == "healthy"
    assert stack.json("connection", "default", slug, "default")["default"] is True
    assert stack.json("connection", "consent", slug)["changes"] == []
    connections = stack.json("connection", "list", slug)
    assert [(c["name"], c["fields"]["api_key"][-4:]) for c in connections] == [
        ("default", credentials.read_text().strip()[-4:])
    ]
    assert stack.json("connection", "delete", slug, "--yes")["id"] == made["id"]
    assert stack.json("connection", "list", slug) == []

    done = {
        (entry["action"], entry["identifier"])
        for entry in stack.json("audit", "list", "--owner", "platform")["entries"]
    }
    assert {("draft.save", slug), ("test.run", slug), ("version.add", slug), ("connector.publish", slug)} <= done


def test_an_error_status_is_a_result(stack: Stack, credentials: Path) -> None:
    apply(stack, "statuses")
    stack.run("connector", "test", "statuses", "--credentials-file", str(credentials))
    stack.run("connector", "publish", "statuses")
    stack.run("connection", "create", "statuses", "--credentials-file", str(credentials))
    arguments = ("exec", "statuses", "get_current_weather", "-p", "q=Atlantis")

    assert stack.json(*arguments)["status_code"] == 404
    assert "city not found" in stack.run(*arguments, "--check-status", expect=1).stdout
    refused = stack.run("exec", "statuses", "get_current_weather", expect=1)
    assert "invalid-parameters" in refused.stderr
    assert "- q: " in refused.stderr
    assert "request id: " in refused.stderr
    assert "get_current_weather" in problem(stack, "exec", "statuses", "get_weather")["detail"]


def test_a_stale_revision_is_refused_and_an_invalid_draft_only_kept_on_request(stack: Stack, tmp_path: Path) -> None:
    apply(stack, "stale")
    apply(stack, "stale", "--set", "description=Second", "--revision", "1")

    stale = stack.run(
        "connector", "apply", str(EXAMPLE), "--set", "slug=stale", "--set", "name=stale", "--revision", "1", expect=1
    )
    assert "conflict" in stale.stderr

    broken = tmp_path / "broken.yaml"
    broken.write_text("name: Broken\nbase_url: https://a.example.com\nauth_type: nun\n")
    refused = stack.run("connector", "apply", str(broken), expect=1)
    assert f"{broken}:3:1: error: /auth_type" in refused.stdout
    assert "--allow-invalid" in refused.stderr
    assert problem(stack, "connector", "apply", str(broken))["errors"][0]["line"] == 3
    assert problem(stack, "connector", "show", "broken")["type"] == "urn:dibop:error:not-found"

    kept = stack.json("connector", "apply", str(broken), "--allow-invalid")
    assert kept["errors"][0]["path"] == "/auth_type"
    assert problem(stack, "connector", "publish", "broken")["type"] in {
        "urn:dibop:error:invalid-template",
        "urn:dibop:error:not-publishable",
    }


def test_an_enterprise_publishes_for_itself(stack: Stack, credentials: Path) -> None:
    assert apply(stack, "ours", "--owner", "enterprise")["owner"] == "local"
    stack.run("connector", "test", "ours", "--credentials-file", str(credentials))

    published = stack.json("connector", "publish", "ours", "--scope", "enterprise")

    assert (published["owner"], published["scope"]) == ("local", "enterprise")
    stack.run("connection", "create", "ours", "--credentials-file", str(credentials))
    assert stack.json("exec", "ours", "get_current_weather", "-p", "q=Berlin")["response"]["name"] == "Berlin"


@pytest.mark.parametrize("given", ["", "[]", "api_key: [1]", "{planted-secret", "api_kee: planted-secret"])
def test_wrong_credentials_are_refused_and_not_repeated(stack: Stack, given: str) -> None:
    apply(stack, "careful")

    refused = stack.run("connection", "create", "careful", "--credentials-file", "-", stdin=given, expect=1)

    assert "planted-secret" not in refused.stdout + refused.stderr
    assert stack.json("connection", "list", "careful") == []


def test_credentials_are_asked_for_only_on_a_terminal(stack: Stack) -> None:
    apply(stack, "careful")

    refused = stack.run("connection", "create", "careful", stdin="", expect=1)

    assert "--credentials-file" in refused.stderr


def test_events_are_printed_as_they_happen(stack: Stack) -> None:
    listening = subprocess.Popen(
        [DIBOP, "events", "tail", "connector.heard.draft_saved", "--count", "1", "--json", "--home", str(stack.home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with listening:
        assert listening.stderr is not None
        assert "listening" in listening.stderr.readline()
        apply(stack, "heard")
        wait_until(lambda: listening.poll() is not None, 20)
        assert listening.stdout is not None
        event = json.loads(listening.stdout.read())

    assert listening.returncode == 0
    assert (event["type"], event["subject"], event["specversion"]) == ("dibop.connector.draft_saved", "heard", "1.0")


def test_calls_are_listed_and_followed(stack: Stack) -> None:
    refused = problem(stack, "exec", "nothing", "fly")["request_id"]
    wait_until(lambda: bool(stack.json("calls", "--request-id", refused)), 20)
    (call,) = stack.json("calls", "--request-id", refused)
    assert (call["connector"], call["outcome"], call["attempts"]) == ("nothing", "unknown-connector", 0)
    assert refused in stack.run("calls", "--outcome", "error", "--since", "1h").stdout

    command = [DIBOP, "calls", "--follow", "--json", "--connector", "nothing", "--home", str(stack.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        printed = [json.loads(following.stdout.readline())["request_id"]]
        another = problem(stack, "exec", "nothing", "fly")["request_id"]
        printed.append(json.loads(following.stdout.readline())["request_id"])
        following.terminate()
    assert printed == [refused, another]


def test_a_healthy_stack_has_no_problem_and_migrating_again_changes_nothing(stack: Stack) -> None:
    checks = stack.json("doctor")
    assert {check["name"] for check in checks} >= {"context", "nats", "redis", "registry", "publisher", "executor"}
    assert all(check["ok"] for check in checks), checks

    assert "streams and buckets: unchanged" in stack.run("migrate").stdout


def test_the_doctor_finds_a_stack_that_is_not_there(stack: Stack, tmp_path: Path) -> None:
    context = json.loads((stack.home / "context.json").read_text()) | {"nats_url": "nats://127.0.0.1:9"}
    (tmp_path / "context.json").write_text(json.dumps(context))

    checks = stack.json("doctor", "--home", str(tmp_path), expect=1)

    problems = {check["name"]: check["mend"] for check in checks if not check["ok"]}
    assert "dibop up" in problems["nats"]


def test_the_token_names_the_local_roles(stack: Stack) -> None:
    told = stack.json("token")

    assert set(told["roles"]) == {"platform_admin", "enterprise_admin_sdk"}
    assert told["enterprise"] == "local"
    assert stack.run("token").stdout.strip() == told["token"]
