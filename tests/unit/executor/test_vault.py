"""Opening credentials: for the connection and the host that they were sealed for, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trustme

from services.executor.credentials import Vault
from services.executor.domain.plan import ConnectorPlan
from shared.contracts.errors import DibopError
from shared.contracts.execution import SealedCredentials
from shared.contracts.projections import ConnectionEntry, StoredToken
from shared.security.sealing import KeyRing, SealContext, SealUse

Plan = Callable[..., ConnectorPlan]
RING = KeyRing.generate()
ORIGIN = "https://api.example.com:443"


def context(use: SealUse = "connection", **changes: str) -> SealContext:
    facts = {"enterprise": "acme", "owner": "platform", "connector": "shop", "connection": "c-1", "origin": ORIGIN}
    return SealContext(use, **{**facts, **changes})


def entry(sealed: dict[str, str], values: dict[str, str] | None = None, **changes: Any) -> ConnectionEntry:
    made = ConnectionEntry(
        "c-1", "acme", "shop", "platform", "default", 1, "^1", ORIGIN, RING.active, values or {}, sealed
    )
    return msgspec.structs.replace(made, **changes)


def sealed(values: dict[str, str], sealed_for: SealContext | None = None) -> dict[str, str]:
    return RING.sealing_key.seal_all(values, sealed_for or context())


def test_a_connection_opens_into_the_headers_of_its_requests(plan: Plan) -> None:
    target = Vault(RING).target_of(plan(auth_type="api_key"), "d", "acme", entry(sealed({"api_key": "k"})))
    assert target.base == "https://api.example.com/v1"
    assert target.credentials.headers == (("X-API-Key", "k"),)


def test_plain_and_sealed_values_meet(plan: Plan) -> None:
    connection = entry(sealed({"password": "p"}), {"username": "ada"})
    target = Vault(RING).target_of(plan(auth_type="basic"), "d", "acme", connection)
    assert target.credentials.headers == (("Authorization", "Basic YWRhOnA="),)


def test_the_base_url_is_filled_from_values_and_defaults(plan: Plan) -> None:
    schema = {"tenant": {"label": "T"}, "area": {"label": "A", "default": "eu"}}
    connector = plan(base_url="https://{tenant}.example.com/{area}/", auth_type="none", credential_schema=schema)
    assert Vault(None).target_of(connector, "d", "acme", entry({}, {"tenant": "acme"})).base == (
        "https://acme.example.com/eu"
    )


def test_values_are_opened_once_for_each_state_of_a_connection(plan: Plan) -> None:
    vault, connector = Vault(RING), plan(auth_type="api_key")
    connection = entry(sealed({"api_key": "old"}))
    first = vault.target_of(connector, "d", "acme", connection)
    assert vault.target_of(connector, "d", "acme", connection) is first
    rotated = msgspec.structs.replace(connection, generation=2, sealed=sealed({"api_key": "new"}))
    assert vault.target_of(connector, "d", "acme", rotated).credentials.headers == (("X-API-Key", "new"),)


def test_what_was_opened_for_a_changed_connection_is_forgotten(plan: Plan) -> None:
    vault, connector = Vault(RING), plan(auth_type="api_key")
    connection = entry(sealed({"api_key": "k"}))
    first = vault.target_of(connector, "d", "acme", connection)
    vault.forget("acme.shop.other")
    assert vault.target_of(connector, "d", "acme", connection) is first
    vault.forget("acme.shop.default")
    assert vault.target_of(connector, "d", "acme", connection) is not first


def test_few_opened_values_are_kept(plan: Plan) -> None:
    vault, connector = Vault(RING, size=2), plan(auth_type="api_key")
    connection = entry(sealed({"api_key": "k"}))
    first = vault.target_of(connector, "d-0", "acme", connection)
    for number in range(1, 3):
        vault.target_of(connector, f"d-{number}", "acme", connection)
    assert vault.target_of(connector, "d-0", "acme", connection) is not first


@pytest.mark.parametrize(
    "changes",
    [
        {"enterprise": "other"},
        {"owner": "acme"},
        {"connector": "weather"},
        {"connection": "c-2"},
        {"origin": "https://evil.example:443"},
        {"use": "test"},
    ],
)
def test_a_value_sealed_for_something_else_does_not_open(plan: Plan, changes: dict[str, Any]) -> None:
    connection = entry(sealed({"api_key": "hunter2"}, context(**changes)))
    with pytest.raises(DibopError, match="cannot be opened") as caught:
        Vault(RING).target_of(plan(auth_type="api_key"), "d", "acme", connection)
    assert caught.value.code == "credentials-rejected"
    assert "hunter2" not in caught.value.detail


def test_credentials_do_not_follow_to_another_host(plan: Plan) -> None:
    connector = plan(auth_type="api_key", base_url="https://moved.example.com")
    with pytest.raises(DibopError, match=r"now goes to https://moved\.example\.com:443") as caught:
        Vault(RING).target_of(connector, "d", "acme", entry(sealed({"api_key": "k"})))
    assert caught.value.code == "credentials-rejected"


@pytest.mark.parametrize(
    ("ring", "changes", "words"),
    [
        (None, {}, "holds no key"),
        (KeyRing.generate(), {}, "does not hold"),
        (RING, {"kid": "seal-unknown"}, "does not hold"),
        (RING, {"sealed": {"api_key": "junk"}}, "cannot be opened"),
        (RING, {"sealed": {}}, "missing or empty"),
    ],
)
def test_what_cannot_be_opened_is_told(plan: Plan, ring: KeyRing | None, changes: dict[str, Any], words: str) -> None:
    connection = msgspec.structs.replace(entry(sealed({"api_key": "k"})), **changes)
    with pytest.raises(DibopError, match=words) as caught:
        Vault(ring).target_of(plan(auth_type="api_key"), "d", "acme", connection)
    assert caught.value.code == "credentials-rejected"


@pytest.mark.parametrize(
    "changes",
    [
        {"auth_type": "api_key"},
        {"base_url": "https://{tenant}.example.com", "credential_schema": {"tenant": {"label": "T"}}},
    ],
)
def test_a_connection_is_asked_for_where_one_is_needed(plan: Plan, changes: dict[str, Any]) -> None:
    with pytest.raises(DibopError) as caught:
        Vault(RING).target_of(plan(**changes), "d", "acme", None)
    assert caught.value.code == "connection-required"


def test_a_connector_without_authentication_needs_none(plan: Plan) -> None:
    assert Vault(None).target_of(plan(), "d", "acme", None).credentials.headers == ()


def test_test_credentials_open_for_tests_alone(plan: Plan) -> None:
    connector = plan(auth_type="api_key")
    values = sealed({"api_key": "k"}, context("test", connection="session"))
    credentials = SealedCredentials("session", ORIGIN, RING.active, {}, values)
    assert Vault(RING).test_target(connector, "acme", "platform", credentials).credentials.headers == (
        ("X-API-Key", "k"),
    )
    with pytest.raises(DibopError):
        Vault(RING).target_of(connector, "d", "acme", entry(values, id="session"))
    with pytest.raises(DibopError):
        Vault(RING).test_target(connector, "acme", "platform", None)


# ---- client certificates ----------------------------------------------------------------------
LEAF = trustme.CA().issue_cert("ada@example.com")
PRESENTED = LEAF.cert_chain_pems[0].bytes().decode()
CLIENT_KEY = LEAF.private_key_pem.bytes().decode()
FIELDS = {"client_certificate": {"label": "Certificate"}, "client_key": {"label": "Key"}}
OPTIONAL = {name: {**field, "required": False} for name, field in FIELDS.items()}


def test_a_client_certificate_goes_beside_any_credential(plan: Plan) -> None:
    connector = plan(auth_type="bearer", credential_schema={"token": {"label": "T"}, **FIELDS})
    connection = entry(sealed({"token": "t", "client_key": CLIENT_KEY}), {"client_certificate": PRESENTED})
    target = Vault(RING).target_of(connector, "d", "acme", connection)
    assert target.credentials.headers == (("Authorization", "Bearer t"),)
    assert target.certificate is not None
    assert target.certificate.chain.decode() == PRESENTED


def test_a_client_certificate_may_be_all_that_a_connection_has(plan: Plan) -> None:
    connector = plan(auth_type="none", credential_schema=FIELDS)
    connection = entry(sealed({"client_key": CLIENT_KEY}), {"client_certificate": PRESENTED})
    target = Vault(RING).target_of(connector, "d", "acme", connection)
    assert target.credentials.headers == ()
    assert target.certificate is not None
    with pytest.raises(DibopError, match="its own address or certificate") as caught:
        Vault(RING).target_of(connector, "d", "acme", None)
    assert caught.value.code == "connection-required"


def test_a_client_certificate_that_is_not_required_may_be_missing(plan: Plan) -> None:
    connector = plan(auth_type="none", credential_schema=OPTIONAL)
    assert Vault(RING).target_of(connector, "d", "acme", None).certificate is None
    assert Vault(RING).target_of(connector, "d", "acme", entry({})).certificate is None


def test_a_client_key_is_opened_for_its_own_origin_alone(plan: Plan) -> None:
    connector = plan(auth_type="none", credential_schema=FIELDS, base_url="https://elsewhere.example.com")
    connection = entry(sealed({"client_key": CLIENT_KEY}), {"client_certificate": PRESENTED})
    with pytest.raises(DibopError, match="now goes to https://elsewhere") as caught:
        Vault(RING).target_of(connector, "d", "acme", connection)
    assert caught.value.code == "credentials-rejected"


def test_a_certificate_without_its_key_is_refused(plan: Plan) -> None:
    connector = plan(auth_type="none", credential_schema=OPTIONAL)
    with pytest.raises(DibopError, match="'client_key' is missing") as caught:
        Vault(RING).target_of(connector, "d", "acme", entry({}, {"client_certificate": PRESENTED}))
    assert caught.value.code == "credentials-rejected"


OAUTH2: dict[str, Any] = {
    "auth_type": "oauth2",
    "grant_type": "authorization_code",
    "token_url": "https://auth.example.com/token",
    "authorization_url": "https://auth.example.com/authorize",
}
TOKEN_ORIGIN = "https://auth.example.com:443"


def oauth_entry(secrets: dict[str, str] | None = None, **changes: Any) -> ConnectionEntry:
    made = sealed(secrets or {"client_secret": "s"}, context(origin=TOKEN_ORIGIN))
    return entry(made, {"client_id": "i"}, **{"origin": TOKEN_ORIGIN, **changes})


def test_with_oauth2_the_client_of_the_token_endpoint_is_opened(plan: Plan) -> None:
    stored = StoredToken(3, RING.active, "sealed")
    target = Vault(RING).target_of(plan(**OAUTH2), "d", "acme", oauth_entry(credentials=2, token=stored))
    assert target.tokens is not None
    assert (target.tokens.client_id, target.tokens.client_secret) == ("i", "s")
    assert (target.tokens.credentials, target.tokens.stored) == (2, stored)
    assert target.tokens.context == context("token", origin=TOKEN_ORIGIN)
    assert (target.base, target.credentials.headers, target.secrets) == ("https://api.example.com/v1", (), ("s",))


def test_with_oauth2_credentials_are_for_the_token_endpoint(plan: Plan) -> None:
    for elsewhere in (ORIGIN, "https://auth.example.com:8443", "http://auth.example.com:80"):
        with pytest.raises(DibopError, match="now goes to https://auth"):
            Vault(RING).target_of(plan(**OAUTH2), "d", "acme", oauth_entry(origin=elsewhere))


def test_with_oauth2_a_test_brings_its_tokens_and_a_connection_does_not(plan: Plan) -> None:
    brought = {"client_secret": "s", "refresh_token": "r", "access_token": "a"}
    given = sealed(brought, context("test", connection="session", origin=TOKEN_ORIGIN))
    credentials = SealedCredentials("session", TOKEN_ORIGIN, RING.active, {"client_id": "i"}, given)
    tokens = Vault(RING).test_target(plan(**OAUTH2), "acme", "platform", credentials).tokens
    assert tokens is not None
    assert tokens.given == {"refresh_token": "r", "access_token": "a"}

    tokens = Vault(RING).target_of(plan(**OAUTH2), "d", "acme", oauth_entry(brought)).tokens
    assert tokens is not None
    assert tokens.given == {}
