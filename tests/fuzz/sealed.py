"""Tokens, seals and certificates: what is forged opens nothing."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from typing import Any, Final

import trustme
from hypothesis import strategies as st

from services.executor.domain.client_certificate import client_certificate_of
from shared.contracts.errors import DibopError
from shared.security.authorization import (
    AuthorizationRefusedError,
    PendingAuthorization,
    Purpose,
    check_callback,
    read_callback,
)
from shared.security.principals import Principal, Role, TokenIssuer, TokenVerifier
from shared.security.principals.keys import PublicKeys
from shared.security.sealing import KeyRing, SealContext
from tests.fuzz.contracts import only_the_catalogue
from tests.fuzz.driver import Target
from tests.fuzz.inputs import any_json, changed, mutated, nasty_text

ISSUER: Final = TokenIssuer.generate()
TOKEN: Final = ISSUER.issue("ada", "acme", [Role.ENTERPRISE_ADMIN], lifetime_seconds=3600)
RING: Final = KeyRing.generate()
CONTEXT: Final = SealContext(
    "connection", "acme", "platform", "weather", "id-1", "https://api.example.com:443", "api_key"
)
VALUE: Final = "correct-horse-battery"
SEALED: Final = RING.sealing_key.seal(VALUE, CONTEXT)
_HELD: Final = PublicKeys.read(json.loads(ISSUER.dump_public()))


class _Keys:
    """Keys that are at hand and never change."""

    ready = True

    def find(self, kid: str | None, key_type: str) -> Any:
        return _HELD.find(kid, key_type)

    async def renew(self) -> bool:
        return False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


VERIFIER: Final = TokenVerifier(_Keys())


def token(data: bytes) -> None:
    """A token that was tampered with says nothing else than the one that was signed."""
    text = data.decode("latin-1")
    try:
        principal = VERIFIER.verify(f"Bearer {text}")
    except DibopError as error:
        assert error.code == "unauthenticated"
        assert text[:40] not in error.detail or len(text) < 10
        only_the_catalogue(error)
        return
    assert principal == Principal("ada", "acme", frozenset({Role.ENTERPRISE_ADMIN}))


def claims(given: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """What stands in a token that nobody has signed is not believed."""
    header, body = given
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode("utf-8", "surrogatepass")).rstrip(b"=").decode()
        for part in (header, body)
    ]
    with contextlib.suppress(DibopError):
        VERIFIER.verify(f"Bearer {'.'.join(parts)}.{TOKEN.rpartition('.')[2]}")
        raise AssertionError("a forged token was taken")


def key_set(document: Any) -> None:
    with contextlib.suppress(ValueError):
        PublicKeys.read(document)


def sealed(given: tuple[bytes, dict[str, str], str]) -> None:
    """A value opens unharmed and in its own place, or not at all."""
    data, differing, kid = given
    context = replace(CONTEXT, **differing)  # type: ignore[arg-type]  # its `use` is none of those that differ
    try:
        opened = RING.open(data.decode("latin-1"), context, kid)
    except DibopError as error:
        assert error.code == "credentials-rejected"
        only_the_catalogue(error)
        return
    assert (opened, context, kid) == (VALUE, CONTEXT, RING.active)
    assert base64.b64decode(data) == base64.b64decode(SEALED)


def certificate(given: tuple[bytes, bytes]) -> None:
    """A pair that fits, or a refusal that holds nothing of the key."""
    chain, key = (data.decode("latin-1") for data in given)
    try:
        found = client_certificate_of({"client_certificate": chain, "client_key": key})
    except DibopError as error:
        assert error.code == "credentials-rejected"
        assert _KEY_LINE not in str(error)
        only_the_catalogue(error)
        return
    assert found is None or _KEY_LINE not in repr(found)


def callback(query: bytes) -> None:
    """A callback with another state is nobody's; with the right one it is read, or refused in a sentence."""
    try:
        read = read_callback(query.decode("latin-1"))
        code = check_callback(PENDING, read, purpose=PENDING.purpose, redirect_uri=PENDING.redirect_uri, now=1.0)
    except AuthorizationRefusedError as error:
        assert str(error)
        assert len(str(error)) < 2000
        return
    assert code.isascii()
    assert read.state == PENDING.state


_LEAF: Final = trustme.CA().issue_cert("ada@example.com")
_CHAIN: Final = _LEAF.cert_chain_pems[0].bytes()
_PRIVATE: Final = _LEAF.private_key_pem.bytes()
_KEY_LINE: Final = _PRIVATE.decode().splitlines()[2]
PENDING: Final = PendingAuthorization(
    Purpose("kim", "acme", "platform", "crm", "id-1"),
    "http://127.0.0.1:8765/callback",
    "https://login.example.com:443",
    600.0,
    state="s" * 43,
    verifier="v" * 64,
)
_CALLBACKS: Final = [
    f"code=abc&state={PENDING.state}&iss=https%3A%2F%2Flogin.example.com".encode(),
    f"error=access_denied&error_description=no&state={PENDING.state}".encode(),
    b"state=x&state=y",
]
_HEADERS: Final = st.fixed_dictionaries(
    {"alg": st.sampled_from(["none", "HS256", "Ed25519", "EdDSA", "RS256"]) | any_json},
    optional=dict.fromkeys(("kid", "typ", "jwk", "jku", "x5c", "crit", "b64", "zip"), any_json),
)
_CLAIMS: Final = st.fixed_dictionaries(
    {"sub": st.just("eve") | any_json, "enterprise": st.just("acme") | any_json},
    optional=dict.fromkeys(("iss", "aud", "exp", "nbf", "iat", "roles"), any_json),
)
_PUBLIC: Final = json.loads(ISSUER.dump_public())

TARGETS: Final = (
    Target("token", mutated([TOKEN.encode(), b"a.b.c", b".."]), token),
    Target("claims", st.tuples(_HEADERS, _CLAIMS), claims),
    Target("key set", changed([_PUBLIC]), key_set),
    Target("client certificate", st.tuples(mutated([_CHAIN]), mutated([_PRIVATE])), certificate),
    Target("callback", mutated(_CALLBACKS), callback),
    Target(
        "sealed value",
        st.tuples(
            mutated([SEALED.encode()]),
            st.dictionaries(
                st.sampled_from(["enterprise", "owner", "connector", "origin", "field"]), st.text(max_size=3)
            ),
            st.just(RING.active) | nasty_text,
        ),
        sealed,
    ),
)
