"""Tokens: those that are taken, and every way of not being one."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from shared.contracts.errors import DibopError
from shared.security.principals import Principal, Role, TokenIssuer, TokenRules, TokenVerifier
from shared.security.principals.keys import KeyFile, PublicKeys
from shared.security.principals.rules import read_algorithms
from shared.security.principals.tokens import LEEWAY_SECONDS, MAX_TOKEN_CHARACTERS

KEYS: Mapping[str, Key] = {
    "ed": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    "rsa": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ec": ECKey.generate_key("P-256", {"kid": "ec"}),
}
WIDE = TokenRules(algorithms=frozenset({"Ed25519", "EdDSA", "RS256", "ES256"}))
NARROW = TokenRules()


class FixedKeys:
    """Keys that never change."""

    ready = True

    def __init__(self, *keys: Key, extra: tuple[dict[str, Any], ...] = ()) -> None:
        self.find = PublicKeys.read({"keys": [*(dict(key.as_dict(private=False)) for key in keys), *extra]}).find

    async def renew(self) -> bool:
        return False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(FixedKeys(*KEYS.values()), WIDE)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims with some changed; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": "dibop",
        "aud": "dibop-connectors",
        "sub": "ann",
        "enterprise": "acme",
        "roles": ["viewer"],
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def sign(
    claimed: dict[str, Any], *, key: Key = KEYS["ed"], alg: str = "Ed25519", header: Mapping[str, Any] | None = None
) -> str:
    named = {"alg": alg, "kid": key.kid, **(header or {})}
    return sign_text(json.dumps(claimed), key, json.dumps({name: v for name, v in named.items() if v is not None}))


def sign_text(payload: str, key: Key = KEYS["ed"], header: str = '{"alg":"Ed25519","kid":"ed"}') -> str:
    """A token of exactly these texts, signed well."""
    signed = f"{encode(header)}.{encode(payload)}"
    algorithm = json.loads(header).get("alg")
    signature = JWSRegistry.algorithms[algorithm].sign(signed.encode(), key)
    return f"{signed}.{encode(signature)}"


def encode(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(text.encode() if isinstance(text, str) else text).rstrip(b"=").decode()


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(DibopError) as caught:
        verifier.verify(f"Bearer {token}")
    assert caught.value.code == "unauthenticated"
    if len(token) > 40:
        assert token not in caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize(
    ("name", "alg"), [("ed", "Ed25519"), ("ed", "EdDSA"), ("rsa", "RS256"), ("ec", "ES256")], ids=lambda value: value
)
def test_a_token_names_its_principal(verifier: TokenVerifier, name: str, alg: str) -> None:
    token = sign(claims(roles=["viewer", "enterprise_admin", "of their own"]), key=KEYS[name], alg=alg)

    assert verifier.verify(f"Bearer {token}") == Principal(
        "ann", "acme", frozenset({Role.VIEWER, Role.ENTERPRISE_ADMIN})
    )


@pytest.mark.parametrize(
    "header", [None, "", "Basic abc", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer x", "bearer .."]
)
def test_no_token_is_unauthenticated(verifier: TokenVerifier, header: str | None) -> None:
    with pytest.raises(DibopError) as caught:
        verifier.verify(header)
    assert caught.value.code == "unauthenticated"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other"},
        {"aud": ["other", "another"]},
        {"aud": None},
        {"aud": {"dibop-connectors": True}},
        {"aud": []},
        {"iss": "other"},
        {"iss": None},
        {"iss": ["dibop"]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 257},
        {"sub": "ann\nadmin"},
        {"enterprise": None},
        {"enterprise": "A.B"},
        {"enterprise": "acme.>"},
        {"enterprise": ["acme"]},
        {"exp": None},
        {"exp": "4000000000"},
        {"exp": True},
        {"exp": {"at": 1}},
        {"nbf": "soon"},
    ],
    ids=str,
)
def test_claims_that_are_missing_wrong_or_of_the_wrong_type_are_refused(
    verifier: TokenVerifier, change: dict[str, Any]
) -> None:
    refusal(verifier, sign(claims(**change)))


def test_one_audience_of_several_is_enough(verifier: TokenVerifier) -> None:
    assert verifier.verify(f"Bearer {sign(claims(aud=['other', 'dibop-connectors']))}").subject == "ann"


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"exp": -LEEWAY_SECONDS + 5}, True),
        ({"exp": -LEEWAY_SECONDS - 1}, False),
        ({"exp": -86_400}, False),
        ({"nbf": LEEWAY_SECONDS - 5}, True),
        ({"nbf": LEEWAY_SECONDS + 5}, False),
        ({"iat": LEEWAY_SECONDS - 5}, True),
        ({"iat": LEEWAY_SECONDS + 5}, False),
        ({"iat": -31_536_000}, True),
    ],
    ids=str,
)
def test_clocks_may_differ_by_thirty_seconds(verifier: TokenVerifier, change: dict[str, int], taken: bool) -> None:
    now = int(time.time())
    token = sign(claims(**{name: now + seconds for name, seconds in change.items()}))
    if taken:
        assert verifier.verify(f"Bearer {token}").subject == "ann"
    else:
        refusal(verifier, token)


def public_text_forms(key: Key) -> list[bytes]:
    """What an attacker has of a public key and might make an HMAC key of."""
    assert isinstance(key, OKPKey | RSAKey | ECKey)
    document = key.as_dict(private=False)
    number = str(document["n"] if isinstance(key, RSAKey) else document["x"]).encode()
    return [json.dumps(document).encode(), number, key.as_pem(private=False), key.as_der(private=False)]


@pytest.mark.parametrize("name", list(KEYS))
def test_a_public_key_is_no_hmac_key(verifier: TokenVerifier, name: str) -> None:
    header = encode(json.dumps({"alg": "HS256", "kid": KEYS[name].kid}))
    signed = f"{header}.{encode(json.dumps(claims()))}"
    for secret in public_text_forms(KEYS[name]):
        token = f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}"
        assert "algorithm is not allowed" in refusal(verifier, token)


def test_a_secret_in_the_key_set_verifies_nothing() -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    keys = FixedKeys(KEYS["ed"], extra=(dict(secret.as_dict(private=True)),))
    token = jwt.encode({"alg": "HS256", "kid": "shared"}, claims(), secret, algorithms=["HS256"])
    refusal(TokenVerifier(keys, WIDE), token)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 7, ["Ed25519"]])
def test_unsigned_tokens_are_refused(verifier: TokenVerifier, alg: Any) -> None:
    for kid in ("ed", None):
        header = json.dumps({"alg": alg, "kid": kid} if kid else {"alg": alg})
        for signature in ("", encode("x" * 64)):
            refusal(verifier, f"{encode(header)}.{encode(json.dumps(claims()))}.{signature}")


def test_an_algorithm_that_is_not_listed_is_refused() -> None:
    narrow = TokenVerifier(FixedKeys(*KEYS.values()), NARROW)
    assert "algorithm is not allowed" in refusal(narrow, sign(claims(), key=KEYS["rsa"], alg="RS256"))
    assert narrow.verify(f"Bearer {sign(claims())}").subject == "ann"


def test_a_key_of_another_type_under_the_same_id_is_not_taken(verifier: TokenVerifier) -> None:
    claimed_rsa = f'{{"alg":"RS256","kid":"{KEYS["ed"].kid}"}}'
    token = f"{encode(claimed_rsa)}.{encode(json.dumps(claims()))}.{encode('x' * 256)}"
    assert "not known to have" in refusal(verifier, token)


def test_a_key_for_another_algorithm_is_not_taken() -> None:
    bound = {**KEYS["rsa"].as_dict(private=False), "alg": "RS512"}
    refusal(TokenVerifier(FixedKeys(KEYS["ed"], extra=(bound,)), WIDE), sign(claims(), key=KEYS["rsa"], alg="RS256"))


@pytest.mark.parametrize(
    "extra",
    [
        {**KEYS["rsa"].as_dict(private=False), "use": "enc"},
        {"kty": "RSA", "kid": "rsa"},
        {"kty": "of tomorrow", "kid": "rsa"},
        {"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": encode(b"\xc3" + b"\x51" * 127)},
    ],
    ids=["encryption", "broken", "unknown", "short"],
)
def test_keys_of_no_use_are_left_out(extra: dict[str, Any]) -> None:
    keys = FixedKeys(KEYS["ed"], extra=(extra,))
    assert keys.find("rsa", "RSA") is None
    assert keys.find("ed", "OKP") is not None


def test_a_token_of_another_key_is_refused(verifier: TokenVerifier) -> None:
    stranger = OKPKey.generate_key("Ed25519", {"kid": "stranger"})
    assert "not known to have" in refusal(verifier, sign(claims(), key=stranger))
    posing = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    assert "signature" in refusal(verifier, sign(claims(), key=posing))


def test_a_token_without_key_id_needs_a_set_of_one(verifier: TokenVerifier) -> None:
    token = sign(claims(), header={"kid": None})
    assert TokenVerifier(FixedKeys(KEYS["ed"]), WIDE).verify(f"Bearer {token}").subject == "ann"
    assert "not known to have" in refusal(verifier, token)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"kid": 7},
        {"kid": {"a": 1}},
    ],
    ids=str,
)
def test_tokens_of_other_kinds_and_extensions_are_refused(verifier: TokenVerifier, header: dict[str, Any]) -> None:
    refusal(verifier, sign(claims(), header=header))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"x5t": "abc"}])
def test_what_issuers_write_into_headers_is_taken(verifier: TokenVerifier, header: dict[str, Any]) -> None:
    assert verifier.verify(f"Bearer {sign(claims(), header=header)}").subject == "ann"


def test_a_key_that_a_token_brings_along_counts_for_nothing(verifier: TokenVerifier) -> None:
    own = OKPKey.generate_key("Ed25519")
    brought = {"jwk": own.as_dict(private=False), "jku": "https://evil.example/keys", "kid": "ed"}
    refusal(verifier, sign(claims(), key=own, header=brought))


def test_a_claim_or_header_that_stands_twice_is_refused(verifier: TokenVerifier) -> None:
    text = json.dumps(claims())
    for twice in (text[:-1] + ',"roles":["platform_admin"]}', text[:-1] + ',"address":{"a":1,"a":2}}'):
        assert "payload" in refusal(verifier, sign_text(twice))
    refusal(verifier, sign_text(text, header='{"alg":"Ed25519","kid":"other","kid":"ed"}'))
    refusal(verifier, sign_text(text, header='{"alg":"none","kid":"ed","alg":"Ed25519"}'))


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "null",
        "[]",
        '"ann"',
        "{",
        "\ud83d".encode("utf-8", "replace").decode(),
        '{"exp": Infinity}',
        json.dumps(claims()).replace(str(claims()["exp"]), "Infinity"),
        json.dumps(claims()).replace(str(claims()["exp"]), "NaN"),
        json.dumps(claims()).replace(str(claims()["exp"]), "1e999"),
        json.dumps(claims()).replace(str(claims()["exp"]), "9" * 4000),
        '{"a":' * 1500 + "1" + "}" * 1500,
        "[" * 9000 + "]" * 2000,
    ],
    ids=range(13),
)
def test_payloads_that_are_no_claims_are_refused(verifier: TokenVerifier, payload: str) -> None:
    try:
        verifier.verify(f"Bearer {sign_text(payload)}")
    except DibopError as error:
        assert error.code == "unauthenticated"  # noqa: PT017 - a far future is a time like any other
    else:
        assert "9" * 4000 in payload


def test_a_header_nested_without_end_is_refused(verifier: TokenVerifier) -> None:
    for text in ("[" * 3000, '{"a":' * 500):
        refusal(verifier, f"{encode(text)}.{encode('{}')}.{encode('x')}")


@pytest.mark.parametrize("length", [MAX_TOKEN_CHARACTERS + 1, 10_000_000])
def test_a_huge_token_is_refused_unread(verifier: TokenVerifier, length: int) -> None:
    assert "at most 16,384" in refusal(verifier, "a" * length)


def test_a_token_as_large_as_allowed_is_read(verifier: TokenVerifier) -> None:
    padding = MAX_TOKEN_CHARACTERS * 3 // 4 - 600
    assert verifier.verify(f"Bearer {sign(claims(note='x' * padding))}").subject == "ann"


def test_a_signature_that_is_cut_or_padded_is_refused(verifier: TokenVerifier) -> None:
    token = sign(claims())
    header, payload, signature = token.split(".")
    for broken in (
        token[:-4],
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{token}.{signature}",
        f"{header}..{signature}",
        f"{header}.{encode(json.dumps(claims(roles=['platform_admin'])))}.{signature}",
        token.replace(".", " ", 1),
        token + "ä",
    ):
        refusal(verifier, broken)


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ({"enterprise_claim": "tenant", "roles_claim": "groups"}, {"tenant": "acme", "groups": ["viewer"]}),
        ({"enterprise_claim": "org.id", "roles_claim": "realm_access.roles"},
         {"org": {"id": "acme"}, "realm_access": {"roles": ["viewer", "offline_access"]}}),
        ({"enterprise_claim": "https://dibop.example/org", "roles_claim": "https://dibop.example/roles"},
         {"https://dibop.example/org": "acme", "https://dibop.example/roles": ["viewer"]}),
        ({"enterprise_claim": "tenant", "roles_claim": "scope"}, {"tenant": "acme", "scope": "openid viewer"}),
    ],
    ids=["flat", "nested", "named by address", "as text"],
)  # fmt: skip
def test_claims_may_stand_elsewhere(rules: dict[str, Any], changes: dict[str, Any]) -> None:
    verifier = TokenVerifier(FixedKeys(KEYS["ed"]), TokenRules(**rules))
    token = sign(claims(**{"enterprise": "globex", "roles": ["platform_admin"], **changes}))
    assert verifier.verify(f"Bearer {token}") == Principal("ann", "acme", frozenset({Role.VIEWER}))


@pytest.mark.parametrize("roles", [None, "none of ours", 7, {"viewer": True}, [["viewer"], {"viewer": 1}, None]])
def test_roles_that_are_none_count_for_nothing(verifier: TokenVerifier, roles: Any) -> None:
    assert verifier.verify(f"Bearer {sign(claims(roles=roles))}").roles == frozenset()


@pytest.mark.parametrize("text", ["none", "HS256", "RS256,HS512", "RS256, none", "", " , ", "ES256K"])
def test_algorithms_that_are_not_to_be_had(text: str) -> None:
    with pytest.raises(ValueError, match="Choose of Ed25519"):
        read_algorithms(text)


def test_the_public_key_set_holds_no_private_key() -> None:
    assert "d" not in json.loads(TokenIssuer.generate().dump_public())["keys"][0]


def test_keys_survive_their_files(tmp_path: Path) -> None:
    issuer = TokenIssuer.generate()
    (tmp_path / "key.json").write_text(issuer.dump())
    (tmp_path / "jwks.json").write_text(issuer.dump_public())

    token = TokenIssuer.load(tmp_path / "key.json").issue("ann", "acme", [], lifetime_seconds=60)

    assert TokenVerifier.load(tmp_path / "jwks.json").verify(f"bearer {token}").subject == "ann"


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"keys": []}', '{"keys": 7}', '{"keys": [7]}'])
def test_a_file_that_is_no_key_set_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "jwks.json").write_text(text)
    with pytest.raises(ValueError, match=r"jwks\.json is not a JWK Set"):
        TokenVerifier.load(tmp_path / "jwks.json")


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "new.json").write_text(text)
        return (tmp_path / "new.json").rename(tmp_path / "jwks.json")

    return write


def test_a_key_file_is_read_again_when_it_has_changed(key_file: Callable[[str], Path]) -> None:
    now = 0.0
    old, new = TokenIssuer.generate(), TokenIssuer.generate()
    keys = KeyFile(key_file(old.dump_public()), clock=lambda: now)
    verifier = TokenVerifier(keys)
    key_file(new.dump_public())
    token = new.issue("ann", "acme", [], lifetime_seconds=60)

    assert "not known to have" in refusal(verifier, token)  # it was looked at a moment ago
    now = 2.0
    assert verifier.verify(f"Bearer {token}").subject == "ann"
    assert "not known to have" in refusal(verifier, old.issue("ann", "acme", [], lifetime_seconds=60))

    key_file("half of a fi")
    now = 4.0
    refusal(verifier, old.issue("ann", "acme", [], lifetime_seconds=60))
    assert verifier.verify(f"Bearer {token}").subject == "ann"
