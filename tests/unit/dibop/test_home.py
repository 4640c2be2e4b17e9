"""A home: its ports, its lock, and the state that others read."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dibop.errors import LocalStackError
from dibop.local import keys, ports
from dibop.local.home import Home, HomeLock, PartState, StackState
from dibop.local.processes import ProcessId


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of(tmp_path / "home")
    made.prepare()
    return made


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((ports.HOST, 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_ports_are_kept_for_the_next_start(home: Home) -> None:
    first = ports.assign(home)

    assert set(first) == {"nats", "redis", "demo-weather", "console"}
    assert len(set(first.values())) == 4
    assert ports.assign(home) == first


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(home: Home, taken: int) -> None:
    home.ports_file.write_text(json.dumps({"nats": taken}))

    assert ports.assign(home)["nats"] != taken


def test_the_demo_keeps_its_port_once_it_is_published(home: Home, taken: int) -> None:
    home.ports_file.write_text(json.dumps({"demo-weather": taken}))
    home.demo_marker.touch()

    with pytest.raises(LocalStackError, match=f"Port {taken} is taken"):
        ports.assign(home)


@pytest.mark.parametrize("text", ["", "[]", '{"nats": "x"}'])
def test_a_damaged_memory_of_ports_is_no_memory(home: Home, text: str) -> None:
    home.ports_file.write_text(text)

    assert len(ports.assign(home)) == 4


def test_one_stack_has_a_home_and_the_next_is_told_whose_it_is(home: Home) -> None:
    state = StackState(ProcessId.own(), "1", ready=True, since=time.time())
    with HomeLock(home):
        state.write(home)
        with pytest.raises(LocalStackError, match=f"process {os.getpid()}") as caught, HomeLock(home):
            pass

    assert "dibop down" in caught.value.detail
    with HomeLock(home):
        pass


def test_leaving_a_home_takes_the_state_away(home: Home) -> None:
    with HomeLock(home):
        StackState(ProcessId.own(), "1", ready=True, since=1.0).write(home)

    assert StackState.read(home) is None
    assert StackState.left_behind(home) is None


def test_the_state_is_read_as_it_was_written(home: Home) -> None:
    part = PartState("nats", "running", "nats://127.0.0.1:1", ProcessId.own(), 1.5, 2)
    state = StackState(ProcessId.own(), "1", ready=True, since=1.0, parts=[part, PartState("redis", "starting")])

    state.write(home)

    assert StackState.read(home) == state


def test_a_process_number_that_was_given_out_again_is_not_believed(home: Home) -> None:
    own = ProcessId.own()
    other = replace(own, started=own.started + 1)
    StackState(other, "1", ready=True, since=1.0).write(home)

    assert own.alive
    assert not other.alive
    assert StackState.read(home) is None
    assert StackState.left_behind(home) is not None


def test_keys_and_tokens_are_made_once_and_private_ones_are_private(home: Home) -> None:
    keys.ensure(home)
    private = [home.signing_key_file, home.key_ring_file, home.demo_key_file, home.token_file(keys.ADMIN)]
    before = [path.read_text() for path in private]

    keys.ensure(home)

    assert [path.read_text() for path in private] == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert "private" not in home.seal_key_file.read_text()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_a_damaged_key_is_refused_and_none_of_it_is_shown(home: Home) -> None:
    keys.ensure(home)
    home.key_ring_file.write_text('{"active": "planted-secret"}')

    with pytest.raises(LocalStackError, match=r"sealing-ring\.json") as caught:
        keys.ensure(home)

    assert "planted-secret" not in caught.value.detail


def test_a_database_elsewhere_is_named_by_the_services_own_variable(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.database_url("registry") == f"sqlite+aiosqlite:///{home.data}/registry.db"

    monkeypatch.setenv("DIBOP_REGISTRY_DATABASE_URL", "postgresql+asyncpg://db/registry")

    assert home.database_url("registry") == "postgresql+asyncpg://db/registry"
    assert home.database_url("publisher").startswith("sqlite")
