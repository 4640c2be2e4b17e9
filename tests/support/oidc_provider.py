"""An OIDC issuer that people sign in at: everybody who comes is `person`, and says yes at once."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OKPKey

from shared.security.principals.jwks import DISCOVERY_PATH


@dataclass
class OidcProvider:
    """`async with OidcProvider() as issuer`. Access tokens are JWTs that live for `lifetime` seconds."""

    client_id: str = "console"
    client_secret: str = "console-secret"
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "olga", "enterprise": "umbrella", "roles": ["enterprise_admin_sdk"]}
    )
    lifetime: int = 300
    nonce_override: str | None = None
    renewed: int = 0
    refresh_tokens: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._key = OKPKey.generate_key("Ed25519", auto_kid=True)
        app = web.Application()
        app.router.add_get(DISCOVERY_PATH, self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["client_id"] == self.client_id
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.address})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{answer}")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                return web.json_response({"error": "invalid_grant"}, status=400)
            self.refresh_tokens.discard(str(form["refresh_token"]))
            self.renewed += 1
            return web.json_response(self._tokens(None))
        asked = self.codes.pop(str(form["code"]), None)
        challenge = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if asked is None or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).decode().rstrip("="):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(self._tokens(asked["nonce"]))

    def _tokens(self, nonce: str | None) -> dict[str, Any]:
        refresh_token = secrets.token_urlsafe(16)
        self.refresh_tokens.add(refresh_token)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "access_token": self._signed({**self.person, "aud": "dibop-connectors"}),
            "refresh_token": refresh_token,
        }
        if nonce is not None:
            nonce = self.nonce_override or nonce
            answer["id_token"] = self._signed({"sub": self.person["sub"], "aud": self.client_id, "nonce": nonce})
        return answer

    def _signed(self, claims: dict[str, Any]) -> str:
        now = int(time.time())
        whole = {"iss": self.address, "iat": now, "exp": now + self.lifetime, "jti": secrets.token_hex(4), **claims}
        header = {"alg": "Ed25519", "kid": self._key.kid}
        return jwt.encode(header, whole, self._key, algorithms=["Ed25519"])
