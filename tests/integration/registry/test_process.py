"""The registry as a process of its own: started, killed, started again, ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from services.registry.app import MIGRATIONS
from services.registry.handlers.ports import ConnectionRecord
from services.registry.store import SqlStore
from shared.contracts.clock import utc_now
from shared.contracts.commands import Connection, CreateConnection, Draft, GetDraft
from shared.contracts.subjects import CONNECTIONS_BUCKET
from shared.messaging.connection import BusClient
from shared.persistence.engine import Database
from tests.integration.registry.conftest import REPOSITORY, People, StartRegistry, projected
from tests.support.connectors import connection
from tests.support.tokens import Tokens

HEAD = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))

KEY = "acme.weather.default"


def record(command: CreateConnection) -> ConnectionRecord:
    """The row of a connection whose process died before it projected it."""
    return ConnectionRecord(
        id=command.id,
        enterprise="acme",
        connector=command.connector,
        owner=command.owner,
        name=command.name,
        version_policy=command.version_policy,
        origin=command.origin,
        kid=command.kid,
        values=command.values,
        sealed=command.sealed,
        masked=command.masked,
        created_by="kim",
        created_at=utc_now(),
    )


async def test_it_migrates_serves_and_keeps_its_data_over_a_kill(
    start_registry: StartRegistry, people: People, js: JetStreamContext
) -> None:
    first = start_registry()
    await people.publish(await people.author.save())
    made = await people.admin.ask("connection.create", connection(), Connection)
    first.kill()

    start_registry()

    assert (await people.author.ask("draft.get", GetDraft(slug="weather"), Draft)).revision == 1
    assert (await projected(js, KEY)).id == made.id
    assert (await people.author.save(base_revision=1, description="More.")).revision == 2


async def test_a_start_finishes_what_a_crash_left_half_done(
    start_registry: StartRegistry, people: People, js: JetStreamContext, store: SqlStore
) -> None:
    created, gone = connection(), connection(name="gone")
    async with store.write() as work:
        assert await work.connections.create(record(created))
        assert await work.connections.create(record(gone))
    kv = await js.key_value(CONNECTIONS_BUCKET)
    await kv.put("acme.weather.gone", b"{}")
    async with store.write() as work:
        assert await work.connections.delete(record(gone), at=utc_now(), by="kim")

    start_registry()

    entry = await projected(js, KEY)
    assert (entry.id, entry.sealed) == (created.id, created.sealed)
    with pytest.raises(KeyNotFoundError):
        await projected(js, "acme.weather.gone")
    async with store.read() as work:
        assert await work.connections.unprojected(10) == []


async def test_sigterm_ends_it_in_order(start_registry: StartRegistry, people: People) -> None:
    process = start_registry()
    await people.author.save()

    process.signal(signal.SIGTERM)

    assert process.wait() == 0
    assert "Stopped" in process.output


async def test_one_line_tells_of_each_change_and_none_of_a_secret(
    start_registry: StartRegistry, people: People
) -> None:
    process = start_registry()
    await people.publish(await people.author.save())
    command = connection(values={"account": "planted-account"})
    await people.admin.ask("connection.create", command, Connection)
    await people.admin.refused("connection.create", command.model_copy(update={"name": "other", "sealed": {}}))
    process.stop()

    for change in ("draft saved", "version added", "connection created"):
        (line,) = re.findall(rf'^.*"event": "{change}".*$', process.output, re.MULTILINE)
        assert '"request_id": "r-1"' in line
    for secret in (command.sealed["api_key"], people.admin.token, "planted-account"):
        assert secret not in process.output


async def test_two_registries_share_one_database(
    start_registry: StartRegistry, people: People, js: JetStreamContext, database: Database
) -> None:
    if database.dialect == "sqlite":
        return  # a SQLite file has one owner
    start_registry()
    start_registry()
    await people.publish(await people.author.save())

    for number in range(10):
        await people.admin.ask("connection.create", connection(name=f"n-{number}"), Connection)
        assert (await projected(js, f"acme.weather.n-{number}")).generation == 1


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.registry", *arguments],
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_migrate_migrates_and_says_so(database_url: str) -> None:
    first = run(["migrate"], {"DIBOP_DATABASE_URL": database_url})
    again = run(["migrate"], {"DIBOP_DATABASE_URL": database_url})

    assert (first.returncode, first.stderr) == (0, f"registry: revision none to {HEAD}\n")
    assert (again.returncode, again.stderr) == (0, f"registry: revision {HEAD} to {HEAD}\n")


def test_it_does_not_serve_a_database_that_it_may_not_migrate(database_url: str, tokens: Tokens) -> None:
    ended = run(
        [],
        {
            "DIBOP_DATABASE_URL": database_url,
            "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
            "DIBOP_MIGRATE_AT_START": "false",
        },
    )

    assert ended.returncode == 1
    assert "dibop migrate" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        (["nonsense"], {}, 2, "usage"),
        ([], {"DIBOP_DATABASE_URL": ""}, 1, "database address"),
        ([], {"DIBOP_DATABASE_URL": "mysql://u:planted@h/d"}, 1, "must be sqlite"),
        ([], {"DIBOP_DATABASE_URL": "sqlite+aiosqlite:///{tmp}/a.db"}, 1, "DIBOP_TOKEN_KEY_FILE"),
        ([], {"DIBOP_DATABASE_URL": "sqlite+aiosqlite:///{tmp}/a.db", "DIBOP_DRAIN_SECONDS": "x"}, 1, "DRAIN_SECONDS"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, told: str
) -> None:
    ended = run(arguments, {name: value.format(tmp=tmp_path) for name, value in environment.items()})

    assert ended.returncode == code
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "planted" not in ended.stderr


async def test_it_appears_as_a_micro_service(start_registry: StartRegistry, nc: BusClient) -> None:
    process = start_registry()

    reply = await nc.request("$SRV.INFO.dibop-registry", b"", timeout=5)

    assert f'"pid":"{process.pid}"'.encode() in reply.data.replace(b" ", b"")
