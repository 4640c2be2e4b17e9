"""How long tokens are used, how their end is told, and which clients share a token."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.executor.domain.oauth import AccessToken, says_expired, spans
from services.executor.domain.plan import ExpiredPlan
from services.executor.domain.scope import Scope
from services.executor.transport.interface import HttpResponse
from shared.contracts.errors import DibopError
from shared.contracts.projections import StoredToken
from tests.unit.executor.oauth.clients import VALUES, client


def response(status: int, body: Any = None) -> HttpResponse:
    return HttpResponse(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("lifetime", "renew_after", "usable_for"), [(3600, 3540, 3595), (600, 540, 595), (100, 90, 95), (10, 9, 9.5)]
)
def test_a_token_is_renewed_before_its_end(lifetime: float, renew_after: float, usable_for: float) -> None:
    assert spans(lifetime) == (renew_after, usable_for)


@pytest.mark.parametrize(
    ("signal", "answer", "expired"),
    [
        (ExpiredPlan(), response(401), True),
        (ExpiredPlan(), response(403), False),
        (ExpiredPlan(), response(200), False),
        (ExpiredPlan((403,)), response(403), True),
        (ExpiredPlan((403,)), response(400), False),
        (ExpiredPlan((403,)), response(401), True),
        (ExpiredPlan((), ("error", "code"), ("OLD", 190)), response(200, {"error": {"code": "OLD"}}), True),
        (ExpiredPlan((), ("error", "code"), ("OLD", 190)), response(200, {"error": {"code": 190}}), True),
        (ExpiredPlan((), ("error", "code"), ("OLD", 190)), response(200, {"error": {"code": "190"}}), False),
        (ExpiredPlan((), ("error", "code"), (1,)), response(200, {"error": {"code": True}}), False),
        (ExpiredPlan((), ("error", "code"), ("OLD",)), response(200, {"error": "OLD"}), False),
        (ExpiredPlan((), ("error", "code"), ("OLD",)), response(200, []), False),
        (ExpiredPlan((400,), ("code",), ("OLD",)), response(400, {"code": "OLD"}), True),
        (ExpiredPlan((400,), ("code",), ("OLD",)), response(200, {"code": "OLD"}), False),
        (ExpiredPlan((), ("code",), ("OLD",)), HttpResponse(200, {}, b"<html>"), False),
        (ExpiredPlan((), ("code",), ("OLD",)), HttpResponse(200, {}, b'{"code":"OLD"}' + b" " * 100_000), False),
    ],
)
def test_the_end_of_a_token_is_told_as_the_template_says(
    signal: ExpiredPlan, answer: HttpResponse, expired: bool
) -> None:
    assert says_expired(signal, answer) is expired


def test_parameters_are_filled_from_what_is_not_sensitive() -> None:
    made = client(
        {**VALUES, "area": "eu"}, parameters=(("audience", "https://{area}.example.com"), ("s", "{client_secret}"))
    )
    assert made.parameters == (("audience", "https://eu.example.com"), ("s", ""))


@pytest.mark.parametrize(
    ("values", "plan", "word"),
    [
        ({"client_secret": "s"}, {}, "client_id"),
        ({"client_id": "i"}, {}, "client_secret"),
        (VALUES, {"token_url": ""}, "token_url"),
        ({**VALUES, "token_url": "ftp://x"}, {"token_url": ""}, "token_url"),
        ({**VALUES, "token_url": "https://user@x.example"}, {"token_url": ""}, "token_url"),
    ],
)
def test_a_client_that_lacks_something_is_told_what(values: dict[str, str], plan: dict[str, Any], word: str) -> None:
    with pytest.raises(DibopError, match=word) as caught:
        client(values, **plan)
    assert caught.value.code == "credentials-rejected"


def test_a_public_client_has_no_secret() -> None:
    assert client({"client_id": "i"}, grant="authorization_code").client_secret == ""


def test_clients_share_a_token_where_they_ask_for_the_same() -> None:
    first, same = client(), client()
    others = [
        client(scopes="write"),
        client(parameters=(("audience", "x"),)),
        client(token_url="https://auth.example.com/v2/token"),
        client(client_auth="post"),
        client(grant="authorization_code"),
        client({**VALUES, "client_id": "other"}),
        client(scope=Scope("acme", "platform", "shop", "c-2")),
        client(scope=Scope("other", "platform", "shop", "c-1")),
    ]
    assert first.key == same.key
    assert len({first.key, *(other.key for other in others)}) == 9
    assert client({**VALUES, "client_secret": "other"}).key == first.key, "the secret stands in no key"


def test_only_tests_bring_tokens_along() -> None:
    values = {**VALUES, "refresh_token": "refresh-it", "access_token": "access-it"}
    assert client(values).given == {}
    draft = client(values, scope=Scope("acme", "acme", "shop", "s", draft=True))
    assert draft.given == {"access_token": "access-it", "refresh_token": "refresh-it"}


def test_nothing_that_is_printed_shows_a_secret() -> None:
    made = client()
    token = AccessToken("id", "a-token-value", 1, 0.0, 1.0, 2.0, made.secrets)
    assert "a-real-secret" not in repr(made)
    assert "a-token-value" not in repr(token)
    assert set(token.credentials.secrets) == {"a-token-value", "a-real-secret"}


def test_a_client_knows_the_generation_of_its_refresh_token() -> None:
    assert client().generation == 0
    stored = msgspec.structs.replace(client(), stored=StoredToken(3, "k", "x"))
    assert (stored.generation, stored.key) == (3, client().key)
