"""Sealing keys and credentials are rotated while requests go on, and rotations are interrupted at every step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import redis.asyncio

from dibop.admin import Registry
from dibop.client import Client
from dibop.local.home import Home
from dibop.sealing import connection_command, load_sealing_key
from shared.contracts.subjects import CONNECTIONS_BUCKET
from shared.contracts.template import Template, check
from shared.security.sealing import KeyRing, SealingKey
from tests.e2e.conftest import allowing
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.stack import DIBOP, Stack

pytestmark = pytest.mark.timeout(240)

SLUG: Final = "keyed"
SECRET: Final = "a-key-of-some-length"
STEPS: Final = ("new key", "executors", "active key", "public key", "resealed")
SEALED_COLUMNS: Final = {
    "connections": ("kid", "token_kid"),
    "test_credentials": ("kid",),
}


def keyed(url: str) -> dict[str, Any]:
    return {
        "name": "Keyed",
        "slug": SLUG,
        "type": "General",
        "description": "Takes a key, and tells what came.",
        "base_url": url,
        "auth_type": "api_key",
        "credential_schema": {"api_key": {"label": "API key", "type": "password", "required": True, "sensitive": True}},
        "header_name": "X-Api-Key",
        "resilience": {"rate_limit_per_minute": 0},
        "operations": [
            {
                "operation": "run",
                "description": "Answer at once.",
                "method": "GET",
                "path": "/json",
                "parameters": [],
                "response_schema": {},
            }
        ],
    }


@pytest.fixture(scope="module")
def keyed_stack(tmp_path_factory: pytest.TempPathFactory, fault_url: str) -> Iterator[Stack]:
    """Two workers, and a connector with a connection. Each test leaves it with one key, and in one piece."""
    stack = Stack(tmp_path_factory.mktemp("keyed"), environment=allowing(fault_url)).up()
    stack.publish(keyed(fault_url), directory=tmp_path_factory.mktemp("files"), credentials={"api_key": SECRET})
    yield stack
    stack.down()


def ring_of(stack: Stack) -> KeyRing:
    return KeyRing.load(Home(stack.home).key_ring_file)


async def connect(client: Client, url: str, names: list[str]) -> None:
    """Connections of these names, each with a key of its own."""
    template = check(keyed(url)).template
    assert isinstance(template, Template)
    key = load_sealing_key(client.context.seal_key_file)
    for name in names:
        command = connection_command(
            template,
            {"api_key": f"{SECRET}-{name}"},
            key,
            enterprise=client.enterprise,
            owner="platform",
            name=name,
            policy="^1",
        )
        await Registry(client, client.enterprise).create_connection(command)


async def run_dibop(stack: Stack, *arguments: str) -> dict[str, Any]:
    """A command beside the load; what it printed."""
    done = await asyncio.to_thread(stack.run, *arguments, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def everything_works(client: Client, names: list[str]) -> None:
    for name in names:
        assert (await client.execute(SLUG, "run", connection=name)).ok


async def sealed_to(stack: Stack, kid: str) -> list[str]:
    """Where something is that is sealed to this key: in the registry's database, in KV, in Redis."""
    found = []
    with closing(sqlite3.connect(stack.home / "data" / "registry.db")) as database:
        for table, columns in SEALED_COLUMNS.items():
            for column in columns:
                rows = database.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (kid,)).fetchone()
                found += [f"{table}.{column}"] * rows[0]
    operator = stack.operator()
    await operator.open(10)
    bucket = await operator.jetstream().key_value(CONNECTIONS_BUCKET)
    found += [f"KV {name}" for name in await bucket.keys() if kid.encode() in (await bucket.get(name)).value]
    await operator.close()
    async with redis.asyncio.Redis.from_url(stack.parts()["redis"]["address"]) as shared:
        async for key in shared.scan_iter():
            value = await shared.get(key) if await shared.type(key) == b"string" else str(await shared.hgetall(key))
            if kid in str(value):
                found.append(f"Redis {key!r}")
    return found


async def test_keys_are_rotated_and_no_request_notices(keyed_stack: Stack, fault_url: str) -> None:
    stack, old = keyed_stack, ring_of(keyed_stack).active
    names = ["default", *(f"c{number}" for number in range(30))]
    async with stack.client() as client, AsyncExitStack() as loads:
        await connect(client, fault_url, names[1:])
        running = [
            await loads.enter_async_context(Load(client, SLUG, "run", {}, 2, connection=name)) for name in names[:4]
        ]
        await eventually(lambda: all(load.succeeded >= 4 for load in running), 30)

        done = await run_dibop(stack, "keys", "rotate")

        before = [load.succeeded for load in running]
        await eventually(lambda: all(load.succeeded >= n + 4 for load, n in zip(running, before, strict=True)), 30)
        await loads.aclose()
        assert [load.failed for load in running] == [[]] * len(running)
        assert (done["previous"], done["failed"], done["left"]) == (old, [], [])
        assert done["resealed"] == len(await Registry(client, client.enterprise).connections(SLUG))
        assert done["retired"] == [old]
        await everything_works(client, names)
        assert await sealed_to(stack, old) == []

    assert list(ring_of(stack).keys) == [done["active"]]
    assert SealingKey.load(Home(stack.home).seal_key_file).kid == done["active"]
    told = {entry["action"] for entry in stack.json("audit", "list", "--owner", "platform")["entries"]}
    assert {"keys.rotate", "keys.retire"} <= told


