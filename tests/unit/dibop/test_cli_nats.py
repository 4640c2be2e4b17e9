"""`dibop nats`: what it writes, prints and refuses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dibop.cli.nats import app
from dibop.errors import NatsKeysError
from shared.messaging.access.tokens import claims_of, token_in


def run(*arguments: str | Path, expect: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if isinstance(done.exception, NatsKeysError):
        raise done.exception
    assert done.exit_code == expect, done.output
    return done.output


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    run("init", tmp_path / "keys")
    return tmp_path / "keys"


def rights(file: Path) -> dict[str, list[str]]:
    about = claims_of(token_in(file.read_text()))["nats"]
    return {"publish": about["pub"]["allow"], "subscribe": about["sub"]["allow"]}


def test_init_makes_a_user_for_every_service_and_says_how_it_is_used(tmp_path: Path) -> None:
    said = run("init", tmp_path / "keys")

    for service in ("registry", "publisher", "executor", "console", "operator"):
        assert (tmp_path / "keys" / f"{service}.creds").is_file()
        assert f"DIBOP_NATS_INBOX_PREFIX=_INBOX.svc.{service}" in said


def test_a_clients_file_is_its_own_and_narrowed_as_asked(keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "acme.creds"

    run(
        "add-client", "acme", "--keys", keys, "--only", "crm", "--only", "weather.get", "--consumer", "c", "--out", file
    )

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {"exec.v1.acme.crm.>", "exec.v1.acme.weather.get", "$JS.ACK.EVENTS.acme:c.>"} <= set(rights(file)["publish"])
    assert "exec.v1.acme.>" not in rights(file)["publish"]
    assert "_INBOX.acme.client.>" in rights(file)["subscribe"]


def test_programs_are_told_what_a_client_needs(keys: Path, tmp_path: Path) -> None:
    said = run("add-client", "acme", "--name", "one", "--keys", keys, "--out", tmp_path / "acme.creds", "--json")

    assert json.loads(said[: said.rindex("}") + 1]) == {
        "user": "one",
        "nats_creds": str(tmp_path / "acme.creds"),
        "nats_inbox_prefix": "_INBOX.acme.one",
    }


def test_another_service_of_the_platform_tells_events_of_its_sources(keys: Path, tmp_path: Path) -> None:
    run("add-service", "sync", "--source", "crm", "--keys", keys, "--out", tmp_path / "sync.creds")

    assert rights(tmp_path / "sync.creds") == {
        "publish": ["evt.v1.*.ext.crm.>", "evt.v1.platform.enterprise.>"],
        "subscribe": ["_INBOX.svc.sync.>"],
    }


def test_the_configuration_names_accounts_limits_and_tls(keys: Path) -> None:
    said = run("config", "--keys", keys, "--tls-cert", "a.crt", "--tls-key", "a.key", "--tls-client-ca", "ca.crt")

    for line in (
        "max_payload: 2097152",
        "max_control_line: 16384",
        'cert_file: "a.crt"',
        "verify: true",
        "resolver: MEMORY",
        "127.0.0.1:4222",
    ):
        assert line in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["add-client", "svc"],
        ["add-client", "Acme"],
        ["add-client", "a.b"],
    ],
)
def test_names_that_cannot_be_used_are_refused(keys: Path, tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(NatsKeysError, match="cannot be an enterprise"):
        run(*arguments, "--keys", keys, "--out", tmp_path / "x.creds")
    assert not (tmp_path / "x.creds").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["add-client", "acme", "--name", "a.b"],
        ["add-client", "acme", "--only", ">"],
        ["add-client", "acme", "--only", "crm.*"],
        ["add-client", "acme", "--only", "crm.get.more"],
        ["add-client", "acme", "--consumer", "*"],
        ["add-service", "x", "--source", "*"],
        ["add-service", "registry"],
    ],
)
def test_no_wildcard_and_no_service_of_ours_gets_into_a_users_rights(
    keys: Path, tmp_path: Path, arguments: list[str]
) -> None:
    run(*arguments, "--keys", keys, "--out", tmp_path / "x.creds", expect=2)

    assert not (tmp_path / "x.creds").exists()


def test_a_key_without_its_certificate_is_wrong_usage(keys: Path) -> None:
    run("config", "--keys", keys, "--tls-key", "a.key", expect=2)


def test_without_keys_it_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(NatsKeysError, match="dibop nats init"):
        run("add-client", "acme", "--keys", tmp_path, "--out", tmp_path / "x.creds")
