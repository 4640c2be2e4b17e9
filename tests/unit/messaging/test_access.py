"""NATS users: keys, JWTs, credentials and the table of rights, without a server."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dibop.local.binaries import MAX_CONTROL_LINE
from shared.contracts.subjects import event_consumer
from shared.messaging.access import tokens
from shared.messaging.access.authority import RESERVED, Authority, AuthorityError
from shared.messaging.access.nkey import NatsKey
from shared.messaging.access.permissions import (
    SERVICES,
    Grant,
    UserRights,
    enterprise_client,
    platform_service,
)

USERS = [
    *SERVICES.values(),
    enterprise_client("acme", "one", consumers=["billing"], platform_admin=True),
    platform_service("billing", ["crm"]),
]


@pytest.mark.parametrize("rights", USERS, ids=lambda rights: rights.name)
def test_nobody_may_do_everything(rights: UserRights) -> None:
    assert not {">", "*", "$KV.>", "$O.>", "$JS.>"} & set(rights.publishes())
    assert not {">", "*", "_INBOX.>", "_R_.>"} & set(rights.subscribes())
    assert f"{rights.inbox_prefix}.>" in rights.subscribes()


@pytest.mark.parametrize("rights", USERS, ids=lambda rights: rights.name)
def test_each_grant_says_why(rights: UserRights) -> None:
    assert all(grant.why and grant.subjects for grant in (*rights.publish, *rights.subscribe))


@pytest.mark.parametrize("rights", USERS, ids=lambda rights: rights.name)
def test_a_users_token_leaves_room_in_the_line_that_it_travels_in(rights: UserRights) -> None:
    account, user = NatsKey.generate("account"), NatsKey.generate("user")
    assert len(tokens.user_token(account, user.public, rights)) < MAX_CONTROL_LINE / 2


def test_a_clients_rights_name_its_enterprise_alone() -> None:
    rights = enterprise_client("acme", "one")

    assert [subject for subject in rights.publishes() if ".acme." not in subject] == []
    assert {subject for subject in rights.subscribes() if "acme" not in subject} == {
        "evt.v1.platform.connector.*.version_published",
        "evt.v1.platform.connector.*.version_deprecated",
        "evt.v1.platform.connector.*.unpublished",
    }


def test_consumers_of_enterprises_never_share_a_name() -> None:
    assert event_consumer("a-b", "c") != event_consumer("a", "b-c")


def test_a_key_is_its_seed_and_shows_only_its_public_half() -> None:
    key = NatsKey.generate("account")

    assert NatsKey(key.seed).public == key.public
    assert key.public.startswith("A")
    assert key.seed not in repr(key)
    with pytest.raises(ValueError, match="not a NATS seed"):
        NatsKey("SUA")


def test_a_users_token_holds_exactly_its_rights_and_its_accounts_signature() -> None:
    account, user = NatsKey.generate("account"), NatsKey.generate("user")
    rights = UserRights("u", "", "_INBOX.u", (Grant("a", ("x", "x", "y")),))

    claims = tokens.claims_of(tokens.user_token(account, user.public, rights, valid_days=2))

    assert (claims["iss"], claims["sub"], claims["name"]) == (account.public, user.public, "u")
    assert claims["nats"]["pub"] == {"allow": ["x", "y"]}
    assert claims["nats"]["sub"] == {"allow": ["_INBOX.u.>"]}
    assert claims["exp"] - claims["iat"] == 2 * 86_400
    assert "resp" not in claims["nats"]


@pytest.mark.parametrize("text", ["", "a.b", "a.!.c", "a.e30"])
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a NATS"):
        tokens.claims_of(text)
    with pytest.raises(ValueError, match="not a NATS"):
        tokens.token_in(text)


def test_an_authority_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = Authority.ensure(tmp_path / "nats")
    assert first.add_enterprise("acme")

    second = Authority.ensure(tmp_path / "nats")

    assert not second.add_enterprise("acme")
    assert second.enterprises == ["acme"]
    files = [file for file in (tmp_path / "nats").rglob("*") if file.is_file()]
    assert len(files) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "nats").stat().st_mode) == 0o700


def test_a_servers_operator_stays_the_same_so_that_it_can_be_reloaded(tmp_path: Path) -> None:
    first = Authority.ensure(tmp_path).server_config().splitlines()[0]

    assert first.startswith("operator: ey")
    assert Authority.ensure(tmp_path).server_config().splitlines()[0] == first


def test_no_seed_reaches_the_servers_configuration(tmp_path: Path) -> None:
    authority = Authority.ensure(tmp_path)
    authority.add_enterprise("acme")

    config = authority.server_config()

    assert config.count("\n  A") == 4
    assert not [file for file in tmp_path.rglob("*.seed") if file.read_text().strip() in config]


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Acme", "a.b", "", "*", ">"])
def test_some_names_are_no_enterprise(tmp_path: Path, name: str) -> None:
    authority = Authority.ensure(tmp_path)

    with pytest.raises(AuthorityError, match="cannot be an enterprise"):
        authority.add_enterprise(name)
    assert authority.enterprises == []


def test_a_client_needs_an_account(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="no account yet"):
        Authority.ensure(tmp_path).enterprise_credentials("acme", enterprise_client("acme", "one"))


def test_credentials_are_kept_while_account_and_rights_are_the_same(tmp_path: Path) -> None:
    authority, rights = Authority.ensure(tmp_path / "a"), SERVICES["registry"]
    files = authority.keep_service_users()
    made = {name: file.read_text() for name, file in files.items()}

    assert {name: file.read_text() for name, file in authority.keep_service_users().items()} == made
    assert authority.is_current("dibop", rights, files["registry"])
    assert not authority.is_current("dibop", SERVICES["publisher"], files["registry"])
    assert not authority.is_current("dibop", rights, tmp_path / "missing")
    assert not Authority.ensure(tmp_path / "b").is_current("dibop", rights, files["registry"])


@pytest.mark.parametrize(("days", "kept"), [(3, False), (30, True)])
def test_credentials_that_end_within_a_week_are_made_anew(tmp_path: Path, days: int, kept: bool) -> None:
    authority = Authority.ensure(tmp_path)
    before = authority.keep_service_users(valid_days=days)["registry"].read_text()

    assert (authority.keep_service_users(valid_days=90)["registry"].read_text() == before) is kept


@pytest.mark.parametrize("damage", ["", "SOABC"])
def test_a_damaged_key_is_told_with_its_file(tmp_path: Path, damage: str) -> None:
    Authority.ensure(tmp_path)
    (tmp_path / "operator.seed").write_text(damage)

    with pytest.raises(AuthorityError, match=r"operator\.seed"):
        Authority.ensure(tmp_path)


def test_a_lost_operator_is_not_replaced_in_silence(tmp_path: Path) -> None:
    Authority.ensure(tmp_path)
    (tmp_path / "operator.seed").unlink()

    with pytest.raises(AuthorityError, match="Restore it"):
        Authority.ensure(tmp_path)
