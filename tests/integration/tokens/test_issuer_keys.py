"""The keys of an OIDC issuer: fetched, rotated, kept while it is away, and asked for no more often than is polite."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from shared.contracts.errors import DibopError
from shared.security.principals import Role, TokenRules, TokenVerifier
from shared.security.principals.jwks import RENEW_PAUSE_SECONDS, IssuerKeys
from shared.security.principals.setup import required_verifier, token_verifier
from shared.settings import TokenSettings
from tests.support.jwks_server import JwksServer
from tests.support.polling import eventually
from tests.support.tokens import Tokens

AUDIENCE = "https://dibop.example"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def issuer() -> AsyncIterator[JwksServer]:
    async with JwksServer([RSAKey.generate_key(2048, {"kid": "first"})]) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start(issuer: JwksServer, clock: Clock) -> AsyncIterator[Callable[..., Any]]:
    """`await start(…)`: a verifier with the issuer's keys, fetched by discovery unless `url` says otherwise."""
    started: list[IssuerKeys] = []

    async def make(**settings: Any) -> TokenVerifier:
        keys = IssuerKeys(issuer.address, **{"clock": clock, **settings})
        started.append(keys)
        await keys.start()
        rules = TokenRules(issuer.address, AUDIENCE, frozenset({"RS256", "ES256"}), "org", "groups")
        return TokenVerifier(keys, rules)

    yield make
    for keys in started:
        await keys.stop()


def signed(issuer: JwksServer, key: Key, **changes: Any) -> str:
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    claims = {
        "iss": issuer.address, "aud": AUDIENCE, "sub": "ann", "org": "acme", "groups": ["viewer"],
        "exp": int(time.time()) + 60, **changes,
    }  # fmt: skip
    return "Bearer " + jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])


async def refused(verifier: TokenVerifier, authorization: str) -> DibopError:
    with pytest.raises(DibopError) as caught:
        await verifier.verified(authorization)
    return caught.value


async def test_the_issuer_says_where_its_keys_are(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start()
    principal = verifier.verify(signed(issuer, issuer.keys[0]))

    assert (principal.subject, principal.enterprise, principal.roles) == ("ann", "acme", {Role.VIEWER})
    assert (issuer.discovered, issuer.asked) == (1, 1)


async def test_keys_are_cached(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start(url=issuer.keys_url)
    for _ in range(50):
        await verifier.verified(signed(issuer, issuer.keys[0]))
    assert (issuer.discovered, issuer.asked) == (0, 1)


async def test_a_new_key_is_fetched_when_its_first_token_comes(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start()
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "second"}))
    token = signed(issuer, issuer.keys[1])

    with pytest.raises(DibopError):
        verifier.verify(token)  # what is at hand does not do
    answers = await asyncio.gather(*(verifier.verified(token) for _ in range(10)))

    assert {answer.subject for answer in answers} == {"ann"}
    assert issuer.asked == 2


async def test_a_withdrawn_key_is_forgotten_with_the_next_fetch(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start(refresh_seconds=0.05)
    old = issuer.keys[0]
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "second"})]
    await eventually(lambda: verifier.keys.find("second", "EC") is not None)

    assert (await refused(verifier, signed(issuer, old))).code == "unauthenticated"


async def test_garbage_has_the_issuer_asked_once_in_a_while_alone(
    issuer: JwksServer, start: Callable[..., Any], clock: Clock
) -> None:
    verifier = await start()
    stranger = RSAKey.generate_key(2048, {"kid": "made up"})
    for _ in range(3):
        await asyncio.gather(*(refused(verifier, signed(issuer, stranger)) for _ in range(40)))
        assert issuer.asked == 2
    clock.now += RENEW_PAUSE_SECONDS - 0.1
    await refused(verifier, signed(issuer, stranger))
    assert issuer.asked == 2
    clock.now += 0.2
    await refused(verifier, signed(issuer, stranger))
    assert issuer.asked == 3


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_no_token_has_nobody_asked(issuer: JwksServer, start: Callable[..., Any], token: str) -> None:
    verifier = await start()
    assert (await refused(verifier, f"Bearer {token}")).code == "unauthenticated"
    assert issuer.asked == 1


