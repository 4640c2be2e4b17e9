"""An OAuth2 server made of Authlib's own grants, with an API behind it. It runs in a process of its own.

`tests.support.oauth_server` starts it and has its handles. Grants: client_credentials,
authorization_code with PKCE and `iss` (RFC 9207), refresh_token with rotation and detection of reuse: a refresh token
that comes twice ends the whole authorization. The client `public` has no secret; `/__switches` says how it misbehaves.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import grants  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin, ClientMixin, TokenMixin  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from authlib.oauth2.rfc9207 import IssuerParameter  # type: ignore[import-untyped]
from flask import Flask, Response, g, jsonify, request

from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, PERSON, PUBLIC_CLIENT_ID, Asked
from tests.support.processes import HOST

# Authlib serves the authorization endpoint over https alone, unless it is told that this is a test.
os.environ.setdefault("AUTHLIB_INSECURE_TRANSPORT", "1")


_ALL_METHODS = ("client_secret_basic", "client_secret_post", "none")


@dataclass
class Switches:
    """How the server behaves from now on; `PUT /__switches` sets some of them.

    `delay` is in seconds; `fault` is `500`, `429`, `html`, `html-400`, `form`, `junk`, `empty` or `redirect`; `error`
    refuses with that word; `expires_in` of `None` leaves the field out; `lone` keeps refresh tokens
    back; `times` ends all of it after so many requests.
    """

    delay: float = 0.0
    fault: str = ""
    error: str = ""
    expires_in: Any = 3600
    token_type: Any = "Bearer"
    rotate: bool = True
    separator: str = " "
    lone: bool = False
    times: int | None = None


@dataclass
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no annotations
    client_id: str
    client_secret: str = ""
    redirects: tuple[str, ...] = ("http://127.0.0.1",)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or "default"

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Any port and path of the loopback, as RFC 8252 (7.3) wants it."""
        return urlsplit(redirect_uri).hostname == HOST

    def check_client_secret(self, client_secret: str) -> bool:
        return bool(self.client_secret) and secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") != bool(self.client_secret)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type != "client_credentials" or bool(self.client_secret)


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]  # as above
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]  # as above
    """`family` is the authorization that a chain of refresh tokens belongs to."""

    client_id: str
    access_token: str
    refresh_token: str
    scope: str
    family: str
    expires_at: float
    person: str | None
    revoked: bool = False
    used: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class State:
    clients: dict[str, Client]
    switches: Switches = field(default_factory=Switches)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    ended_families: set[str] = field(default_factory=set)
    called: int = 0

    def by_refresh_token(self, text: str) -> Token | None:
        return next((token for token in self.tokens if token.refresh_token == text), None)

    def bearer(self, header: str) -> Token | None:
        text = header.removeprefix("Bearer ")
        found = next((token for token in self.tokens if token.access_token == text), None)
        return found if found and not found.is_revoked() and not found.is_expired() else None


state = State({each.client_id: each for each in (Client(CLIENT_ID, CLIENT_SECRET), Client(PUBLIC_CLIENT_ID))})
lock = threading.RLock()
app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True


def _save(token: dict[str, Any], asked: Any) -> None:
    old = getattr(asked, "refresh_token", None)
    expires_in = state.switches.expires_in
    lives = float(expires_in) if isinstance(expires_in, int | float) and expires_in > 0 else 3600.0
    state.tokens.append(
        Token(
            asked.client.client_id,
            token["access_token"],
            token.get("refresh_token", ""),
            token.get("scope", ""),
            old.family if isinstance(old, Token) else secrets.token_hex(4),
            time.time() + lives,
            str(asked.user) if asked.user else None,
        )
    )


