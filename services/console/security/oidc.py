"""Signing in at an OIDC issuer: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 9700).

What a person has afterwards is the issuer's own token, which every service verifies by itself. `state` is good for one
callback, in the browser that began, within ten minutes.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]  # it has no annotations

from services.console.security.oidc_settings import OidcSettings
from services.console.store import Store
from shared.contracts.errors import DibopError
from shared.security.principals.jwks import DISCOVERY_PATH, is_web_address

with warnings.catch_warnings():
    # Authlib would rather have httpx2, which nothing else here needs; it works with httpx as well.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]  # as above
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]  # as above

CALLBACK: Final = "/sign-in/oidc/callback"
LIFETIME_SECONDS: Final = 600
_SECRET_BYTES: Final = 32
_VERIFIER_BYTES: Final = 48
_DISCOVERED_SECONDS: Final = 3600.0
_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the person, and what their browser keeps meanwhile in a cookie."""

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the issuer gave: the token for the services, and what renews it, if anything does."""

    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)


class OidcSignIn:
    """The issuer as its client. Raises `unauthenticated` where nobody is signed in, `overloaded` while it is away."""

    def __init__(self, settings: OidcSettings, store: Store, public_url: str) -> None:
        self._settings = settings
        self._store = store
        self._redirect_uri = f"{public_url}{CALLBACK}"
        self._discovered: tuple[float, dict[str, Any]] | None = None

    async def begin(self, return_to: str) -> Begun:
        """`return_to` is the page of the console to come back to."""
        endpoints = await self._endpoints()
        state, nonce, verifier, browser = (
            secrets.token_urlsafe(size) for size in (_SECRET_BYTES, _SECRET_BYTES, _VERIFIER_BYTES, _SECRET_BYTES)
        )
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoints["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        kept = {"nonce": nonce, "verifier": verifier, "browser": browser, "return_to": return_to}
        await self._store.put("sign-in", state, kept, LIFETIME_SECONDS)
        return Begun(url, browser)

    async def finish(self, query: Mapping[str, str], browser: str | None) -> tuple[Tokens, str]:
        """The tokens for what the issuer sent the person back with, and the page to go on at."""
        kept = await self._store.take("sign-in", query.get("state", ""))
        if kept is None or browser is None or not hmac.compare_digest(kept["browser"], browser):
            raise _failed("it was used already, took longer than ten minutes, or was begun in another browser")
        if "iss" in query and query["iss"] != self._settings.issuer:
            raise _failed("the answer is another issuer's")
        code = query.get("code", "")
        if not code:
            raise _failed("the issuer sent no code: consent was not given, or it does not know this console")
        answer = await self._ask(code=code, code_verifier=kept["verifier"])
        self._check_id_token(answer.get("id_token"), kept["nonce"])
        return self._tokens(answer), str(kept["return_to"])

    async def renew(self, refresh_token: str) -> Tokens:
        """Newer tokens for a session; `unauthenticated` where the issuer has ended it."""
        renewed = self._tokens(await self._ask(grant_type="refresh_token", refresh_token=refresh_token))
        return renewed if renewed.refresh_token else Tokens(renewed.token, refresh_token)

    async def _ask(self, **parameters: str) -> dict[str, Any]:
        endpoint = (await self._endpoints())["token_endpoint"]
        try:
            async with self._client() as client:
                answer: dict[str, Any] = dict(await client.fetch_token(endpoint, **parameters))
        except AuthlibBaseError as error:
            raise _failed(f"the issuer answered {error.error}") from None
        except (httpx.HTTPError, ValueError) as error:
            raise _away(error) from error
        return answer

    def _tokens(self, answer: Mapping[str, Any]) -> Tokens:
        token = answer.get(self._settings.token)
        if not isinstance(token, str):
            raise _failed(f"the issuer gave no {self._settings.token}; see DIBOP_OIDC_TOKEN")
        refresh_token = answer.get("refresh_token")
        return Tokens(token, refresh_token if isinstance(refresh_token, str) else None)

    def _check_id_token(self, id_token: object, nonce: str) -> None:
        """It came straight from the issuer (Core, 3.1.3.7, 6): what is checked is that it is about this sign-in."""
        claims = _claims(id_token)
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if (
            claims.get("iss") != self._settings.issuer
            or self._settings.client_id not in named
            or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
        ):
            raise _failed("the issuer's ID token is about another sign-in")

    async def _endpoints(self) -> dict[str, Any]:
        if self._discovered is not None and time.monotonic() - self._discovered[0] < _DISCOVERED_SECONDS:
            return self._discovered[1]
        address = f"{self._settings.issuer.rstrip('/')}{DISCOVERY_PATH}"
        try:
            async with httpx.AsyncClient(verify=self._settings.trust, timeout=_ANSWER_SECONDS, trust_env=False) as http:
                document = (await http.get(address)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise _away(error) from error
        endpoints = ("authorization_endpoint", "token_endpoint")
        if document.get("issuer") != self._settings.issuer or not all(
            is_web_address(str(document.get(name, ""))) for name in endpoints
        ):
            raise _away(ValueError("its discovery document is not its own, or names no endpoints"))
        self._discovered = (time.monotonic(), document)
        return dict(document)

    def _client(self) -> Any:
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._settings.client_secret,
            token_endpoint_auth_method="client_secret_basic" if self._settings.client_secret else "none",
            scope=self._settings.scopes,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            verify=self._settings.trust,
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )


def _claims(token: object) -> dict[str, Any]:
    try:
        payload = str(token).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _failed(why: str) -> DibopError:
    return DibopError("unauthenticated", f"The sign-in has come to nothing: {why}. Sign in again.")


def _away(error: Exception) -> DibopError:
    return DibopError(
        "overloaded",
        f"The issuer that people sign in at cannot be used ({str(error)[:200] or type(error).__name__}). Try again in "
        "a moment, or sign in by a link.",
    )
