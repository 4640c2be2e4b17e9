"""Settings that every service and the command line share, read from `DIBOP_…` environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BusSettings(BaseSettings):
    """How a process reaches NATS."""

    model_config = SettingsConfigDict(env_prefix="DIBOP_", extra="ignore")

    nats_url: str = Field("nats://127.0.0.1:4222", description="Address of the NATS servers, comma-separated.")
    nats_creds: Path | None = Field(
        None, description="Path of a NATS .creds file; none where the server asks for none."
    )
    nats_inbox_prefix: str = Field(
        "_INBOX.svc", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )
    nats_tls_ca: Path | None = Field(
        None, description="PEM file of the authorities that NATS servers' certificates come from; the system's if none."
    )
    nats_tls_cert: Path | None = Field(None, description="PEM file of the certificate that NATS servers are shown.")
    nats_tls_key: Path | None = Field(None, description="PEM file of that certificate's private key.")

    @property
    def servers(self) -> list[str]:
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]


class TokenSettings(BaseSettings):
    """Whose tokens are taken, and where the keys are that verify them: a file, an address, or an OIDC issuer."""

    model_config = SettingsConfigDict(env_prefix="DIBOP_", extra="ignore")

    token_key_file: Path | None = Field(
        None, description="JWK Set (RFC 7517) with the public keys that sign tokens. It is read again when it changes."
    )
    token_key_url: str | None = Field(
        None, description="Address of that JWK Set, instead of a file. It is fetched anew every few minutes."
    )
    token_issuer: str = Field(
        "dibop",
        description="`iss` that tokens must have. Where it is the address of an OIDC issuer, and neither file nor "
        "address of keys is given, its discovery document says where they are.",
    )
    token_audience: str = Field("dibop-connectors", description="`aud` that tokens must have, beside others.")
    token_algorithms: str = Field(
        "Ed25519,EdDSA",
        description="Algorithms that tokens may be signed with, comma-separated: of OIDC issuers often RS256 or ES256.",
    )
    token_enterprise_claim: str = Field(
        "enterprise", description="Claim that names the person's enterprise; dots lead to nested claims."
    )
    token_roles_claim: str = Field(
        "roles",
        description="Claim that lists the person's roles, as a list or space-separated; dots lead to nested claims.",
    )
    token_keys_seconds: float = Field(
        300.0, ge=5, le=86_400, description="How often the keys are fetched from an address anew, in seconds."
    )
    token_ca_file: Path | None = Field(
        None, description="PEM certificates that the issuer's is checked against, besides the system's own."
    )


class ServiceSettings(BusSettings, TokenSettings):
    """What every service needs besides the bus."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="JSON lines, or text for a person.")
    drain_seconds: float = Field(
        20.0,
        ge=0,
        le=600,
        description="After SIGTERM, how long work in flight may take to finish, in seconds.",
    )
    service_token_file: Path | None = Field(
        None, description="This service's own token, with which it commands other services."
    )


class DatabaseSettings(BaseSettings):
    """Where a service keeps its data."""

    model_config = SettingsConfigDict(env_prefix="DIBOP_", extra="ignore")

    database_url: str = Field(
        ...,
        description="SQLAlchemy address: sqlite+aiosqlite:///file.db or postgresql+asyncpg://user@host/name.",
    )