class Codes(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # as above
    TOKEN_ENDPOINT_AUTH_METHODS = _ALL_METHODS

    def save_authorization_code(self, code: str, asked: Any) -> None:
        data = asked.payload.data
        state.codes[code] = Code(
            code,
            asked.client.client_id,
            asked.payload.redirect_uri,
            asked.payload.scope or "",
            data.get("code_challenge"),
            data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = state.codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del state.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return PERSON


class Refreshing(grants.RefreshTokenGrant):  # type: ignore[misc]  # as above
    TOKEN_ENDPOINT_AUTH_METHODS = _ALL_METHODS

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802 - Authlib's name
        return state.switches.rotate

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        found = state.by_refresh_token(refresh_token)
        if found is None or found.family in state.ended_families:
            return None
        if found.used:
            state.ended_families.add(found.family)
            for token in state.tokens:
                token.revoked = token.revoked or token.family == found.family
            return None
        return found

    def authenticate_user(self, refresh_token: Token) -> str:
        return PERSON

    def revoke_old_credential(self, refresh_token: Token) -> None:
        refresh_token.used = state.switches.rotate


class ByClient(grants.ClientCredentialsGrant):  # type: ignore[misc]  # as above
    TOKEN_ENDPOINT_AUTH_METHODS = _ALL_METHODS[:2]


class Issuer(IssuerParameter):  # type: ignore[misc]  # as above
    def get_issuer(self) -> str:
        return request.host_url.rstrip("/")


server = AuthorizationServer(app, state.clients.get, _save)
server.register_grant(Codes, [CodeChallenge(required=True)])
server.register_grant(Refreshing)
server.register_grant(ByClient)
server.register_extension(Issuer())


# ---- the endpoints ------------------------------------------------------------------------------
@app.get("/authorize")
def authorize() -> Response:
    """The person has signed in already and says yes; with `deny` they say no."""
    with lock:
        person = None if "deny" in request.args else PERSON
        consent = server.get_consent_grant(end_user=person)
        answer: Response = server.create_authorization_response(grant=consent, grant_user=person)
    return answer


@app.post("/token")
def token() -> Response:
    basic = request.authorization
    form = {name: value for name, value in request.form.items() if name != "client_secret"}
    kind = "basic" if basic else "post" if "client_secret" in request.form else "none"
    name = request.form.get("client_id") or (basic.username if basic else "") or ""
    with lock:
        entry = Asked(request.form.get("grant_type", ""), name, kind, form, time.time())
        state.asked.append(entry)
        switches = state.switches
    time.sleep(switches.delay)
    with lock:
        answer = _misbehaved(switches) or _bent(server.create_token_response(), switches)
        entry.status = answer.status_code
        if switches.times is not None:
            switches.times -= 1
            if switches.times <= 0:
                state.switches = Switches()
    return answer


def _misbehaved(switches: Switches) -> Response | None:
    page = "<html><body>Something went wrong</body></html>"
    if switches.error:
        body = {"error": switches.error, "error_description": f"refused: {request.form.get('client_secret', '')}"}
        status = 401 if switches.error == "invalid_client" else 400
        return Response(jsonify(body).data, status, mimetype="application/json")
    answers = {
        "500": lambda: Response("boom", 500),
        "429": lambda: Response("slow down", 429, headers={"Retry-After": "90"}),
        "html": lambda: Response(page, 200, mimetype="text/html"),
        "html-400": lambda: Response(page, 400, mimetype="text/html"),
        "junk": lambda: Response("[1, 2", 200, mimetype="application/json"),
        "empty": lambda: Response("{}", 200, mimetype="application/json"),
        "redirect": lambda: Response("", 307, headers={"Location": "/elsewhere"}),
    }
    made = answers.get(switches.fault)
    return made() if made else None


def _bent(answer: Response, switches: Switches) -> Response:
    """The proper answer with the fields that the switches change."""
    body = answer.get_json()
    if answer.status_code != 200:
        return answer
    body.pop("expires_in", None)
    if switches.expires_in is not None:
        body["expires_in"] = switches.expires_in
    body["token_type"] = switches.token_type
    if switches.lone:
        body.pop("refresh_token", None)
    if "scope" in body:
        body["scope"] = body["scope"].replace(" ", switches.separator)
    if switches.fault == "form":
        text = "&".join(f"{name}={value}" for name, value in body.items())
        return Response(text, 200, mimetype="application/x-www-form-urlencoded")
    return Response(jsonify(body).data, 200, mimetype="application/json")


@app.route("/elsewhere", methods=["GET", "POST"])
def elsewhere() -> Response:
    state.asked.append(Asked("elsewhere", "", "none", {}, time.time(), 200))
    return jsonify({"access_token": "stolen", "token_type": "Bearer"})


# ---- the API ------------------------------------------------------------------------------------
def _me() -> Response:
    return jsonify(
        {"client": g.token.client_id, "person": g.token.person, "scope": g.token.scope, "method": request.method}
    )


@app.route("/api/me", methods=["GET", "POST"])
def me() -> Any:
    with lock:
        state.called += 1
        g.token = state.bearer(request.headers.get("Authorization", ""))
    return _me() if g.token else (jsonify({"error": "invalid_token"}), 401)


@app.get("/api/forbidding")
def forbidding() -> Any:
    """The same from a system that says 403 and has the reason in its body."""
    with lock:
        g.token = state.bearer(request.headers.get("Authorization", ""))
    return _me() if g.token else (jsonify({"error": {"code": "TOKEN_EXPIRED"}}), 403)


@app.get("/api/always-401")
def never() -> Any:
    with lock:
        state.called += 1
    return jsonify({"error": "invalid_token"}), 401


@app.get("/api/echo")
def echo() -> Response:
    return jsonify({"authorization": request.headers.get("Authorization", "")})


# ---- what tests do to it ------------------------------------------------------------------------
@app.put("/__switches")
def set_switches() -> Any:
    with lock:
        state.switches = Switches(**request.get_json())
    return "", 204


@app.post("/__revoke")
def revoke() -> Any:
    """End all access tokens; with `?refresh=1` all authorizations as well."""
    with lock:
        for each in state.tokens:
            each.revoked = True
            if "refresh" in request.args:
                state.ended_families.add(each.family)
    return "", 204


@app.post("/__secret")
def secret() -> Any:
    """Another secret for the client."""
    with lock:
        state.clients[CLIENT_ID].client_secret = request.get_json()
    return "", 204


@app.get("/__log")
def log() -> Response:
    with lock:
        good = sum(not (each.revoked or each.is_expired()) for each in state.tokens)
        return jsonify({"asked": [asdict(each) for each in state.asked], "called": state.called, "good": good})


@app.delete("/__log")
def forget() -> Any:
    with lock:
        state.asked.clear()
        state.called = 0
    return "", 204
