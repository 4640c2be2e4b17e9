"""An OAuth2 server in a process of its own: what tests do to it, and what it has seen."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.processes import HOST, ManagedProcess, accepts, free_port

CLIENT_ID = "dibop"
CLIENT_SECRET = "s3cret/with+signs:and%more"
PUBLIC_CLIENT_ID = "public"
PERSON = "ada"
_REPOSITORY = Path(__file__).parents[2]


@dataclass
class Asked:
    """A token request as it arrived. `client` is how the client authenticated: basic, post or none."""

    grant_type: str
    client_id: str
    client: str
    form: dict[str, str]
    at: float
    status: int = 0


class OAuthServer:
    """The server as a process, and its handles."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, "-W", "ignore", "-m", "waitress", f"--listen={HOST}:{self.port}", "--threads=64"]
        self._process = ManagedProcess(
            [*program, "tests.support.oauth_app:app"],
            log=directory / "oauth-server.log",
            ready=lambda: accepts(self.port),
            cwd=_REPOSITORY,
        )
        self._client = httpx.Client(base_url=self.url)

    @property
    def authority(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> OAuthServer:
        self._process.start()
        return self

    def stop(self) -> None:
        self._client.close()
        self._process.kill()

    def switch(self, **switches: Any) -> None:
        """Behave so from now on; what is left out as usual."""
        self._client.put("/__switches", json=switches).raise_for_status()

    def revoke(self, *, refresh: bool = False) -> None:
        self._client.post("/__revoke", params={"refresh": 1} if refresh else {}).raise_for_status()

    def set_secret(self, value: str) -> None:
        self._client.post("/__secret", json=value).raise_for_status()

    def reset_secret(self) -> None:
        self.set_secret(CLIENT_SECRET)

    def asked(self) -> list[Asked]:
        """The token requests since the log was forgotten."""
        return [Asked(**each) for each in self._client.get("/__log").raise_for_status().json()["asked"]]

    def expired(self) -> bool:
        """Whether no access token is good any more."""
        return not self._client.get("/__log").raise_for_status().json()["good"]

    def called(self) -> int:
        """How often the API was called since then."""
        return int(self._client.get("/__log").raise_for_status().json()["called"])

    def forget(self) -> None:
        self._client.delete("/__log").raise_for_status()

    def authorize(self, **parameters: str) -> dict[str, str]:
        """What the redirect of an authorization brings back: `code`, `state`, `iss`, or `error`."""
        answer = self._client.get("/authorize", params={"response_type": "code", "client_id": CLIENT_ID, **parameters})
        location = answer.headers.get("location", "")
        assert location, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def refresh_token(self, *, scope: str = "read") -> str:
        """The refresh token of a new authorization, got as any client gets one."""
        return str(self._authorized(scope)["refresh_token"])

    def access_token(self, *, scope: str = "read") -> str:
        """The access token of one."""
        return str(self._authorized(scope)["access_token"])

    def _authorized(self, scope: str) -> dict[str, Any]:
        redirect, verifier = "http://127.0.0.1/callback", secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        code = self.authorize(
            redirect_uri=redirect, scope=scope, state="x", code_challenge=challenge, code_challenge_method="S256"
        )["code"]
        answer = self._client.post(
            "/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect,
                "code_verifier": verifier,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
            },
        )
        tokens: dict[str, Any] = answer.raise_for_status().json()
        return tokens


@contextlib.contextmanager
def oauth_server(directory: Path) -> Iterator[OAuthServer]:
    """A server of one's own."""
    made = OAuthServer(directory)
    try:
        yield made.start()
    finally:
        made.stop()
