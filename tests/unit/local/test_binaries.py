"""The local servers' programs and their configuration."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from dibop.local.binaries import MissingProgramError, find_nats_server, find_redis_server, nats_config, redis_argv


def test_the_programs_of_this_environment_are_found() -> None:
    assert find_nats_server().is_file()
    assert find_redis_server().is_file()


def test_a_program_that_is_nowhere_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgramError, match=r"dibop-connectors\[local\]"):
        find_nats_server()


def test_a_program_on_the_path_serves_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nats-server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(program.parent))

    assert find_nats_server() == program


def test_a_store_with_odd_characters_stays_one_value() -> None:
    text = nats_config(port=4222, store=Path('/home/o"brien/my store'))

    assert r'store_dir: "/home/o\"brien/my store"' in text
    assert 'listen: "127.0.0.1:4222"' in text


def test_redis_keeps_nothing_on_disk_and_listens_on_loopback() -> None:
    argv = redis_argv(Path("/bin/redis-server"), port=1, directory=Path("/var/data"))

    assert argv[argv.index("--save") + 1] == ""
    assert argv[argv.index("--bind") + 1] == "127.0.0.1"
