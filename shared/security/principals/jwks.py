"""The keys of an OIDC issuer, fetched and kept fresh (OpenID Connect Discovery 1.0, RFC 7517).

Verifying never waits for the issuer: keys are fetched in the background, and those that are here are used for as long
as the issuer is away. A token whose key is not known has the issuer asked once more, at most every ten seconds, so that
new keys are taken up at once and garbage cannot hammer the issuer.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.jwk import Key

from shared.security.principals.keys import PublicKeys
from shared.tasks import end

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
REFRESH_SECONDS: Final = 300.0
RENEW_PAUSE_SECONDS: Final = 10.0
"""How long after an unknown key nobody's unknown key has the issuer asked again."""
_FIRST_RETRY_SECONDS: Final = 2.0
_FETCH_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_MOST_WAITING: Final = 16
"""Requests that wait for a key to be fetched; others are refused at once and may come again."""

_log = structlog.get_logger(__name__)


class IssuerKeys:
    """`TokenKeys` of an issuer: from `url`, or from where the issuer's discovery document says that they are."""

    def __init__(
        self,
        issuer: str,
        url: str | None = None,
        *,
        ca_file: Path | None = None,
        refresh_seconds: float = REFRESH_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._issuer = issuer
        self._url = url
        self._trust = _trust(ca_file)
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._keys = PublicKeys(())
        self._client: httpx.AsyncClient | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[bool] | None = None
        self._waiting = 0
        self._renewed: float | None = None
        self._failed = False
        self.ready = False

    def find(self, kid: str | None, key_type: str) -> Key | None:
        return self._keys.find(kid, key_type)

    async def start(self) -> None:
        """Fetch the keys; where the issuer is away, go on without and try again in the background."""
        self._client = httpx.AsyncClient(
            verify=self._trust,
            trust_env=False,
            follow_redirects=False,
            timeout=_FETCH_SECONDS,
            limits=httpx.Limits(max_connections=2),
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )
        await self._ask()
        self._refreshing = asyncio.create_task(self._refresh())

    async def stop(self) -> None:
        await end(*(task for task in (self._refreshing, self._asking) if task is not None))
        if self._client is not None:
            await self._client.aclose()

    async def renew(self) -> bool:
        if self._waiting >= _MOST_WAITING:
            return False
        if self._asking is None:
            now = self._clock()
            if self._renewed is not None and now - self._renewed < RENEW_PAUSE_SECONDS:
                return False
            self._renewed = now
        self._waiting += 1
        try:
            return await self._ask()
        finally:
            self._waiting -= 1

    async def _refresh(self) -> None:
        retry = _FIRST_RETRY_SECONDS
        while True:
            await asyncio.sleep(min(retry, self._refresh_seconds) if self._failed else self._refresh_seconds)
            retry = _FIRST_RETRY_SECONDS if await self._ask() else retry * 2

    async def _ask(self) -> bool:
        """Fetch, or wait for the fetch that is underway; True where it brought keys."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._fetch())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def _asked(self, _task: asyncio.Task[bool]) -> None:
        self._asking = None

    async def _fetch(self) -> bool:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                keys = PublicKeys.read(await self._get(self._url or await self._discover()))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError, TimeoutError, RecursionError) as error:
            self._failed = True
            _log.warning(
                "The keys of the tokens' issuer could not be fetched; those that are here stay in use",
                issuer=self._issuer,
                reason=str(error)[:300] or type(error).__name__,
            )
            return False
        if self._failed or not self.ready:
            _log.info("The keys of the tokens' issuer are here", issuer=self._issuer)
        self._keys, self._failed, self.ready = keys, False, True
        return True

    async def _discover(self) -> str:
        document = await self._get(f"{self._issuer.rstrip('/')}{DISCOVERY_PATH}")
        if not isinstance(document, dict) or document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is another issuer's; DIBOP_TOKEN_ISSUER must match to the letter")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not is_web_address(url):
            raise ValueError("the discovery document names no jwks_uri")
        if urlsplit(self._issuer).scheme == "https" and urlsplit(url).scheme != "https":
            raise ValueError("the issuer is https and its jwks_uri is not")
        return url

    async def _get(self, url: str) -> Any:
        if self._client is None:
            raise RuntimeError("the issuer's keys are not started yet")
        async with self._client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"{url} answered {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError(f"{url} answered with an encoding that was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError(f"{url} answered more than {_MOST_BYTES:,} bytes")
        return json.loads(body)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """The system's certificates and those of the file; ValueError where it cannot be read."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # SSLError is one
            raise ValueError(f"{ca_file} is not a file of PEM certificates: {error}") from error
    return context


def is_web_address(text: str) -> bool:
    """True for an http or https address with a host and without a password in it."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
