"""The console's settings, from `DIBOP_…` environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from services.console.security.origins import read_public_url
from shared.settings import ServiceSettings


class ConsoleSettings(ServiceSettings):
    """One console process. Several may serve the same address: what they share lies in Redis."""

    nats_inbox_prefix: str = Field(
        "_INBOX.svc.console", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )
    listen_host: str = Field("127.0.0.1", description="Address that HTTP is served on.")
    listen_port: int = Field(8080, ge=0, le=65_535, description="Port that HTTP is served on; 0 takes a free one.")
    public_url: str = Field(
        "",
        description="How people reach the console, as https://connectors.example.com; where it listens if empty. "
        "Requests that change something must come from pages of this address.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses of proxies, comma-separated, whose X-Forwarded-For says where a request came from.",
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Address of the Redis that holds sessions and sign-ins, encrypted."
    )
    session_key_file: Path = Field(
        ..., description="File with 32 random bytes in base64 that encrypt what is kept in Redis; all consoles' is one."
    )
    session_seconds: int = Field(
        12 * 3600, ge=60, le=30 * 86_400, description="How long a person stays signed in at most, in seconds."
    )
    sign_in_link_seconds: int = Field(
        600, ge=10, le=86_400, description="How long a sign-in link can be used, in seconds."
    )
    sign_ins_per_minute: int = Field(
        20, ge=1, le=10_000, description="Attempts to sign in that one address may make in a minute."
    )
    oidc_client_id: str = Field(
        "",
        description="Id of this console at the OIDC issuer of DIBOP_TOKEN_ISSUER, where people sign in then. Its "
        "redirect URI is <public URL>/sign-in/oidc/callback. Empty: they sign in by links and tokens.",
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="File with this console's secret at the issuer; none for a public client."
    )
    oidc_scopes: str = Field(
        "openid profile offline_access", description="Scopes that are asked for when a person signs in."
    )
    oidc_token: Literal["access_token", "id_token"] = Field(
        "access_token", description="Which of the issuer's tokens has the claims that the services read."
    )
    seal_key_file: Path | None = Field(
        None, description="The executors' public sealing key. Without it no credentials can be given in the console."
    )
    command_seconds: float = Field(
        30.0, gt=0, le=300, description="How long the console waits for a service's answer, in seconds."
    )

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return read_public_url(value) if value else value
