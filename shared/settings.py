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
        "_INBOX", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )

    @property
    def servers(self) -> list[str]:
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]


class ServiceSettings(BusSettings):
    """What every service needs besides the bus."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="JSON lines, or text for a person.")
    drain_seconds: float = Field(
        20.0,
        ge=0,
        le=600,
        description="After SIGTERM, how long work in flight may take to finish, in seconds.",
    )
    token_key_file: Path | None = Field(None, description="JWK Set with the public keys that sign tokens (RFC 7517).")
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
