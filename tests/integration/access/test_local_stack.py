"""The users of a local stack: made once, kept, renewed where their rights change, and old homes taken along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibop.bus import Bus
from dibop.context import Context
from dibop.errors import LocalStackError
from dibop.local import nats_users
from dibop.local.binaries import nats_config
from dibop.local.home import Home
from shared.contracts.subjects import CONNECTIONS_BUCKET
from shared.messaging.access import tokens
from shared.messaging.bootstrap import bootstrap, verify
from shared.messaging.connection import connect
from shared.settings import BusSettings
from tests.support.servers import NatsServer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of(tmp_path / "home")
    made.prepare()
    return made


def test_users_are_made_once(home: Home) -> None:
    nats_users.ensure(home)
    before = {file: file.read_text() for file in home.nats_keys.rglob("*") if file.is_file()}

    nats_users.ensure(home)

    assert {file: file.read_text() for file in home.nats_keys.rglob("*") if file.is_file()} == before
    names = {file.stem for file in home.nats_keys.glob("*.creds")}
    assert names == {"registry", "publisher", "executor", "console", "operator", "local"}


def test_a_user_with_other_rights_than_this_versions_is_made_anew(home: Home) -> None:
    authority = nats_users.ensure(home)
    home.nats_creds("registry").write_text(authority.service_credentials("publisher"))
    home.nats_creds("local").write_text("damaged")

    nats_users.ensure(home)

    for name, user in (("registry", "registry"), ("local", "admin")):
        assert tokens.claims_of(tokens.token_in(home.nats_creds(name).read_text()))["name"] == user


def test_a_damaged_key_is_told_and_not_replaced(home: Home) -> None:
    nats_users.ensure(home)
    (home.nats_keys / "accounts" / "dibop.seed").write_text("damaged")

    with pytest.raises(LocalStackError, match=r"dibop\.seed"):
        nats_users.ensure(home)


async def test_what_a_server_without_users_has_stored_is_kept(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "nats"
    plain = NatsServer(store).start()
    client = await connect(BusSettings(nats_url=plain.url), name="before", wait_seconds=10)
    await bootstrap(client.jetstream())
    bucket = await client.jetstream().key_value(CONNECTIONS_BUCKET)
    await bucket.put("local.crm.default", b"{}")
    await client.close()
    plain.stop()

    authority = nats_users.ensure(home)
    nats_users.adopt_streams(store / "jetstream", authority)
    guarded = NatsServer(store, authority.server_config()).start()
    home.context_file.write_text(json.dumps({"nats_url": guarded.url, "enterprise": "local"}))
    bus = Bus(nats_users.operator_context(home, environment={}), name="after")
    await bus.open(10)

    assert await verify(bus.jetstream()) == []
    assert (await (await bus.jetstream().key_value(CONNECTIONS_BUCKET)).get("local.crm.default")).value == b"{}"
    await bus.close()
    guarded.stop()


def test_an_operator_reaches_what_the_environment_names(home: Home) -> None:
    nats_users.ensure(home)
    given = {
        "DIBOP_NATS_URL": "tls://nats:4222",
        "DIBOP_NATS_CREDS": "/run/op.creds",
        "DIBOP_NATS_TLS_CA": "/run/ca.pem",
    }
    local = Context("nats://127.0.0.1:1", "local", nats_creds=home.nats_creds("local"))
    home.context_file.write_text(local.dump())

    assert nats_users.operator_context(home, environment={}).nats_creds == home.nats_creds("operator")
    named = nats_users.operator_context(home, environment=given)
    assert (named.nats_url, named.nats_creds) == ("tls://nats:4222", Path("/run/op.creds"))
    assert (named.nats_tls_ca, named.nats_inbox_prefix) == (Path("/run/ca.pem"), "_INBOX.svc.operator")


def test_the_configuration_of_a_server_holds_no_secret(home: Home) -> None:
    authority = nats_users.ensure(home)

    config = nats_config(port=4222, store=home.nats) + authority.server_config()

    for file in home.nats_keys.rglob("*.seed"):
        assert file.read_text().strip() not in config