async def test_credentials_are_rotated_and_no_request_notices(
    keyed_stack: Stack, fault_url: str, tmp_path: Path
) -> None:
    secrets = tmp_path / "new.json"
    secrets.write_text(json.dumps({"api_key": "another-key-of-some-length"}))
    async with keyed_stack.client() as client, Load(client, SLUG, "run", {}, 4) as load:
        await eventually(lambda: load.succeeded >= 8, 30)

        shown = await run_dibop(keyed_stack, "connection", "rotate", SLUG, "--credentials-file", str(secrets))

        async with httpx.AsyncClient(base_url=fault_url) as upstream:
            (await upstream.delete("/__log")).raise_for_status()
            before = load.succeeded
            await eventually(lambda: load.succeeded >= before + 20, 30)
            arrivals = (await upstream.get("/__log")).json()

    assert load.failed == []
    assert (shown["rotated_by"], shown["fields"]) == ("local-admin", {"api_key": "••••ngth"})
    keys = [header_of(arrival, "x-api-key") for arrival in arrivals if arrival["path"] == "/json"]
    assert set(keys[8:]) == {"another-key-of-some-length"}
    shown = keyed_stack.json("connection", "show", SLUG)
    assert shown["rotated_at"] is not None
    assert "rotated" in keyed_stack.run("connection", "show", SLUG).stdout

    def audited() -> list[tuple[str, str]]:
        entries = keyed_stack.json("audit", "list", "--noun", "connection", "--id", f"{SLUG}.default")["entries"]
        return [(entry["action"], entry["actor"]) for entry in entries]

    def uses() -> bool:
        return sum(action == "connection.use" for action, _ in audited()) >= 2

    await eventually(uses, 30, what="each use of other credentials is told")
    assert {"connection.create", "connection.rotate"} <= {action for action, _ in audited()}
    assert {actor for action, actor in audited() if action == "connection.use"} <= {
        "executor executor-1",
        "executor executor-2",
    }


def header_of(arrival: dict[str, Any], name: str) -> str | None:
    headers: Any = arrival["headers"]
    pairs = headers.items() if isinstance(headers, dict) else headers
    return next((value for key, value in pairs if key.lower() == name), None)


def killed_at(stack: Stack, step: str) -> bool:
    """Rotate keys, and kill the command (SIGKILL) as soon as it has told of this step; False where it never did."""
    with subprocess.Popen(
        [DIBOP, "keys", "rotate"],
        env={**os.environ, "DIBOP_HOME": str(stack.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stderr is not None
        for line in command.stderr:
            if line.strip().startswith(step):
                command.send_signal(signal.SIGKILL)
                return True
    return False


async def test_a_rotation_that_is_killed_anywhere_goes_on_when_it_is_repeated(
    keyed_stack: Stack, fault_url: str
) -> None:
    stack = keyed_stack
    names = ["default", *(f"k{number}" for number in range(10))]
    async with stack.client() as client:
        await connect(client, fault_url, names[1:])
        for step in STEPS:
            before = ring_of(stack).active

            assert await asyncio.to_thread(killed_at, stack, step), step

            await everything_works(client, names)
            done = await run_dibop(stack, "keys", "rotate")
            assert list(ring_of(stack).keys) == [done["active"]], step
            assert done["active"] != before, step
            assert SealingKey.load(Home(stack.home).seal_key_file).kid == done["active"], step
            await everything_works(client, names)
            assert await sealed_to(stack, before) == [], step


async def test_a_rotation_outlives_the_registry_and_a_worker(keyed_stack: Stack, fault_url: str) -> None:
    stack, old = keyed_stack, ring_of(keyed_stack).active
    names = [f"w{number}" for number in range(250)]
    async with stack.client() as client:
        await connect(client, fault_url, names)
        rotating = asyncio.create_task(run_dibop(stack, "keys", "rotate"))
        await eventually(lambda: ring_of(stack).active != old, 60, what="the new key is the active one")

        killed = {part: stack.kill(part) for part in ("executor-1", "registry")}

        done = await rotating
        assert (done["failed"], done["left"], done["retired"]) == ([], [], [old])
        for part, pid in killed.items():
            await stack.restarted(part, pid)
        await everything_works(client, [names[0], names[-1]])
        assert await sealed_to(stack, old) == []


async def test_a_key_in_use_is_not_retired(keyed_stack: Stack) -> None:
    stack, old = keyed_stack, ring_of(keyed_stack).active
    kept = stack.json("keys", "rotate", "--keep-old")
    assert (kept["active"], kept["retired"]) != (old, [old])
    assert "seal to" in stack.run("keys", "retire", kept["active"], expect=1).stderr
    public = Home(stack.home).seal_key_file
    present = public.read_text()
    public.write_text(SealingKey(old, ring_of(stack).keys[old].public_key()).dump())  # somebody has the old key still
    secrets = stack.home / "late.json"
    secrets.write_text(json.dumps({"api_key": "sealed-to-the-old-key"}))
    stack.run("connection", "create", SLUG, "--name", "late", "--credentials-file", str(secrets))
    public.write_text(present)

    refused = stack.run("keys", "retire", old, expect=1)

    assert "1 connections" in refused.stderr
    assert f"local.{SLUG}.late" in refused.stderr
    rows = {row["kid"]: row for row in stack.json("keys", "list")}
    assert (rows[old]["state"], rows[old]["connections"], rows[old]["executors"]) == ("retired", 1, 2)
    assert stack.json("exec", SLUG, "run", "--connection", "late")["status_code"] == 200
    assert stack.json("keys", "rotate")["retired"] == [old]
    assert stack.json("exec", SLUG, "run", "--connection", "late")["status_code"] == 200
