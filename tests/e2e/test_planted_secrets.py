"""Secrets are planted in a whole stack that logs all it can; then everything it wrote, said and keeps is searched.

The external system echoes, quotes and redirects with what it is sent, and half of the requests fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from dibop.admin import Publisher
from dibop.client import Client
from dibop.errors import DibopError
from dibop.local.home import Home
from shared.contracts import commands
from shared.contracts.execution import AUTHORIZATION_HEADER
from shared.contracts.subjects import publisher, registry
from shared.messaging.access.permissions import OPERATOR
from shared.security.sealing import SealContext, SealingKey
from tests.e2e.conftest import allowing
from tests.support.leaky_server import LeakyServer, leaky_server
from tests.support.polling import eventually
from tests.support.secrets import Plant, Search
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(600)

API_KEY: Final = Plant.make("the API key", "pk/+")
QUERY_KEY: Final = Plant.make("the key in the query", "qk &=")
PASSWORD: Final = Plant.make("the password", 'p"w\\', "é/")
CLIENT_SECRET: Final = Plant.make("the client secret", "cs:+%")
ACCESS_TOKEN: Final = Plant.make("the access token", "at.")
FIRST_REFRESH_TOKEN: Final = Plant.make("the first refresh token", "r0.")
REFRESH_TOKEN: Final = Plant.make("the refresh token", "rt.")
PIN: Final = Plant.make("the sensitive parameter", "pin ")
NEW_KEY: Final = Plant.make("the rotated API key", "nk/")
WRONG: Final = Plant.make("a password where it does not belong", "wp ")
STRAY: Final = Plant.make("a token that nobody has signed", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.")
PLANTS: Final = (
    API_KEY,
    QUERY_KEY,
    PASSWORD,
    CLIENT_SECRET,
    ACCESS_TOKEN,
    FIRST_REFRESH_TOKEN,
    REFRESH_TOKEN,
    PIN,
    NEW_KEY,
    WRONG,
    STRAY,
)
BEHAVIOURS: Final = ("echo", "large", "fail", "binary", "headers", "redirect", "garbage", "cut")


class TellingStack(Stack):
    """A stack that keeps what its commands print."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.said: list[str] = []

    def run(
        self, *arguments: str, stdin: str | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        done = super().run(*arguments, stdin=stdin, expect=None)
        self.said.append(f"dibop {arguments[0]}\n{done.stdout}\n{done.stderr}")
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"dibop {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


@dataclass
class Scene:
    """The stack once everything has happened in it. `heard` is every reply and error that callers got."""

    stack: TellingStack
    home: Home
    upstream: LeakyServer
    heard: list[str] = field(default_factory=list)

    def search(self) -> Search:
        return Search([*PLANTS, *self.own_secrets()])

    def own_secrets(self) -> list[Plant]:
        """The stack's own keys, which belong into their files alone."""
        ring = json.loads(self.home.key_ring_file.read_text())
        signing = json.loads(self.home.signing_key_file.read_text())
        found = [Plant("a private sealing key", key["private_key"]) for key in ring["keys"]]
        found.append(Plant("the key that signs tokens", signing["d"]))
        found += [Plant(f"the token {file.name}", file.read_text().strip()) for file in self.home.keys.glob("*.jwt")]
        found += [
            Plant(f"the NATS seed of {file.name}", line)
            for file in self.home.keys.rglob("*.creds")
            for line in file.read_text().splitlines()
            if line.startswith("S") and len(line) == 58
        ]
        assert len(found) >= 4
        return found


def document(slug: str, url: str, **changes: Any) -> dict[str, Any]:
    operations = [
        {
            "operation": name,
            "description": f"Make the system {name}.",
            "method": "POST",
            "path": f"/{name}",
            "idempotent": True,
            "parameters": [
                {"name": "pin", "location": "body", "sensitive": True, "schema": {"maxLength": 60}},
                {"name": "since", "location": "query", "sensitive": True},
                {"name": "count", "location": "query", "type": "integer"},
                {"name": "kind", "location": "body", "enum": ["a", "b"]},
            ],
            "response_schema": {"type": "object", "properties": {"url": {"maxLength": 3, "pattern": "^x"}}},
        }
        for name in (*BEHAVIOURS, "hang")
    ]
    return {
        "name": slug.title(),
        "slug": slug,
        "type": "General",
        "description": "Gives everything away.",
        "base_url": url,
        "resilience": {
            "max_retries": 1,
            "retry_delay_seconds": 0,
            "rate_limit_per_minute": 0,
            "circuit_breaker_threshold": 0,
        },
        "operations": operations,
        **changes,
    }


def connectors(url: str) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    oauth = {"auth_type": "oauth2", "grant_type": "client_credentials"}
    client = {"client_id": "dibop", "client_secret": CLIENT_SECRET.value}
    made = {
        "keyed": ({"auth_type": "api_key", "header_name": "X-Api-Key"}, {"api_key": API_KEY.value}),
        "queried": ({"auth_type": "api_key", "query_parameter": "appid"}, {"api_key": QUERY_KEY.value}),
        "basic": ({"auth_type": "basic"}, {"username": "ada", "password": PASSWORD.value}),
        "granted": ({**oauth, "token_url": f"{url}/token"}, client),
        "refused": ({**oauth, "token_url": f"{url}/refuse", "token_auth_method": "post"}, client),
        "garbled": ({**oauth, "token_url": f"{url}/token-garbage"}, client),
    }
    return {slug: (document(slug, url, **auth), credentials) for slug, (auth, credentials) in made.items()}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A stack in which everything has happened that can, with debug logs on."""
    home, files = tmp_path_factory.mktemp("planted") / "home", tmp_path_factory.mktemp("files")
    with leaky_server(ACCESS_TOKEN.value, REFRESH_TOKEN.value) as upstream:
        environment = {
            **allowing(upstream.url),
            "DIBOP_HIDE_ECHOED_CREDENTIALS": "true",
            "DIBOP_LOG_LEVEL": "DEBUG",
            "DIBOP_DRAIN_SECONDS": "2",
        }
        stack = TellingStack(home, workers=2, environment=environment)
        stack.up()
        try:
            made = Scene(stack, Home(home), upstream)
            _build(made, files)
            asyncio.run(_use(made))
            _mistype(made, files)
            asyncio.run(_misuse(made))
            _break(made)
            yield made
        finally:
            stack.down()


def _build(scene: Scene, files: Path) -> None:
    """Tests that fail, since the system echoes what no schema allows; then drafts, tests, versions, connections."""
    stack, made = scene.stack, connectors(scene.upstream.url)
    template, credentials = made["keyed"]
    template["operations"][0]["sample"] = {"count": 3}
    given = files / "given.json"
    given.write_text(json.dumps(credentials))
    stack.draft(template, directory=files)
    names = [word for name in ("echo", "fail", "garbage", "redirect") for word in ("--operation", name)]
    stack.run("connector", "test", "keyed", *names, "--credentials-file", str(given), "--json", expect=1)
    scene.upstream.polite = True
    for template, credentials in made.values():
        stack.publish(template, directory=files, credentials=credentials)
    asyncio.run(_authorize(scene, files))
    scene.upstream.polite = False


async def _authorize(scene: Scene, files: Path) -> None:
    """A connector with authorization_code, from its test to a refresh token that is stored as executors store it."""
    stack, url = scene.stack, scene.upstream.url
    template = document(
        "authorized",
        url,
        auth_type="oauth2",
        grant_type="authorization_code",
        token_url=f"{url}/token",
        authorization_url=f"{url}/authorize",
    )
    stack.draft(template, directory=files)
    key = SealingKey.load(scene.home.seal_key_file)
    origin, session = f"{url}", str(uuid.uuid4())
    given = {"client_secret": CLIENT_SECRET.value, "refresh_token": FIRST_REFRESH_TOKEN.value}
    context = SealContext("test", "platform", "platform", "authorized", session, origin)
    credentials = commands.TestCredentials(
        id=session, origin=origin, kid=key.kid, values={"client_id": "dibop"}, sealed=key.seal_all(given, context)
    )
    names = [operation["operation"] for operation in template["operations"]]
    run = commands.StartTest(slug="authorized", operations=names, credentials=credentials)
    async with stack.client() as client:
        report = await Publisher(client, "platform").run_test(run)
        assert {tested.outcome for tested in report.operations} == {"pass"}, report
        stack.run("connector", "publish", "authorized", "--scope", "catalogue")
        file = files / "authorized.json"
        file.write_text(json.dumps({"client_id": "dibop", "client_secret": CLIENT_SECRET.value}))
        stack.run("connection", "create", "authorized", "--credentials-file", str(file))
        [entry] = stack.json("connection", "list", "authorized")
        bound = SealContext("token", "local", "platform", "authorized", entry["id"], entry["origin"], "refresh_token")
        command = commands.StoreToken(
            connector="authorized",
            name="default",
            id=entry["id"],
            expected=0,
            kid=key.kid,
            sealed=key.seal(FIRST_REFRESH_TOKEN.value, bound),
        )
        token = scene.home.token_file("executor").read_text().strip()
        await client.bus.request(
            registry("local", "connection", "store-token"),
            command.model_dump_json().encode(),
            timeout=10,
            headers={AUTHORIZATION_HEADER: f"Bearer {token}"},
        )


async def _use(scene: Scene) -> None:
    """Every connection, every way to answer."""
    async with scene.stack.client() as client:
        for slug in (*connectors(scene.upstream.url), "authorized"):
            for operation in BEHAVIOURS:
                own = {} if operation == "large" else {"pin": PIN.value, "since": PIN.value}
                await _execute(scene, client, slug, operation, **own)
            await _execute(scene, client, slug, "hang", pin=PIN.value, timeout=0.2)
            await _execute(scene, client, slug, "hang", pin=PIN.value, deadline=0.2)
        await eventually(lambda: _renew(scene, client), 20, what="a second renewal")


async def _renew(scene: Scene, client: Client) -> bool:
    """Whether the refresh token that came with a renewal has been used in its turn."""
    await _execute(scene, client, "authorized", "echo")
    return any(REFRESH_TOKEN.value in heard for heard in scene.upstream.sent)


async def _execute(scene: Scene, client: Client, slug: str, operation: str, **given: Any) -> None:
    try:
        execution = await client.execute(slug, operation, **given)
    except DibopError as error:
        scene.heard.append(_told(error))
    else:
        scene.heard.append(f"{execution!r} {execution.headers} {execution.response!r}")


def _told(error: DibopError) -> str:
    return json.dumps([str(error), error.errors, error.to_problem()], default=str, ensure_ascii=False)


def _mistype(scene: Scene, files: Path) -> None:
    """What people get wrong: secrets in the wrong field, in a file of the wrong form, in the wrong parameter."""
    stack, given = scene.stack, files / "mistyped"
    for text in (
        json.dumps({"apikey": WRONG.value}),
        json.dumps({"api_key": [WRONG.value]}),
        json.dumps({"api_key": WRONG.value})[:-1],
        f'api_key: "{WRONG.value}',
        WRONG.value,
    ):
        given.write_text(text)
        stack.run("connection", "create", "keyed", "--name", "second", "--credentials-file", str(given), expect=None)
    stack.run("connection", "rotate", "keyed", "--credentials-file", str(given), expect=None)
    for words in (
        ("-p", f"kind={WRONG.value}", "-p", f"pin={WRONG.value * 3}", "-p", f"nothing={WRONG.value}"),
        ("-p", f"pin:={json.dumps({'inside': WRONG.value})}"),
        ("-H", f"X-Api-Key={WRONG.value}", "-H", f"Host={WRONG.value}", "-H", f"X-Own={WRONG.value}\r\nX-More: 1"),
    ):
        stack.run("exec", "keyed", "echo", *words, expect=None)
    given.write_text(json.dumps({"api_key": NEW_KEY.value}))
    stack.run("connection", "rotate", "keyed", "--credentials-file", str(given))
    stack.run("exec", "keyed", "echo", "--json")


async def _misuse(scene: Scene) -> None:
    """What programs get wrong, over the bus."""
    wrong = json.dumps(WRONG.value)
    identifier = str(uuid.uuid4())
    start_test = publisher("platform", "test", "start")
    create = {"connector": "keyed", "name": "third", "id": identifier, "owner": "platform", "kid": "x"}
    create["origin"] = f"{scene.upstream.url}"
    bodies: list[tuple[str, bytes]] = [
        ("exec.v1.local.keyed.echo", f'{{"parameters": {{"pin": {wrong}'.encode()),
        ("exec.v1.local.keyed.echo", f'{{"parameters": {wrong}}}'.encode()),
        ("exec.v1.local.keyed.echo", f'{{"password": {wrong}}}'.encode()),
        ("exec.v1.local.keyed.echo", f'{{"timeout": {wrong}}}'.encode()),
        ("exec.v1.local.keyed.echo", f'{{"parameters": {{"count": {wrong}, "kind": {wrong}}}}}'.encode()),
        *(
            (registry("local", "connection", "create"), json.dumps({**create, **fields}).encode())
            for fields in (
                {"values": {"api_key": WRONG.value}},
                {"sealed": {"api_key": WRONG.value}},
                {"masked": {"api_key": WRONG.value}},
                {"sealed": WRONG.value},
                {"sealed": {"api_key": {"plain": WRONG.value}}},
                {"version_policy": "^0.x", "password": WRONG.value},
            )
        ),
        (
            start_test,
            f'{{"slug": "keyed", "parameters": {{"echo": {{"pin": {wrong}}}}}}}'.encode(),
        ),
        (
            start_test,
            json.dumps(
                {
                    "slug": "keyed",
                    "operations": ["echo"],
                    "parameters": {"echo": {"kind": WRONG.value, "pin": WRONG.value}},
                    "credentials": {"id": "t", "origin": "o", "kid": "k", "values": {"api_key": WRONG.value}},
                }
            ).encode(),
        ),
    ]
    async with scene.stack.client() as client:
        for token in (client.context.token(), STRAY.value):
            for subject, body in bodies:
                try:
                    reply = await client.bus.request(
                        subject, body, timeout=20, headers={AUTHORIZATION_HEADER: f"Bearer {token}"}
                    )
                except DibopError as error:
                    scene.heard.append(_told(error))
                else:
                    scene.heard.append(reply.data.decode())


def _break(scene: Scene) -> None:
    """Processes that die: at work, while they drain, and in a way that would leave a core."""
    stack = scene.stack

    async def hang() -> None:
        async with stack.client() as client:
            slugs = ("keyed", "basic", "queried", "granted")
            calls = [_execute(scene, client, slug, "hang", pin=PIN.value, deadline=5) for slug in (*slugs, *slugs)]
            waiting = asyncio.gather(*(asyncio.create_task(call) for call in calls))
            await asyncio.sleep(0.5)
            for part, number in (("executor-1", signal.SIGTERM), ("executor-2", signal.SIGABRT)):
                os.kill(stack.parts()[part]["pid"], number)
            await waiting

    before = {part: stack.parts()[part]["pid"] for part in ("executor-1", "executor-2", "registry")}
    with contextlib.suppress(DibopError):
        asyncio.run(hang())
    os.kill(before["registry"], signal.SIGABRT)
    for part, pid in before.items():
        stack.wait_for_restart(part, pid)


def test_no_log_and_no_store_holds_a_secret(scene: Scene) -> None:
    search = scene.search()
    search.files(scene.home.root, without=[scene.home.keys])

    assert (scene.home.logs / "executor-1.log").stat().st_size > 1000, "there are logs, and debug ones"
    search.assert_nothing_found()


def test_nobody_is_told_a_credential(scene: Scene) -> None:
    """A caller's own parameters come back from systems that echo; credentials do not."""
    search = Search(plant for plant in [*PLANTS, *scene.own_secrets()] if plant is not PIN)
    search.each({f"answer {number}": text for number, text in enumerate(scene.heard)})

    assert sum("[redacted]" in text for text in scene.heard) > 20, "the system did echo"
    search.assert_nothing_found()


def test_no_command_says_a_secret(scene: Scene) -> None:
    search = scene.search()
    search.each({f"command {number}": text for number, text in enumerate(scene.stack.said)})

    search.assert_nothing_found()


def test_redis_holds_no_secret(scene: Scene) -> None:
    search = scene.search()
    search.redis(scene.stack.parts()["redis"]["address"])

    search.assert_nothing_found()


def test_no_process_shows_a_secret(scene: Scene) -> None:
    search = scene.search()
    for pid in scene.stack.pids():
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            search.process(process.pid)

    search.assert_nothing_found()


async def test_the_bus_tells_no_secret(scene: Scene) -> None:
    """Streams are searched as files; here is what is asked for."""
    search = scene.search()
    operator = {"nats_creds": scene.home.nats_creds("operator"), "nats_inbox_prefix": OPERATOR.inbox_prefix}
    async with scene.stack.client(**operator) as client:
        for verb in ("INFO", "STATS"):
            for service in ("dibop-registry", "dibop-publisher", "dibop-executor"):
                reply = await client.bus.request(f"$SRV.{verb}.{service}", b"", timeout=10)
                search.data(reply.data, f"$SRV.{verb}.{service}")
    assert len(scene.stack.json("calls", "--limit", "1000")) > 20
    for words in (
        ("audit", "list"),
        ("calls", "--limit", "1000"),
        ("connection", "list"),
        ("connector", "show", "keyed"),
        ("status",),
    ):
        search.value(scene.stack.json(*words), f"dibop {' '.join(words)}")

    search.assert_nothing_found()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_one_line_in_one_log_would_have_been_found(scene: Scene, plant: Plant) -> None:
    leak = scene.home.logs / "leak.log"
    leak.write_text(json.dumps({"event": "Sent", "headers": {"x": f"Basic {plant.value}"}}) + "\n")
    search = scene.search()
    search.files(scene.home.logs)
    leak.unlink()

    assert [finding.plant for finding in search.findings][:1] == [plant.name]


def test_the_system_was_sent_the_real_thing(scene: Scene) -> None:
    """The search is worth something only if the secrets were in use."""
    sent = "\n".join(scene.upstream.sent)
    used = [plant for plant in PLANTS if plant not in (WRONG, STRAY)]
    search = Search(used)
    search.data(sent, "what the external system was sent")

    assert {finding.plant for finding in search.findings} == {plant.name for plant in used}
