"""Token requests as they go out, and what becomes of their answers."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from services.executor.attempts import Sent
from services.executor.domain.oauth import TokenClient
from services.executor.domain.plan import OperationPlan
from services.executor.oauth.answers import RefusedError
from services.executor.oauth.requests import TokenRequests
from services.executor.resilience.scopes import Hold
from services.executor.transport.interface import HttpRequest, HttpResponse, TransportTimeout
from shared.contracts.errors import DibopError
from tests.unit.executor.oauth.clients import client

DEADLINE = 1e9
SECRET = "se/cret+with %"


@dataclass
class Sender:
    """Keeps what it is given, and answers as it is told."""

    status: int = 200
    body: bytes = b'{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"next"}'
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    error: DibopError | None = None
    retry_after_ms: int | None = None
    requests: list[HttpRequest] = field(default_factory=list)
    operations: list[OperationPlan] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    async def send(self, request: HttpRequest, operation: OperationPlan, hold: Hold, **_: Any) -> Sent:
        self.requests.append(request)
        self.operations.append(operation)
        self.holds.append(hold)
        if self.error is not None:
            raise self.error
        return Sent(HttpResponse(self.status, self.headers, self.body), [], self.retry_after_ms)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl((self.requests[-1].body or b"").decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def authorization(self) -> str | None:
        return next((value for name, value in self.requests[-1].headers if name.lower() == "authorization"), None)


def requests(sender: Sender) -> TokenRequests:
    return TokenRequests(sender)  # type: ignore[arg-type]  # a sender as far as this goes


def with_secret(**changes: Any) -> TokenClient:
    return client({"client_id": "me:and you", "client_secret": SECRET}, **changes)


async def test_client_credentials_with_basic_are_form_encoded_as_the_rfc_wants_it() -> None:
    sender = Sender()
    granted = await requests(sender).client_credentials(with_secret(scopes="read write"), deadline=DEADLINE)
    scheme, pair = str(sender.authorization).split()
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"me%3Aand+you:se%2Fcret%2Bwith+%25")
    assert sender.form == {"grant_type": "client_credentials", "scope": "read write"}
    assert (sender.requests[0].method, sender.requests[0].url) == ("POST", "https://auth.example.com/token")
    assert granted.access_token == "a"


async def test_client_credentials_with_post_stand_in_the_form() -> None:
    sender = Sender()
    parameters = (("audience", "https://api.example.com/é"), ("method", "x"), ("headers", "y"), ("timeout", "z"))
    await requests(sender).client_credentials(with_secret(client_auth="post", parameters=parameters), deadline=DEADLINE)
    assert sender.authorization is None
    assert sender.form == {
        "grant_type": "client_credentials",
        "client_id": "me:and you",
        "client_secret": SECRET,
        "scope": "read",
        **dict(parameters),
    }


async def test_a_refresh_names_its_token_and_is_sent_once() -> None:
    sender = Sender()
    granted = await requests(sender).refresh(with_secret(), "old+/=", deadline=DEADLINE)
    assert (sender.form["grant_type"], sender.form["refresh_token"]) == ("refresh_token", "old+/=")
    assert granted.refresh_token == "next"
    assert sender.operations[0].idempotent is False


async def test_a_code_is_exchanged_with_its_verifier_and_the_exact_redirect() -> None:
    sender = Sender()
    public = client({"client_id": "app"}, grant="authorization_code")
    redirect = "http://127.0.0.1:5000/callback?x=1"
    await requests(sender).exchange(public, "c0de", verifier="v" * 43, redirect_uri=redirect, deadline=DEADLINE)
    assert sender.form == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "code_verifier": "v" * 43,
        "redirect_uri": redirect,
        "client_id": "app",
    }
    assert sender.authorization is None


async def test_token_requests_count_against_limits_of_their_own() -> None:
    sender = Sender()
    await requests(sender).client_credentials(with_secret(), deadline=DEADLINE)
    (hold,) = sender.holds
    assert hold.scope.prefix == "res:{platform.shop}:acme.c-1:oauth"
    assert (hold.health, hold.outer, hold.connection) == ("", (), None)
    assert hold.name == "the token endpoint of connector 'shop'"


async def test_a_refusal_passes_on_as_it_is() -> None:
    sender = Sender(400, b'{"error":"invalid_grant","error_description":"for se/cret+with % it is too late"}')
    with pytest.raises(RefusedError) as caught:
        await requests(sender).refresh(with_secret(), "old-refresh-token", deadline=DEADLINE)
    assert caught.value.error == "invalid_grant"
    assert SECRET not in caught.value.description


@pytest.mark.parametrize(
    ("sender", "code", "words"),
    [
        (Sender(500, b"boom"), "upstream-unreachable", "status 500"),
        (Sender(200, b"<html>"), "upstream-unreachable", "neither JSON"),
        (Sender(307, b"", {"location": "https://evil.example/token"}), "upstream-unreachable", "status 307"),
        (Sender(429, b"{}", retry_after_ms=9_000), "rate-limited", "left alone"),
        (Sender(error=DibopError("circuit-open", "It is open.", retry_after_ms=5)), "circuit-open", "It is open"),
        (Sender(error=DibopError("response-too-large", "Much.")), "upstream-unreachable", "Much"),
        (Sender(error=DibopError("egress-denied", "Not there.")), "egress-denied", "Not there"),
    ],
)
async def test_what_goes_wrong_is_told_as_of_the_token_endpoint(sender: Sender, code: str, words: str) -> None:
    with pytest.raises(DibopError, match=words) as caught:
        await requests(sender).client_credentials(with_secret(), deadline=DEADLINE)
    error = caught.value
    assert (error.code, error.outcome) == (code, "not_sent")
    assert "https://auth.example.com:443" in error.detail
    assert len(sender.requests) == 1


async def test_an_endpoint_that_does_not_answer_is_not_the_operations_unknown_outcome() -> None:
    error = DibopError("upstream-timeout", "It may have happened: repeat only …", outcome="unknown")
    error.__cause__ = TransportTimeout("receiving", "auth.example.com:443 was given 10 s.", sent=True)
    with pytest.raises(DibopError) as caught:
        await requests(Sender(error=error)).client_credentials(with_secret(), deadline=DEADLINE)
    assert (caught.value.code, caught.value.outcome) == ("upstream-unreachable", "not_sent")
    assert "was given 10 s" in caught.value.detail
    assert "may have happened" not in caught.value.detail


async def test_the_connections_certificate_is_presented_to_the_endpoint_too() -> None:
    sender = Sender()
    marked = msgspec.structs.replace(with_secret(), certificate="certificate")
    await requests(sender).client_credentials(marked, deadline=DEADLINE)
    assert sender.requests[0].certificate == "certificate"  # type: ignore[comparison-overlap]  # a stand-in
