"""Asking for consent and checking what comes back: what is in the request, and which callbacks are taken."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from shared.contracts.template import Template, check
from shared.security.authorization import (
    LIFETIME_SECONDS,
    AuthorizationRefusedError,
    Callback,
    ForeignCallbackError,
    PendingAuthorization,
    PendingAuthorizations,
    Purpose,
    begin,
    check_callback,
    read_callback,
    seal_code,
    state_hash,
)
from shared.security.sealing import KeyRing, SealContext

REDIRECT = "http://127.0.0.1:8765/callback"
SERVER = "https://login.example.com:443"
PURPOSE = Purpose("kim", "acme", "platform", "crm", "8e4f3c2a-0000-4000-8000-000000000001")
VALUES = {"client_id": "our client", "area": "eu west"}
NOW = 1_000_000.0


def template(**changes: Any) -> Template:
    document = {
        "name": "CRM",
        "slug": "crm",
        "base_url": "https://api.example.com",
        "auth_type": "oauth2",
        "grant_type": "authorization_code",
        "authorization_url": "https://login.example.com/authorize",
        "token_url": "https://login.example.com/token",
        "scopes": "read write",
        "operations": [],
        **changes,
    }
    report = check({name: value for name, value in document.items() if value is not None})
    assert report.template is not None, report.errors
    return report.template


def started(**changes: Any) -> tuple[dict[str, str], PendingAuthorization, str]:
    url, pending = begin(template(**changes), VALUES, PURPOSE, REDIRECT, now=NOW)
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}, pending, url


@pytest.fixture
def pending() -> PendingAuthorization:
    return started()[1]


def taken(pending: PendingAuthorization, callback: Callback, **changes: Any) -> str:
    present: dict[str, Any] = {"purpose": PURPOSE, "redirect_uri": REDIRECT, "now": NOW + 5, **changes}
    return check_callback(pending, callback, **present)


def refusal(pending: PendingAuthorization, callback: Callback, **changes: Any) -> str:
    with pytest.raises(AuthorizationRefusedError) as caught:
        taken(pending, callback, **changes)
    assert not isinstance(caught.value, ForeignCallbackError)
    return str(caught.value)


# ---- the request ---------------------------------------------------------------------------------
def test_the_request_holds_what_the_grant_needs() -> None:
    asked, pending, url = started()
    assert url.startswith("https://login.example.com/authorize?")
    assert asked == {
        "response_type": "code",
        "client_id": "our client",
        "redirect_uri": REDIRECT,
        "scope": "read write",
        "state": pending.state,
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": "S256",
    }
    digest = hashlib.sha256(str(pending.verifier).encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert pending.expires_at == NOW + LIFETIME_SECONDS


def test_state_and_verifier_are_new_each_time_and_long_enough() -> None:
    many = [started()[1] for _ in range(20)]
    assert len({each.state for each in many} | {str(each.verifier) for each in many}) == 40
    assert all(len(base64.urlsafe_b64decode(each.state + "=")) == 32 for each in many)
    assert all(43 <= len(str(each.verifier)) <= 128 for each in many)


def test_nothing_of_it_is_shown(pending: PendingAuthorization) -> None:
    assert pending.state not in repr(pending)
    assert str(pending.verifier) not in repr(pending)
    callback = read_callback("code=the-secret-code&state=the-state")
    assert "the-secret-code" not in repr(callback)
    assert "the-state" not in repr(callback)


def test_scopes_are_joined_as_the_template_says() -> None:
    assert started(scopes=["read", "write"], scope_separator="comma")[0]["scope"] == "read,write"
    assert "scope" not in started(scopes=None)[0]


def test_pkce_may_be_switched_off() -> None:
    asked, pending, _ = started(pkce=False)
    assert pending.verifier is None
    assert not {"code_challenge", "code_challenge_method"} & asked.keys()


def test_further_parameters_are_filled_and_encoded() -> None:
    fields = {"client_id": {"label": "Id"}, "area": {"label": "Area"}}
    asked, _, url = started(
        credential_schema=fields,
        authorization_url="https://login.example.com/authorize?tenant=a%20b",
        authorization_parameters={"prompt": "consent", "resource": "https://{area}&x=1"},
    )
    assert asked["tenant"] == "a b"
    assert asked["prompt"] == "consent"
    assert asked["resource"] == "https://eu west&x=1"
    assert url.count("?") == 1


def test_the_address_may_be_a_field_of_the_connection() -> None:
    fields = {"client_id": {"label": "Id"}, "authorization_url": {"label": "Login"}}
    changed = template(authorization_url=None, credential_schema=fields)
    url, pending = begin(
        changed, {**VALUES, "authorization_url": "https://ID.example.org/a"}, PURPOSE, REDIRECT, now=NOW
    )
    assert url.startswith("https://id.example.org/a?response_type=code&")
    assert pending.issuer == "https://id.example.org:443"
    for address in ("", "javascript:alert(1)", "ftp://x.example.com", "https://u:p@x.example.com", "https://x/a#b"):
        with pytest.raises(AuthorizationRefusedError, match="authorization_url"):
            begin(changed, {**VALUES, "authorization_url": address}, PURPOSE, REDIRECT, now=NOW)


def test_what_is_sensitive_stands_in_no_address() -> None:
    fields = {"client_id": {"label": "Id", "sensitive": True, "type": "password"}}
    with pytest.raises(AuthorizationRefusedError, match="client_id"):
        begin(template(credential_schema=fields), VALUES, PURPOSE, REDIRECT, now=NOW)


def test_other_grants_have_nothing_to_authorize() -> None:
    with pytest.raises(AuthorizationRefusedError, match="nothing to authorize"):
        begin(template(grant_type="client_credentials", authorization_url=None), VALUES, PURPOSE, REDIRECT, now=NOW)


# ---- the callback --------------------------------------------------------------------------------
def test_a_proper_callback_brings_the_code(pending: PendingAuthorization) -> None:
    query = urlencode({"code": "c0de/+&=", "state": pending.state, "iss": "https://login.example.com/"})
    assert taken(pending, read_callback(query)) == "c0de/+&="


@pytest.mark.parametrize(
    "query",
    ["", "code=c", "state=", "code=a&code=b&state=s", "state=s&state=s&code=c", "&" * 100 + "state=s&code=c&" * 60,
     "state=s&code=" + "c" * 40_000],
    ids=["nothing", "no-state", "empty-state", "two-codes", "two-states", "too-many", "too-long"],
)  # fmt: skip
def test_what_no_authorization_server_sends_is_foreign(query: str) -> None:
    with pytest.raises(ForeignCallbackError):
        read_callback(query)


@pytest.mark.parametrize("state", ["x", "é", "\udcff", "a" * 43])
def test_another_state_is_foreign(pending: PendingAuthorization, state: str) -> None:
    with pytest.raises(ForeignCallbackError):
        taken(pending, Callback(state, "code"))


@pytest.mark.parametrize("field", ["person", "enterprise", "owner", "connector", "connection"])
def test_the_state_is_bound_to_person_enterprise_and_connection(pending: PendingAuthorization, field: str) -> None:
    other = dataclasses.replace(PURPOSE, **{field: "another"})
    assert "another person" in refusal(pending, Callback(pending.state, "code"), purpose=other)


@pytest.mark.parametrize("uri", [f"{REDIRECT}/", "http://127.0.0.1:8766/callback", "http://localhost:8765/callback"])
def test_the_redirect_uri_is_the_exact_one(pending: PendingAuthorization, uri: str) -> None:
    assert uri in refusal(pending, Callback(pending.state, "code"), redirect_uri=uri)


def test_after_ten_minutes_it_is_over(pending: PendingAuthorization) -> None:
    callback = Callback(pending.state, "code")
    assert taken(pending, callback, now=NOW + 599.9) == "code"
    assert "10 minutes" in refusal(pending, callback, now=NOW + 600)


@pytest.mark.parametrize(
    "iss", ["https://login.example.com", "https://login.example.com/realms/x", "https://LOGIN.example.com:443/"]
)
def test_an_issuer_of_the_same_server_is_taken(pending: PendingAuthorization, iss: str) -> None:
    assert taken(pending, Callback(pending.state, "code", iss)) == "code"


@pytest.mark.parametrize(
    "iss",
    ["", "https://evil.example.com", "http://login.example.com", "https://login.example.com.evil.org",
     "https://login.example.com@evil.org", "login.example.com", "https://login.example.com:8443"],
)  # fmt: skip
@pytest.mark.parametrize("error", ["", "access_denied"])
def test_another_issuer_ends_it(pending: PendingAuthorization, iss: str, error: str) -> None:
    assert SERVER in refusal(pending, Callback(pending.state, "code", iss, error))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", "consent was not given"),
        ("invalid_scope", "scopes"),
        ("unauthorized_client", "does not allow this client"),
        ("server_error", "try again later"),
        ("made_up", "it says no more"),
    ],
)
def test_an_error_is_told_in_plain_words(pending: PendingAuthorization, error: str, said: str) -> None:
    told = refusal(pending, Callback(pending.state, error=error, description="Because\n\x1b[31m I say so"))
    assert said in told
    assert f"{error}: Because [31m I say so" in told
    assert len(refusal(pending, Callback(pending.state, error="e" * 5000, description="d" * 5000))) < 1000


@pytest.mark.parametrize("code", ["", "\n", "c\x00de", "cødé"])
def test_what_no_code_can_be_is_none(pending: PendingAuthorization, code: str) -> None:
    assert "sent no code" in refusal(pending, Callback(pending.state, code))


# ---- kept meanwhile ------------------------------------------------------------------------------
def test_a_pending_authorization_is_taken_once() -> None:
    kept, (_, pending, _) = PendingAuthorizations(), started()
    kept.put(pending)
    assert kept.take(Callback(pending.state)) is pending
    with pytest.raises(ForeignCallbackError):
        kept.take(Callback(pending.state))


def test_of_too_many_the_oldest_go() -> None:
    kept, many = PendingAuthorizations(most=3), [started()[1] for _ in range(4)]
    for each in many:
        kept.put(each)
    with pytest.raises(ForeignCallbackError):
        kept.take(Callback(many[0].state))
    assert [kept.take(Callback(each.state)) for each in many[1:]] == many[1:]


def test_a_cookie_holds_a_hash_alone(pending: PendingAuthorization) -> None:
    assert state_hash(pending.state) == hashlib.sha256(pending.state.encode()).hexdigest()


def test_code_and_verifier_are_sealed_for_the_connection(pending: PendingAuthorization) -> None:
    ring = KeyRing.generate()
    sealed = seal_code(pending, "c0de", ring.sealing_key, SERVER)
    context = SealContext("token", "acme", "platform", "crm", PURPOSE.connection, SERVER, "authorization_code")
    assert json.loads(ring.open(sealed, context, ring.active)) == {"code": "c0de", "verifier": pending.verifier}
