"""Tokens and roles."""

import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey

from shared.contracts.errors import DibopError
from shared.security.principals import ALLOWED, Action, Principal, Role, TokenIssuer, TokenVerifier, authorise


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer.generate()


@pytest.fixture(scope="module")
def verifier(issuer: TokenIssuer) -> TokenVerifier:
    return TokenVerifier(KeySet.import_key_set(json.loads(issuer.dump_public())))


def test_a_token_names_its_principal(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    token = issuer.issue("ann", "acme", [Role.VIEWER, Role.ENTERPRISE_ADMIN], lifetime_seconds=60)

    assert verifier.verify(f"Bearer {token}") == Principal(
        "ann", "acme", frozenset({Role.VIEWER, Role.ENTERPRISE_ADMIN})
    )


def test_the_public_key_set_holds_no_private_key(issuer: TokenIssuer) -> None:
    assert "d" not in json.loads(issuer.dump_public())["keys"][0]


def test_keys_survive_their_files(issuer: TokenIssuer, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(issuer.dump())
    (tmp_path / "jwks.json").write_text(issuer.dump_public())

    token = TokenIssuer.load(tmp_path / "key.json").issue("ann", "acme", [], lifetime_seconds=60)

    assert TokenVerifier.load(tmp_path / "jwks.json").verify(f"bearer {token}").subject == "ann"


def test_a_file_that_is_no_key_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text("{}")
    with pytest.raises(ValueError, match=r"jwks\.json is not a JWK Set"):
        TokenVerifier.load(tmp_path / "jwks.json")


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer ", "Bearer a.b.c"])
def test_no_valid_token_is_unauthenticated(verifier: TokenVerifier, header: str | None) -> None:
    with pytest.raises(DibopError) as caught:
        verifier.verify(header)
    assert caught.value.code == "unauthenticated"


def test_forged_expired_and_foreign_tokens_are_refused(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    public = json.loads(issuer.dump_public())["keys"][0]
    claims = {
        "iss": "dibop", "aud": "dibop-connectors", "sub": "eve", "enterprise": "acme",
        "roles": ["platform_admin"], "exp": 4_000_000_000,
    }  # fmt: skip
    confused = jwt.encode(
        {"alg": "HS256", "kid": public["kid"]}, claims, OctKey.import_key(public["x"]), algorithms=["HS256"]
    )
    forged = [
        issuer.issue("ann", "acme", [], lifetime_seconds=-3600),
        TokenIssuer.generate().issue("eve", "acme", [Role.PLATFORM_ADMIN], lifetime_seconds=60),
        confused,
    ]
    key = OKPKey.import_key(json.loads(issuer.dump()))
    header = {"alg": "Ed25519", "kid": public["kid"]}
    for change in ({"aud": "other"}, {"iss": "other"}, {"sub": None}, {"enterprise": "A.B"}, {"exp": None}):
        changed = {k: v for k, v in {**claims, **change}.items() if v is not None}
        forged.append(jwt.encode(header, changed, key, algorithms=["Ed25519"]))

    for token in forged:
        with pytest.raises(DibopError) as caught:
            verifier.verify(f"Bearer {token}")
        assert caught.value.code == "unauthenticated"
        assert token not in str(caught.value)


def person(*roles: Role, enterprise: str = "acme") -> Principal:
    return Principal("ann", enterprise, frozenset(roles))


@pytest.mark.parametrize(
    ("principal", "action", "enterprise", "allowed"),
    [
        (person(Role.PLATFORM_ADMIN), Action.EDIT_DRAFT, "platform", True),
        (person(Role.PLATFORM_ADMIN), Action.EDIT_DRAFT, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.READ, "globex", True),
        (person(Role.PLATFORM_ADMIN), Action.MANAGE_CONNECTIONS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "acme", True),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "platform", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EDIT_DRAFT, "globex", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.PUBLISH, "acme", True),
        (person(Role.ENTERPRISE_ADMIN), Action.PUBLISH, "acme", False),
        (person(Role.ENTERPRISE_ADMIN), Action.MANAGE_CONNECTIONS, "acme", True),
        (person(Role.ENTERPRISE_ADMIN), Action.MANAGE_CONNECTIONS, "globex", False),
        (person(Role.VIEWER), Action.READ, "acme", True),
        (person(Role.VIEWER), Action.READ, "globex", False),
        (person(Role.VIEWER), Action.READ_AUDIT, "acme", False),
        (person(Role.SERVICE), Action.READ, "acme", True),
        (person(Role.PUBLISHER, enterprise="platform"), Action.ADD_VERSION, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.APPEND_AUDIT, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.READ, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.MANAGE_CONNECTIONS, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.APPEND_AUDIT, "acme", False),
        (person(Role.EXECUTOR, enterprise="acme"), Action.STORE_TOKEN, "globex", False),
        (person(Role.PUBLISHER, enterprise="acme"), Action.READ, "acme", False),
        (person(Role.EXECUTOR, enterprise="platform"), Action.STORE_TOKEN, "acme", True),
        (person(Role.EXECUTOR, enterprise="platform"), Action.RESEAL, "acme", True),
        (person(Role.PUBLISHER, enterprise="platform"), Action.STORE_TOKEN, "acme", False),
        (person(*set(Role) - {Role.EXECUTOR}), Action.STORE_TOKEN, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.ROTATE_KEYS, "platform", True),
        (person(Role.PLATFORM_ADMIN), Action.ROTATE_KEYS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.ROTATE_KEYS, "acme", False),
        (person(Role.ENTERPRISE_ADMIN), Action.EXECUTE, "acme", True),
        (person(Role.ENTERPRISE_ADMIN_SDK), Action.EXECUTE, "acme", True),
        (person(Role.SERVICE), Action.EXECUTE, "acme", True),
        (person(Role.SERVICE), Action.EXECUTE, "globex", False),
        (person(Role.VIEWER), Action.EXECUTE, "acme", False),
        (person(Role.PLATFORM_ADMIN), Action.EXECUTE, "acme", False),
        (person(Role.PLATFORM_ADMIN, enterprise="platform"), Action.EXECUTE, "platform", False),
        (person(Role.PLATFORM_ADMIN, Role.ENTERPRISE_ADMIN_SDK), Action.ADD_VERSION, "acme", False),
        (person(), Action.READ, "acme", False),
        (person(Role.ENTERPRISE_ADMIN_SDK, enterprise="platform"), Action.EDIT_DRAFT, "platform", False),
        (person(Role.VIEWER, enterprise="platform"), Action.READ, "platform", False),
    ],
)
def test_the_role_matrix(principal: Principal, action: Action, enterprise: str, allowed: bool) -> None:
    assert principal.may(action, enterprise) is allowed
    if allowed:
        authorise(principal, action, enterprise)
    else:
        with pytest.raises(DibopError, match="may not") as caught:
            authorise(principal, action, enterprise)
        assert caught.value.code == "forbidden"


def test_every_action_has_a_row() -> None:
    assert set(ALLOWED) == set(Action)