async def test_a_slow_issuer_holds_up_few(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start()
    issuer.held = asyncio.Event()
    stranger = signed(issuer, RSAKey.generate_key(2048, {"kid": "made up"}))
    asking = [asyncio.create_task(refused(verifier, stranger)) for _ in range(100)]
    await eventually(lambda: sum(task.done() for task in asking) == 84)

    assert (await verifier.verified(signed(issuer, issuer.keys[0]))).subject == "ann"
    issuer.held.set()
    assert {error.code for error in await asyncio.gather(*asking)} == {"unauthenticated"}
    assert issuer.asked == 2


async def test_keys_stay_in_use_while_the_issuer_is_away(issuer: JwksServer, start: Callable[..., Any]) -> None:
    verifier = await start(refresh_seconds=0.02)
    token = signed(issuer, issuer.keys[0])
    await issuer.close()
    with pytest.raises(DibopError):
        await verifier.verified(signed(issuer, RSAKey.generate_key(2048, {"kid": "made up"})))
    assert (await verifier.verified(token)).subject == "ann"

    issuer.keys = [RSAKey.generate_key(2048, {"kid": "after"})]
    await issuer.open()
    await eventually(lambda: verifier.keys.find("after", "RSA") is not None)


async def test_an_issuer_that_is_away_at_the_start_is_waited_for_in_the_background(
    issuer: JwksServer, start: Callable[..., Any]
) -> None:
    await issuer.close()
    verifier = await start(refresh_seconds=0.02)
    token = signed(issuer, issuer.keys[0])
    error = await refused(verifier, token)
    assert (error.code, "DIBOP_TOKEN_KEY_URL" in error.detail) == ("overloaded", True)

    await issuer.open()
    await eventually(lambda: verifier.keys.ready)
    assert (await verifier.verified(token)).subject == "ann"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}',
        b"[" * 100_000,
        b" " * 300_000 + b"{}",
        web.Response(status=500),
        web.Response(status=302, headers={"location": "/elsewhere"}),
    ],
    ids=range(10),
)
async def test_an_answer_that_is_no_key_set_changes_nothing(
    issuer: JwksServer, start: Callable[..., Any], answer: web.Response | bytes
) -> None:
    verifier = await start()
    issuer.answer = answer
    await refused(verifier, signed(issuer, RSAKey.generate_key(2048, {"kid": "made up"})))

    assert issuer.asked == 2
    assert verifier.verify(signed(issuer, issuer.keys[0])).subject == "ann"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://another.example", "jwks_uri": "{keys}"},
        {"issuer": "{address}/", "jwks_uri": "{keys}"},
        {"issuer": "{address}"},
        {"issuer": "{address}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{address}", "jwks_uri": 7},
    ],
    ids=str,
)
async def test_a_discovery_document_must_be_this_issuers(
    issuer: JwksServer, start: Callable[..., Any], document: dict[str, Any]
) -> None:
    issuer.document = json.loads(
        json.dumps(document).replace("{address}", issuer.address).replace("{keys}", issuer.keys_url)
    )
    verifier = await start()
    assert not verifier.keys.ready
    assert issuer.asked == 0


async def test_proxies_of_the_environment_are_not_used(
    issuer: JwksServer, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await start()).keys.ready


async def test_settings_choose_where_keys_come_from(issuer: JwksServer, tokens: Tokens) -> None:
    settings: dict[str, Any] = {
        "token_audience": AUDIENCE, "token_algorithms": "RS256", "token_enterprise_claim": "org",
        "token_roles_claim": "groups",
    }  # fmt: skip
    choices: list[dict[str, Any]] = [{}, {"token_key_url": issuer.keys_url}]
    for extra in choices:
        verifier = required_verifier(TokenSettings(token_issuer=issuer.address, **settings, **extra), "registry")
        await verifier.keys.start()
        assert verifier.verify(signed(issuer, issuer.keys[0])).enterprise == "acme"
        await verifier.keys.stop()
    by_file = required_verifier(TokenSettings(token_key_file=tokens.key_file), "registry")
    assert by_file.verify("Bearer " + tokens.issue("bob", "acme")).subject == "bob"
    assert token_verifier(TokenSettings()) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs the public keys"),
        ({"token_key_file": "{keys}", "token_key_url": "https://issuer.example/keys"}, "both set"),
        ({"token_key_url": "ftp://issuer.example/keys"}, "no http or https"),
        ({"token_key_url": "https://me:secret@issuer.example/keys"}, "no http or https"),
        ({"token_key_file": "{tmp}/none"}, "is not a JWK Set"),
        ({"token_key_file": "{keys}", "token_algorithms": "HS256"}, "cannot sign tokens"),
        ({"token_key_url": "https://issuer.example/k", "token_ca_file": "{keys}"}, "is not a file of PEM"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict[str, str], words: str, tokens: Any, tmp_path: Any
) -> None:
    filled: dict[str, Any] = {
        name: value.replace("{keys}", str(tokens.key_file)).replace("{tmp}", str(tmp_path))
        for name, value in settings.items()
    }
    with pytest.raises(ValueError, match=words) as caught:
        required_verifier(TokenSettings(**filled), "registry")
    assert "secret" not in str(caught.value)
