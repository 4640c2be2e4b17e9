"""The registry's settings, read from `DIBOP_…` environment variables."""

from __future__ import annotations

from pydantic import Field

from shared.settings import DatabaseSettings, ServiceSettings


class RegistrySettings(ServiceSettings, DatabaseSettings):
    """What the registry needs besides bus and database."""

    nats_inbox_prefix: str = Field(
        "_INBOX.svc.registry", description="Prefix of this user's private inboxes, which its NATS permissions name."
    )
    migrate_at_start: bool = Field(
        True,
        description="Migrate the database before serving; false where 'dibop migrate' is a step of its own.",
    )
    projection_repair_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="How often the registry looks for connections that a failure kept from the executors, in seconds.",
    )
    call_log_days: float = Field(
        7.0, gt=0, le=366, description="How long the call log is kept, in days; fractions are allowed."
    )
    call_log_sweep_seconds: float = Field(
        600.0, gt=0, le=86_400, description="How often the registry deletes calls that are older, in seconds."
    )
    test_credentials_sweep_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="How often the registry deletes test credentials that have expired, in seconds. They are served to "
        "nobody from the moment of their expiry.",
    )
